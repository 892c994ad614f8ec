-- Browser sessions of people who signed in at an issuer; they have no account here.
CREATE TABLE issuer_sessions (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          BLOB NOT NULL UNIQUE,           -- keyed hash of the cookie value and of where it is good
    account     TEXT NOT NULL,                  -- `issuer:subject`
    sid         BLOB,                           -- keyed hash of the issuer's own name of the session
    caller      TEXT NOT NULL,                  -- JSON: kind, roles, attributes as the issuer told them
    factors     TEXT NOT NULL,                  -- JSON list
    began_s     INTEGER NOT NULL,
    last_seen_s INTEGER NOT NULL,
    expires_s   INTEGER NOT NULL
) STRICT;
CREATE INDEX issuer_sessions_by_account ON issuer_sessions (account);
CREATE INDEX issuer_sessions_by_sid ON issuer_sessions (sid);
CREATE INDEX issuer_sessions_by_end ON issuer_sessions (expires_s);

-- What an issuer sent and may count once: answers to a sign-in, orders to sign somebody out.
CREATE TABLE issuer_used (
    id      BLOB PRIMARY KEY,                   -- keyed hash of its `state` or `jti`
    until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX issuer_used_by_end ON issuer_used (until_s);

-- Requests that wait are kept for sessions of both kinds; triggers do what the reference did.
DROP TABLE parked;
CREATE TABLE parked (
    seq     INTEGER PRIMARY KEY,
    id      BLOB NOT NULL UNIQUE,               -- keyed hash of the id in the browser, host and zone
    session BLOB NOT NULL UNIQUE,
    sealed  BLOB NOT NULL,
    until_s INTEGER NOT NULL
) STRICT;
CREATE INDEX parked_by_end ON parked (until_s);
CREATE TRIGGER parked_follows AFTER UPDATE OF id ON sessions BEGIN
    UPDATE parked SET session = NEW.id WHERE session = OLD.id;
END;
CREATE TRIGGER parked_ends AFTER DELETE ON sessions BEGIN
    DELETE FROM parked WHERE session = OLD.id;
END;
CREATE TRIGGER parked_ends_at_issuer AFTER DELETE ON issuer_sessions BEGIN
    DELETE FROM parked WHERE session = OLD.id;
END;
