-- What was done to accounts and is not in the log yet. A row is written in the transaction of the
-- change itself and removed once its entry is durable in the log.
CREATE TABLE acts (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms   INTEGER NOT NULL,
    name    TEXT NOT NULL,
    account TEXT NOT NULL,
    done_by TEXT NOT NULL
) STRICT;
