-- Budgets that begin anew, so that a running gate forgets what it counts of them too.
CREATE TABLE resets (
    seq    INTEGER PRIMARY KEY AUTOINCREMENT,
    holder TEXT NOT NULL,
    budget TEXT NOT NULL,
    at_ms  INTEGER NOT NULL
) STRICT;
