-- What gates tell each other in order: grants, links and what data subjects said. Of each row where it was done (the
-- birth of that gate's state and its name; empty for this gate), and what tells which of two is newer.
ALTER TABLE grants ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE grants ADD COLUMN weight INTEGER NOT NULL DEFAULT 0;    -- grows with every step; of two, the heavier holds
ALTER TABLE grants ADD COLUMN step TEXT NOT NULL DEFAULT '';        -- the last step, JSON
UPDATE grants SET weight = 1000 * CASE state WHEN 'asked' THEN 0 WHEN 'approved' THEN 1 WHEN 'expired' THEN 2
    WHEN 'used-up' THEN 3 WHEN 'refused' THEN 4 WHEN 'revoked' THEN 5 ELSE 6 END;
ALTER TABLE links ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE links ADD COLUMN stamp_ms INTEGER;                      -- which is newer; at_ms where there is none
ALTER TABLE links ADD COLUMN ticket BLOB;                           -- the ticket that put it
CREATE INDEX links_ended ON links (seq) WHERE is_put = 0;
ALTER TABLE subject_words ADD COLUMN origin TEXT NOT NULL DEFAULT '';
CREATE INDEX subject_words_closing ON subject_words (seq) WHERE act IN ('object', 'withdraw', 'mark');

-- How far this gate has taken over what another tells: its rows up to this number.
CREATE TABLE feeds_heard (
    lane  TEXT NOT NULL,
    node  TEXT NOT NULL,
    birth TEXT NOT NULL,                        -- of that gate's state: another one begins anew
    upto  INTEGER NOT NULL,
    PRIMARY KEY (lane, node)
) STRICT, WITHOUT ROWID;
-- One row: what tells this state from one that came before, under the same name of a gate.
CREATE TABLE feed_birth (birth TEXT NOT NULL) STRICT;
INSERT INTO feed_birth (birth) VALUES (lower(hex(randomblob(12))));
