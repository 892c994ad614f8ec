-- Networks from which somebody has signed in, as keyed hashes.
CREATE TABLE networks (
    address BLOB PRIMARY KEY,
    last_s  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX networks_by_time ON networks (last_s);

-- The failures and locks of a name are counted apart for each known network; `bucket` is its hash, and
-- empty for all others together.
ALTER TABLE failures ADD COLUMN bucket BLOB NOT NULL DEFAULT x'';
DROP INDEX failures_by_name;
CREATE INDEX failures_by_name ON failures (name, bucket, at_s);

ALTER TABLE lockouts RENAME TO lockouts_of_names;
CREATE TABLE lockouts (
    name    BLOB NOT NULL,
    bucket  BLOB NOT NULL,
    until_s INTEGER NOT NULL,
    times   INTEGER NOT NULL,                   -- how often in a row
    PRIMARY KEY (name, bucket)
) STRICT, WITHOUT ROWID;
CREATE INDEX lockouts_by_end ON lockouts (until_s);
INSERT INTO lockouts SELECT name, x'', until_s, 1 FROM lockouts_of_names;
DROP TABLE lockouts_of_names;
