-- The oldest part of the audit log may be moved to files. Which events each file has; the same is
-- in an event of the log itself, so that a forged row shows. Never changed, never deleted.
CREATE TABLE audit_archives (
    last_event  INTEGER PRIMARY KEY,
    first_event INTEGER NOT NULL CHECK (first_event <= last_event),
    last_hash   TEXT NOT NULL,          -- the prev_hash of the first event behind it
    sha256      TEXT NOT NULL UNIQUE,   -- of the file
    name        TEXT NOT NULL,          -- of the file, when it was made
    event_id    INTEGER NOT NULL        -- the event that says so
) STRICT;

-- The jobs whose events were moved, and to which archive: a pruned job is still known to have been.
CREATE TABLE archived_jobs (
    job_id     TEXT NOT NULL,
    last_event INTEGER NOT NULL REFERENCES audit_archives (last_event),
    PRIMARY KEY (job_id, last_event)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER audit_archives_no_update BEFORE UPDATE ON audit_archives
BEGIN
    SELECT RAISE(ABORT, 'audit_archives is append-only');
END;

CREATE TRIGGER audit_archives_no_delete BEFORE DELETE ON audit_archives
BEGIN
    SELECT RAISE(ABORT, 'audit_archives is append-only');
END;

-- An archive begins where the log in the database does, which is behind the archive before it.
-- With that, a REPLACE of a row, which fires no delete trigger, is refused, too.
CREATE TRIGGER audit_archives_join BEFORE INSERT ON audit_archives
WHEN NEW.first_event IS NOT (SELECT coalesce(max(last_event), 0) + 1 FROM audit_archives)
    OR NEW.first_event IS NOT (SELECT min(event_id) FROM job_events)
    OR NEW.last_hash IS NOT (SELECT hash FROM job_events WHERE event_id = NEW.last_event)
    OR NEW.sha256 IS NOT (
        SELECT json_extract(detail, '$.sha256') FROM job_events
        WHERE event_id = NEW.event_id AND event = 'archived'
    )
    OR EXISTS (SELECT 1 FROM audit_archives WHERE sha256 = NEW.sha256)
BEGIN
    SELECT RAISE(ABORT, 'audit_archives: the archive does not join on to the log');
END;

CREATE TRIGGER archived_jobs_no_update BEFORE UPDATE ON archived_jobs
BEGIN
    SELECT RAISE(ABORT, 'archived_jobs is append-only');
END;

CREATE TRIGGER archived_jobs_no_delete BEFORE DELETE ON archived_jobs
BEGIN
    SELECT RAISE(ABORT, 'archived_jobs is append-only');
END;

CREATE TRIGGER archived_jobs_no_replace BEFORE INSERT ON archived_jobs
WHEN EXISTS (
    SELECT 1 FROM archived_jobs WHERE job_id = NEW.job_id AND last_event = NEW.last_event
)
BEGIN
    SELECT RAISE(ABORT, 'archived_jobs is append-only');
END;

-- Only the oldest event may be removed, only when an archive has it, and never one of a job that is
-- still there.
DROP TRIGGER job_events_no_delete;

CREATE TRIGGER job_events_no_delete BEFORE DELETE ON job_events
WHEN OLD.event_id > (SELECT coalesce(max(last_event), 0) FROM audit_archives)
    OR OLD.event_id > (SELECT min(event_id) FROM job_events)
    OR EXISTS (SELECT 1 FROM jobs WHERE job_id = OLD.job_id)
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
