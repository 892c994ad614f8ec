-- Legal holds: what of the log is not destroyed, whatever its time.
CREATE TABLE holds (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    document TEXT NOT NULL,                     -- the number of the document that orders it
    class    TEXT NOT NULL,                     -- a class of the log; empty for all of them
    from_day TEXT NOT NULL,
    to_day   TEXT NOT NULL,
    approver TEXT NOT NULL,                     -- who approved it, as the document says
    review   TEXT NOT NULL,                     -- the day on which somebody looks at it again
    done_by  TEXT NOT NULL,                     -- who entered it, as the log names them
    person   TEXT NOT NULL,                     -- who that is; another person must end it
    since_ms INTEGER NOT NULL
) STRICT;
