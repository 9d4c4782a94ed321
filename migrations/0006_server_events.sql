-- What was done to the server itself, by whom: never changed, never deleted. The newest event that
-- says drained or resumed is the state of the queue, also after a restart.
CREATE TABLE server_events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TEXT NOT NULL,
    actor    TEXT NOT NULL,
    event    TEXT NOT NULL,
    detail   TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(detail))
) STRICT;

CREATE TRIGGER server_events_no_update BEFORE UPDATE ON server_events
BEGIN
    SELECT RAISE(ABORT, 'server_events is append-only');
END;

CREATE TRIGGER server_events_no_delete BEFORE DELETE ON server_events
BEGIN
    SELECT RAISE(ABORT, 'server_events is append-only');
END;

-- REPLACE deletes the row that is in its way, and fires no delete trigger.
CREATE TRIGGER server_events_no_replace BEFORE INSERT ON server_events
WHEN EXISTS (SELECT 1 FROM server_events WHERE event_id = NEW.event_id)
BEGIN
    SELECT RAISE(ABORT, 'server_events is append-only');
END;
