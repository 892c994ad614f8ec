-- Devices that were enrolled for an account, local or of an issuer, by the key of their certificate.
CREATE TABLE devices (
    name      TEXT PRIMARY KEY,
    account   TEXT NOT NULL,
    key       BLOB NOT NULL UNIQUE,             -- SHA-256 of the SubjectPublicKeyInfo
    tag       BLOB NOT NULL,                    -- keyed hash of the columns above: nobody writes one by hand
    created_s INTEGER NOT NULL,
    used_s    INTEGER,
    revoked_s INTEGER                           -- it stays, so that its name and key are not used again
) STRICT, WITHOUT ROWID;
CREATE INDEX devices_by_account ON devices (account);

-- What of an account an act was about, such as `device laptop-7`; empty for the account itself.
ALTER TABLE acts ADD COLUMN thing TEXT NOT NULL DEFAULT '';
