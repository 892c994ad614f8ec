-- Reviews of accesses: who has which right, and who said that it stays.
CREATE TABLE campaigns (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    about     TEXT NOT NULL,                    -- of what, in words of whoever opened it
    opened_by TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    until_ms  INTEGER NOT NULL,
    closed_ms INTEGER                           -- null while it runs
) STRICT;

CREATE TABLE campaign_rights (
    campaign   INTEGER NOT NULL,
    whose      TEXT NOT NULL,                   -- a person, or an account that is nobody else's
    role       TEXT NOT NULL,
    used_ms    INTEGER,                         -- null where it was not used in the time that was looked at
    proposal   TEXT NOT NULL,                   -- keep, or why it should go
    verdict    TEXT NOT NULL,                   -- empty, attested, removed, or lapsed: nobody attested it in time
    decided_by TEXT NOT NULL,
    decided_ms INTEGER,
    remark     TEXT NOT NULL,
    PRIMARY KEY (campaign, whose, role)
) STRICT, WITHOUT ROWID;
CREATE INDEX campaign_rights_by_role ON campaign_rights (role, campaign);
