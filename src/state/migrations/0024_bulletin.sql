-- What was done here or at another gate that all gates of one key must know: the newest of each topic.
CREATE TABLE bulletin (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      TEXT NOT NULL,
    kind    TEXT NOT NULL,                      -- switch, finding, reset, ...
    topic   TEXT NOT NULL,                      -- what it is about; the newest of a topic counts
    stamp   INTEGER NOT NULL,                   -- Unix milliseconds, later than whatever it follows
    lasts   INTEGER NOT NULL,                   -- whether it is kept until another of its topic comes
    origin  TEXT NOT NULL,                      -- the gate; empty for this one
    payload TEXT NOT NULL,                      -- JSON
    UNIQUE (kind, topic)
) STRICT;
CREATE INDEX bulletin_that_goes ON bulletin (stamp) WHERE lasts = 0;

-- What holds already is known to the others as well.
INSERT INTO bulletin (id, kind, topic, stamp, lasts, origin, payload)
SELECT lower(hex(randomblob(12))), 'switch', trim(kind || ' ' || name), since_ms, 1, '',
       json_object('is_on', json('true'), 'kind', kind, 'name', name, 'reason', reason, 'done_by', done_by,
                   'approved_by', approved_by, 'at_ms', since_ms)
FROM switches;
INSERT INTO bulletin (id, kind, topic, stamp, lasts, origin, payload)
SELECT lower(hex(randomblob(12))), 'finding', json_array(detection, holder, cause), at_ms,
       consequence <> 'step-up', '',
       json_object('detection', detection, 'consequence', consequence, 'holder', holder, 'account', account,
                   'cause', cause, 'at_ms', at_ms, 'count', count, 'said', said)
FROM findings WHERE released_ms IS NULL AND consequence <> 'alert' AND drill = 0;

-- Whether another gate let the budget begin anew, and with it what all count together.
ALTER TABLE resets ADD COLUMN shared INTEGER NOT NULL DEFAULT 0;
