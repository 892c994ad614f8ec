-- Backups that this state was restored from. What was done after one was made is not in here.
CREATE TABLE restores (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    backup      TEXT NOT NULL,
    made_ms     INTEGER NOT NULL,               -- when it was made
    entries     INTEGER NOT NULL,               -- how many entries its log has
    settled_ms  INTEGER,                        -- when somebody answered for what was done since; until then no gate starts
    until_ms    INTEGER,                        -- when the first gate started on it
    released_ms INTEGER                         -- when somebody let budgets go on as they were in the backup
) STRICT;
