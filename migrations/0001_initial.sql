-- The schema of evalserver's database. docs/audit.md describes it for those who read it.
-- Times are ISO 8601 text in UTC, to the millisecond: they sort as text and read well.

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

-- The audit log: who did what when, for every change of every job; never changed, never deleted.
-- hash = sha256 over prev_hash and the row's own values, so that an edited history shows.
CREATE TABLE job_events (
    event_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    event       TEXT NOT NULL,
    from_status TEXT,
    to_status   TEXT,
    attempt     INTEGER NOT NULL,
    detail      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(detail)),
    prev_hash   TEXT NOT NULL,
    hash        TEXT NOT NULL UNIQUE
) STRICT;

CREATE INDEX job_events_job ON job_events (job_id, event_id);

CREATE TRIGGER job_events_no_update BEFORE UPDATE ON job_events
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;

CREATE TRIGGER job_events_no_delete BEFORE DELETE ON job_events
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;

-- REPLACE deletes the row that is in its way, and fires no delete trigger.
CREATE TRIGGER job_events_no_replace BEFORE INSERT ON job_events
WHEN EXISTS (SELECT 1 FROM job_events WHERE event_id = NEW.event_id OR hash = NEW.hash)
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;

-- The numbers of completed jobs, one row a task, metric and filter.
CREATE TABLE metrics (
    job_id           TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    task             TEXT NOT NULL,
    metric           TEXT NOT NULL,
    filter           TEXT NOT NULL,
    value            REAL NOT NULL,
    stderr           REAL,
    n                INTEGER,
    higher_is_better INTEGER CHECK (higher_is_better IN (0, 1)),
    PRIMARY KEY (job_id, task, metric, filter)
) STRICT, WITHOUT ROWID;

CREATE INDEX metrics_task ON metrics (task, metric, filter, value);

-- Answers kept for repeated submissions: the same key and body give the same job.
CREATE TABLE idempotency_keys (
    key          TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    body_hash    TEXT NOT NULL,
    job_id       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (submitted_by, key)
) STRICT, WITHOUT ROWID;

-- Access tokens; only a hash of the secret is kept.
CREATE TABLE tokens (
    token_id     TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'submitter', 'admin')),
    secret_hash  TEXT NOT NULL UNIQUE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT
) STRICT;

-- What a harness answered outside a job (its tasks, its models), per version of the harness.
CREATE TABLE engine_cache (
    engine     TEXT NOT NULL,
    question   TEXT NOT NULL,
    version    TEXT NOT NULL,
    answer     TEXT NOT NULL CHECK (json_valid(answer)),
    fetched_at TEXT NOT NULL,
    PRIMARY KEY (engine, question)
) STRICT, WITHOUT ROWID;

-- Views for the common questions.

CREATE VIEW queue_now AS
SELECT row_number() OVER (ORDER BY priority DESC, seq) - 1 AS position_in_queue,
       job_id, engine, model, tasks, priority, submitted_by, created_at, attempt
FROM jobs
WHERE status = 'queued'
ORDER BY priority DESC, seq;

CREATE VIEW leaderboard AS
SELECT metrics.task, metrics.metric, metrics.filter, metrics.value, metrics.stderr, metrics.n,
       jobs.model, json_extract(jobs.request, '$.model_args') AS model_args,
       jobs.job_id, jobs.completed_at
FROM metrics
JOIN jobs ON jobs.job_id = metrics.job_id
ORDER BY metrics.task, metrics.metric, metrics.filter,
         CASE metrics.higher_is_better WHEN 0 THEN metrics.value ELSE -metrics.value END;

CREATE VIEW who_ran_what AS
SELECT submitted_by, model, tasks, status, created_at, started_at, completed_at, job_id
FROM jobs
ORDER BY seq DESC;

CREATE VIEW time_per_model AS
SELECT model, engine, count(*) AS jobs,
       round(sum((julianday(completed_at) - julianday(started_at)) * 86400), 1) AS seconds
FROM jobs
WHERE started_at IS NOT NULL AND completed_at IS NOT NULL
GROUP BY model, engine
ORDER BY seconds DESC;
