-- Which change of a device was the last, so that a gate keeps them in memory and reads what is new. Triggers, so that
-- none is forgotten whatever changes them; when a device was last used is no change.
ALTER TABLE devices ADD COLUMN change INTEGER NOT NULL DEFAULT 0;
CREATE INDEX devices_by_change ON devices (change);
CREATE TRIGGER device_added AFTER INSERT ON devices BEGIN
    UPDATE devices SET change = (SELECT max(change) + 1 FROM devices) WHERE name = NEW.name;
END;
CREATE TRIGGER device_changed AFTER UPDATE OF name, account, key, tag, passkey, revoked_s ON devices BEGIN
    UPDATE devices SET change = (SELECT max(change) + 1 FROM devices) WHERE name = NEW.name;
END;
