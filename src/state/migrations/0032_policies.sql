-- The policy in force as it was read: a gate that starts knows what the files would make wider since.
CREATE TABLE policy_in_force (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    version  TEXT NOT NULL,
    sources  TEXT NOT NULL,                     -- JSON list of [name, text]
    since_ms INTEGER NOT NULL
) STRICT;

-- Policies to which two persons agreed, though they are wider than the one before.
CREATE TABLE policies_agreed (
    version     TEXT PRIMARY KEY,
    asked_by    TEXT NOT NULL,
    approved_by TEXT NOT NULL,
    agreed_ms   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
