-- API keys: what a program shows that acts for an account. The secret is not stored.
CREATE TABLE api_keys (
    id        TEXT PRIMARY KEY,                 -- the public part
    account   TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    roles     TEXT NOT NULL,                    -- JSON list: which of the account's roles it has
    zones     TEXT NOT NULL,                    -- JSON list
    expires_s INTEGER NOT NULL,
    tag       BLOB NOT NULL,                    -- keyed hash of the secret and the columns above
    created_s INTEGER NOT NULL,
    used_s    INTEGER,
    revoked_s INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX api_keys_by_account ON api_keys (account);

-- Proofs of possession (DPoP) that were taken, as keyed hashes, for as long as one could be shown again.
CREATE TABLE replays (
    proof   BLOB PRIMARY KEY,
    until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX replays_by_end ON replays (until_s);
