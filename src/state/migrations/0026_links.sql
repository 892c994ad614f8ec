-- Who was tied to whom by a case: every link that was put or ended, in order. What stands now follows from it.
CREATE TABLE links (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    is_put INTEGER NOT NULL,
    -- keyed hash of account, kind, entity and key, by which a gate knows it
    tag INTEGER NOT NULL,
    account TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- keyed reference
    subject TEXT NOT NULL,
    reference TEXT NOT NULL,
    until_s INTEGER NOT NULL,
    done_by TEXT NOT NULL
) STRICT;
CREATE INDEX links_of_account ON links (account, tag);
CREATE TABLE link_tickets (
    ticket BLOB PRIMARY KEY,
    until_s INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
