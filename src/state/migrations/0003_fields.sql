-- Fields that a backend gave and the catalogue does not know, by name; never a value. Days are counted
-- from 1970-01-01 (UTC).
CREATE TABLE unknown_fields (
    route     TEXT NOT NULL,
    field     TEXT NOT NULL,
    first_day INTEGER NOT NULL,
    last_day  INTEGER NOT NULL,
    answers   INTEGER NOT NULL,
    PRIMARY KEY (route, field)
) STRICT, WITHOUT ROWID;
