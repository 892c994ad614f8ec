-- What is commanded beside a running gate: who or what is switched off, and budgets that begin anew.
CREATE TABLE switches (
    kind        TEXT NOT NULL,                  -- person, role, tenant, partner, route, exports
    name        TEXT NOT NULL,                  -- empty for exports
    reason      TEXT NOT NULL,
    done_by     TEXT NOT NULL,
    approved_by TEXT NOT NULL,                  -- empty where one person was enough
    since_ms    INTEGER NOT NULL,
    PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;

-- Commands that wait for a second person.
CREATE TABLE asked (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    verb     TEXT NOT NULL,
    kind     TEXT NOT NULL,
    name     TEXT NOT NULL,
    detail   TEXT NOT NULL,
    reason   TEXT NOT NULL,
    asked_by TEXT NOT NULL,                     -- as the log names them
    person   TEXT NOT NULL,                     -- who that is, whichever account they used
    asked_ms INTEGER NOT NULL
) STRICT;

-- One row: `change` grows with each command, so that a gate reads anew only then; `two_person` says for which
-- commands the policy in force wants a second person, as a JSON list.
CREATE TABLE command (
    change     INTEGER NOT NULL,
    two_person TEXT NOT NULL
) STRICT;
INSERT INTO command (change, two_person) VALUES (0, '[]');

-- Acts on other things than accounts, why they were done, and who agreed.
ALTER TABLE acts ADD COLUMN object TEXT NOT NULL DEFAULT '';
ALTER TABLE acts ADD COLUMN reason TEXT NOT NULL DEFAULT '';
ALTER TABLE acts ADD COLUMN approved_by TEXT NOT NULL DEFAULT '';
