-- When a password was set, and who signed in last and from where: for the person whose account it is. Of an
-- older account nobody knows when its password was set, so it counts from the account's beginning.
ALTER TABLE accounts ADD COLUMN password_set_s INTEGER NOT NULL DEFAULT 0;
UPDATE accounts SET password_set_s = created_s;
ALTER TABLE accounts ADD COLUMN signed_in_s INTEGER;
ALTER TABLE accounts ADD COLUMN signed_in_from TEXT;

ALTER TABLE sessions ADD COLUMN host TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN began_s INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sessions ADD COLUMN began_from TEXT NOT NULL DEFAULT '';
-- The sign-in before this one.
ALTER TABLE sessions ADD COLUMN before_s INTEGER;
ALTER TABLE sessions ADD COLUMN before_from TEXT;
