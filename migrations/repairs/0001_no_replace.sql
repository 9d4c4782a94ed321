-- For databases made by 0001 as it was before it refused to replace events.

-- REPLACE deletes the row that is in its way, and fires no delete trigger.
CREATE TRIGGER job_events_no_replace BEFORE INSERT ON job_events
WHEN EXISTS (SELECT 1 FROM job_events WHERE event_id = NEW.event_id OR hash = NEW.hash)
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
