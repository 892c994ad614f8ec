-- Partners and tenants, as each is since a step: the newest row of a name holds, the others are its history.
CREATE TABLE registry (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    kind   TEXT NOT NULL,                       -- partner, tenant
    name   TEXT NOT NULL,
    at_ms  INTEGER NOT NULL,
    sealed BLOB NOT NULL                        -- what it is since then, and the step
) STRICT;
CREATE INDEX registry_by_name ON registry (kind, name, seq);
CREATE INDEX registry_by_time ON registry (at_ms);

-- One row: what the policy in force asks of partners, for commands that are given beside the gate.
CREATE TABLE registry_demands (
    demands TEXT NOT NULL
) STRICT;
INSERT INTO registry_demands (demands) VALUES ('');
