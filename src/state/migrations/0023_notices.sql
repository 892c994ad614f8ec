-- What people are still to be told, and how far the log was read for that.
CREATE TABLE notices (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    merge_key TEXT NOT NULL,
    notice TEXT NOT NULL,
    -- how many of the same wait as one
    count INTEGER NOT NULL,
    since_ms INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX notices_by_key ON notices (target, merge_key);
CREATE TABLE notice_cursor (
    only_one INTEGER PRIMARY KEY CHECK (only_one = 1),
    next INTEGER NOT NULL,
    -- the id of the entry before: in a log that was restored another one stands there
    last TEXT NOT NULL
) STRICT;
