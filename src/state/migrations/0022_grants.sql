-- Grants: what somebody else agreed to. The grant itself is sealed, since it names customers.
CREATE TABLE grants (
    id        TEXT PRIMARY KEY,
    person    TEXT NOT NULL,                    -- of the holder, whichever account they use
    state     TEXT NOT NULL,
    asked_ms  INTEGER NOT NULL,
    until_s   INTEGER NOT NULL,                 -- when what it is now ends by itself
    sealed    BLOB NOT NULL,
    change    INTEGER NOT NULL                  -- grows with every change of any grant
) STRICT;
CREATE INDEX grants_change ON grants (change);
CREATE INDEX grants_person ON grants (person, state);
CREATE INDEX grants_state ON grants (state, until_s);
-- One row: the newest change, which no grant that goes takes with it.
CREATE TABLE grant_change (change INTEGER NOT NULL) STRICT;
INSERT INTO grant_change (change) VALUES (0);
-- Who agreed to whose, for as long as a ring is looked for.
CREATE TABLE grant_approvals (
    grant_id TEXT NOT NULL,
    holder   TEXT NOT NULL,
    approver TEXT NOT NULL,
    at_ms    INTEGER NOT NULL,
    PRIMARY KEY (grant_id, approver)
) STRICT;
CREATE INDEX grant_approvals_pair ON grant_approvals (holder, approver, at_ms);
