-- Requests that wait for a factor, sealed; one a session. Where the session gets a new id they go with
-- it, and where it ends they end.
CREATE TABLE parked (
    seq     INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE,               -- keyed hash of the id in the browser, host and zone
    session BLOB NOT NULL UNIQUE REFERENCES sessions (id) ON UPDATE CASCADE ON DELETE CASCADE,
    sealed  BLOB NOT NULL,
    until_s INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_by_end ON parked (until_s);
