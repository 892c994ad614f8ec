-- What detections found, and what still follows from it.
CREATE TABLE findings (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    detection   TEXT NOT NULL,
    consequence TEXT NOT NULL,              -- alert, step-up, slow, block
    holder      TEXT NOT NULL,              -- an account, or person/...
    account     TEXT NOT NULL,
    cause       TEXT NOT NULL,              -- the decision that set it off, so that a log read twice finds once
    at_ms       INTEGER NOT NULL,
    count       INTEGER NOT NULL,
    said        TEXT NOT NULL,
    drill       INTEGER NOT NULL,
    told        INTEGER NOT NULL DEFAULT 0, -- whether its entry is in the log
    released_ms INTEGER,
    released_by TEXT,
    reason      TEXT,
    change      INTEGER NOT NULL,           -- grows with each change, so that a gate reads what is new
    UNIQUE (detection, holder, cause)
) STRICT;
CREATE INDEX findings_by_change ON findings (change);
CREATE INDEX findings_that_hold ON findings (holder)
    WHERE released_ms IS NULL AND consequence <> 'alert' AND drill = 0;
CREATE INDEX findings_untold ON findings (id) WHERE told = 0;

-- What detections know of people, a cell each, and how far they have read.
CREATE TABLE review (
    cell  TEXT PRIMARY KEY,
    bytes BLOB NOT NULL
) STRICT, WITHOUT ROWID;
