-- For databases made by 0001 as it was before jobs had a finish_number: has the table jobs made as
-- 0001 makes it now. Rows are carried over; a job finished with the last of its events.
CREATE TEMP TABLE carried_jobs AS SELECT * FROM main.jobs;
CREATE TEMP TABLE carried_sequence AS SELECT seq FROM main.sqlite_sequence WHERE name = 'jobs';

-- Its indexes go with it.
DROP TABLE main.jobs;

CREATE TABLE jobs (
    seq                 INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of submission
    job_id              TEXT NOT NULL UNIQUE,
    status              TEXT NOT NULL
        CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    engine              TEXT NOT NULL,
    model               TEXT NOT NULL CHECK (model <> ''),
    tasks               TEXT NOT NULL CHECK (json_valid(tasks)),
    priority            INTEGER NOT NULL DEFAULT 0,
    labels              TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)),
    request             TEXT NOT NULL CHECK (json_valid(request)),
    submitted_by        TEXT NOT NULL,
    created_at          TEXT NOT NULL,
    started_at          TEXT,                               -- of the latest attempt
    completed_at        TEXT,
    finish_number       INTEGER,                            -- the order in which jobs finished
    cancel_requested_at TEXT,
    attempt             INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts        INTEGER NOT NULL CHECK (max_attempts >= 1),
    run_dir             TEXT,                               -- of the latest attempt
    output_dir          TEXT,                               -- of the latest attempt
    exit_code           INTEGER,
    error               TEXT,
    result              TEXT CHECK (result IS NULL OR json_valid(result)),
    provenance          TEXT CHECK (provenance IS NULL OR json_valid(provenance)),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CHECK ((completed_at IS NULL) = (finish_number IS NULL)),
    CHECK (status <> 'running' OR (started_at IS NOT NULL AND attempt >= 1)),
    CHECK (status <> 'completed' OR result IS NOT NULL),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) STRICT;

-- The queue in its order, and what runs.
CREATE INDEX jobs_status ON jobs (status, priority DESC, seq);
-- Finished jobs, oldest first: pruning.
-- By number and not by time, since clocks are set back.
CREATE UNIQUE INDEX jobs_finished ON jobs (finish_number) WHERE finish_number IS NOT NULL;

-- How many jobs there are in each state: kept by triggers, so that nobody has to count.
CREATE TABLE job_counts (
    status TEXT PRIMARY KEY,
    jobs   INTEGER NOT NULL DEFAULT 0 CHECK (jobs >= 0)
) STRICT, WITHOUT ROWID;

INSERT INTO job_counts (status)
VALUES ('queued'), ('running'), ('completed'), ('failed'), ('cancelled');

CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs
BEGIN
    UPDATE job_counts SET jobs = jobs + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER jobs_count_update AFTER UPDATE OF status ON jobs
BEGIN
    UPDATE job_counts SET jobs = jobs - 1 WHERE status = OLD.status;
    UPDATE job_counts SET jobs = jobs + 1 WHERE status = NEW.status;
END;

CREATE TRIGGER jobs_count_delete AFTER DELETE ON jobs
BEGIN
    UPDATE job_counts SET jobs = jobs - 1 WHERE status = OLD.status;
END;

INSERT INTO jobs (
    seq, job_id, status, engine, model, tasks,
    priority, labels, request, submitted_by, created_at, started_at,
    completed_at, cancel_requested_at, attempt, max_attempts, run_dir, output_dir,
    exit_code, error, result, provenance,
    finish_number
)
SELECT
    old.seq, old.job_id, old.status, old.engine, old.model, old.tasks,
    old.priority, old.labels, old.request, old.submitted_by, old.created_at, old.started_at,
    old.completed_at, old.cancel_requested_at, old.attempt, old.max_attempts, old.run_dir, old.output_dir,
    old.exit_code, old.error, old.result, old.provenance,
    CASE WHEN old.completed_at IS NOT NULL THEN
        (SELECT max(event_id) FROM job_events WHERE job_events.job_id = old.job_id)
    END
FROM temp.carried_jobs AS old
ORDER BY old.seq;

-- Numbers of jobs that were pruned are not given out again.
DELETE FROM sqlite_sequence WHERE name = 'jobs';
INSERT INTO sqlite_sequence (name, seq) SELECT 'jobs', seq FROM temp.carried_sequence;

DROP TABLE temp.carried_jobs;
DROP TABLE temp.carried_sequence;

-- REPLACE deletes the row that is in its way, and fires no delete trigger.
CREATE TRIGGER job_events_no_replace BEFORE INSERT ON job_events
WHEN EXISTS (SELECT 1 FROM job_events WHERE event_id = NEW.event_id OR hash = NEW.hash)
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
