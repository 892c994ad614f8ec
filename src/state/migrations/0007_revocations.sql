-- Tokens of issuers that count no more, though they have not expired.
CREATE TABLE revocations (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,  -- later ones have larger ones, so that a gate reads what is new
    tag     BLOB NOT NULL UNIQUE,               -- keyed hash of the account, or of the issuer and the token's id
    upto_s  INTEGER NOT NULL,                   -- tokens issued up to then
    until_s INTEGER NOT NULL                    -- and longer than that no token lives
) STRICT;
CREATE INDEX revocations_by_end ON revocations (until_s);
