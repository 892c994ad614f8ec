-- Passkeys: only what is public, the private part stays in the person's authenticator.
CREATE TABLE passkeys (
    id              BLOB PRIMARY KEY,           -- the credential id
    account         TEXT NOT NULL REFERENCES accounts (name) ON DELETE CASCADE,
    host            TEXT NOT NULL,              -- it signs for this host alone
    name            TEXT NOT NULL,              -- what the person calls it
    public_key      BLOB NOT NULL,              -- COSE key
    verifies        INTEGER NOT NULL,           -- it knew its person when it was made
    backup_eligible INTEGER NOT NULL,
    tag             BLOB NOT NULL,              -- keyed hash of the columns above: nobody writes one by hand
    backed_up       INTEGER NOT NULL,
    sign_count      INTEGER NOT NULL,
    created_s       INTEGER NOT NULL,
    used_s          INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX passkeys_by_account ON passkeys (account);

-- What somebody has to answer, once and in time. A row is taken by deleting it.
CREATE TABLE challenges (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    id      BLOB NOT NULL UNIQUE,               -- keyed hash of the challenge
    kind    TEXT NOT NULL,
    account TEXT,                               -- for whom; NULL where anybody may answer
    session BLOB,                               -- in which session
    ticket  BLOB,                               -- the id of the ticket that the answer uses up
    until_s INTEGER NOT NULL
) STRICT;
CREATE INDEX challenges_by_end ON challenges (until_s);
CREATE INDEX challenges_by_session ON challenges (session);
