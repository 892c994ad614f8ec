-- One row; `key_check` tells a folder made under another master key.
CREATE TABLE folder (
    key_check TEXT NOT NULL
) STRICT;

CREATE TABLE accounts (
    name           TEXT PRIMARY KEY,
    display_name   TEXT NOT NULL,
    kind           TEXT NOT NULL,
    roles          TEXT NOT NULL,               -- JSON list of strings
    attributes     TEXT NOT NULL,               -- JSON object of scalars and lists of strings
    password_hash  TEXT NOT NULL,               -- PHC string, argon2id, peppered
    totp_secret    BLOB,                        -- sealed
    totp_last_step INTEGER NOT NULL DEFAULT 0,  -- the last RFC 6238 step that was accepted
    disabled       INTEGER NOT NULL DEFAULT 0,
    created_s      INTEGER NOT NULL,
    changed_s      INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,           -- keyed hash of the cookie value
    account     TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    factors     TEXT NOT NULL,                  -- JSON list
    last_seen_s INTEGER NOT NULL,
    expires_s   INTEGER NOT NULL
) STRICT;
CREATE INDEX sessions_by_account ON sessions (account);
CREATE INDEX sessions_by_end ON sessions (expires_s);

-- Sign-in attempts that were charged and not taken back: the failures. Keys are keyed hashes of the
-- name as typed and of the source address.
CREATE TABLE failures (
    attempt INTEGER PRIMARY KEY AUTOINCREMENT,
    name    BLOB NOT NULL,
    address BLOB NOT NULL,
    at_s    INTEGER NOT NULL
) STRICT;
CREATE INDEX failures_by_name ON failures (name, at_s);
CREATE INDEX failures_by_address ON failures (address, at_s);
CREATE INDEX failures_by_time ON failures (at_s);

CREATE TABLE lockouts (
    name    BLOB PRIMARY KEY,
    until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE usage (
    person TEXT NOT NULL,
    budget TEXT NOT NULL,
    bucket INTEGER NOT NULL,
    amount INTEGER NOT NULL,
    PRIMARY KEY (person, budget, bucket)
) STRICT, WITHOUT ROWID;

CREATE TABLE seen (
    person  TEXT NOT NULL,
    budget  TEXT NOT NULL,
    bucket  INTEGER NOT NULL,
    subject INTEGER NOT NULL,                   -- 64 bits of a keyed hash
    PRIMARY KEY (person, budget, subject)
) STRICT, WITHOUT ROWID;
