-- What issuers published last of their keys, which are public.
CREATE TABLE issuer_keys (
    issuer    TEXT PRIMARY KEY,
    url       TEXT NOT NULL,
    document  BLOB NOT NULL,                    -- the JWK Set
    fetched_s INTEGER NOT NULL,
    tag       BLOB NOT NULL                     -- keyed hash of the columns above: nobody writes one by hand
) STRICT, WITHOUT ROWID;

-- Of a session at an issuer its holder is told what one of a local account is told.
ALTER TABLE issuer_sessions ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE issuer_sessions ADD COLUMN began_from TEXT NOT NULL DEFAULT '';
