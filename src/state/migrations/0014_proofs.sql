-- Proofs are counted by the key that made them, so that no key takes the place of all others.
ALTER TABLE replays ADD COLUMN holder BLOB NOT NULL DEFAULT x'00';  -- keyed hash of the key

-- How many there are of each key, and in all under the empty name: counting rows takes longer the more there are.
CREATE TABLE replay_counts (
    holder BLOB PRIMARY KEY,
    live   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO replay_counts SELECT x'', count(*) FROM replays;
CREATE TRIGGER replay_counted AFTER INSERT ON replays BEGIN
    INSERT INTO replay_counts VALUES (NEW.holder, 1) ON CONFLICT (holder) DO UPDATE SET live = live + 1;
    UPDATE replay_counts SET live = live + 1 WHERE holder = x'';
END;
CREATE TRIGGER replay_uncounted AFTER DELETE ON replays BEGIN
    UPDATE replay_counts SET live = live - 1 WHERE holder IN (OLD.holder, x'');
    DELETE FROM replay_counts WHERE holder = OLD.holder AND holder <> x'' AND live <= 0;
END;
