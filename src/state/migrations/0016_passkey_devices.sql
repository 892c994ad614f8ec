-- A device may be a passkey of the account instead of a certificate, and then sessions are of the device by which
-- passkey was shown in them last.
ALTER TABLE devices ADD COLUMN passkey BLOB;        -- its credential id
CREATE UNIQUE INDEX devices_by_passkey ON devices (passkey) WHERE passkey IS NOT NULL;
ALTER TABLE sessions ADD COLUMN passkey BLOB;
