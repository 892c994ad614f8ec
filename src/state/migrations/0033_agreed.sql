-- What two persons agreed to that somebody then does: an export of the log, once; entries of the log that may go.
CREATE TABLE agreed (
    verb        TEXT NOT NULL,
    name        TEXT NOT NULL,
    person      TEXT NOT NULL,                  -- who asked, whichever account they used
    asked_by    TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    agreed_ms   INTEGER NOT NULL,
    PRIMARY KEY (verb, name, person)
) STRICT, WITHOUT ROWID;
