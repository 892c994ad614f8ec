-- What is known of accounts, local ones and those of issuers (`issuer:subject`), beside what they sign in with.
CREATE TABLE roster (
    account  TEXT PRIMARY KEY,
    person   TEXT,                              -- whose it is, where several accounts are one person's
    standing TEXT NOT NULL DEFAULT 'active',    -- active, disabled, suspended, left
    since_s  INTEGER NOT NULL,
    change   INTEGER NOT NULL                   -- grows with each change, so that a gate reads what is new
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX roster_by_change ON roster (change);
CREATE INDEX roster_by_person ON roster (person) WHERE person IS NOT NULL;

INSERT INTO roster (account, standing, since_s, change)
    SELECT name, 'disabled', changed_s, row_number() OVER (ORDER BY name) FROM accounts WHERE disabled = 1;

-- To what an account was changed, where that is no secret.
ALTER TABLE acts ADD COLUMN detail TEXT NOT NULL DEFAULT '';
