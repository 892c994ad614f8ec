-- Recovery codes that are not used up, as keyed hashes of account and code.
CREATE TABLE recovery (
    account TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    code    BLOB NOT NULL,
    PRIMARY KEY (account, code)
) STRICT, WITHOUT ROWID;
