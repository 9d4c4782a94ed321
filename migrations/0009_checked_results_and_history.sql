-- What the check of a job's results found, why it failed, the metrics of a job that failed halfway;
-- and what is kept of jobs that are pruned.

ALTER TABLE jobs ADD COLUMN result_status TEXT
    CHECK (result_status IN ('ok', 'warnings', 'failed'));
-- A list of {"task", "code", "message"}.
ALTER TABLE jobs ADD COLUMN findings TEXT CHECK (findings IS NULL OR json_valid(findings));
ALTER TABLE jobs ADD COLUMN failure_code TEXT;
ALTER TABLE jobs ADD COLUMN failure_advice TEXT;
-- In the shape of result.*.metrics: {task: {"metric,filter": value}}.
ALTER TABLE jobs ADD COLUMN partial TEXT CHECK (partial IS NULL OR json_valid(partial));

CREATE INDEX jobs_by_result_status ON jobs (result_status) WHERE result_status IS NOT NULL;
CREATE INDEX jobs_by_failure ON jobs (failure_code) WHERE failure_code IS NOT NULL;

-- Pruned jobs without their files, logs and full record: what trends, forecasts and comparisons need,
-- and who ran what. No secrets: model_args and harness_args are
-- masked.
CREATE TABLE pruned_jobs (
    job_id         TEXT PRIMARY KEY,
    seq            INTEGER NOT NULL UNIQUE,     -- the order of submission
    status         TEXT NOT NULL CHECK (status IN ('completed', 'failed', 'cancelled')),
    engine         TEXT NOT NULL,
    model          TEXT NOT NULL,
    model_args     TEXT CHECK (model_args IS NULL OR json_valid(model_args)),
    model_names    TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(model_names)),
    tasks          TEXT NOT NULL CHECK (json_valid(tasks)),
    labels         TEXT NOT NULL CHECK (json_valid(labels)),
    series         TEXT,
    step           TEXT,
    harness_args   TEXT CHECK (harness_args IS NULL OR json_valid(harness_args)),
    sample_limit   REAL NOT NULL DEFAULT -1,    -- -1 is no limit
    num_gpus       INTEGER NOT NULL DEFAULT 1,
    executor       TEXT NOT NULL DEFAULT 'local',
    submitted_by   TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    started_at     TEXT,
    completed_at   TEXT NOT NULL,
    finish_number  INTEGER NOT NULL UNIQUE,     -- the order in which jobs finished
    attempt        INTEGER NOT NULL,
    exit_code      INTEGER,
    error          TEXT,                        -- the first line
    failure_code   TEXT,
    result_status  TEXT CHECK (result_status IN ('ok', 'warnings', 'failed')),
    findings       TEXT CHECK (findings IS NULL OR json_valid(findings)),
    provenance     TEXT CHECK (provenance IS NULL OR json_valid(provenance)),
    pruned_at      TEXT NOT NULL
) STRICT;

CREATE INDEX pruned_jobs_by_series ON pruned_jobs (series) WHERE series IS NOT NULL;
CREATE INDEX pruned_jobs_durations ON pruned_jobs (
    engine, model, tasks, sample_limit, num_gpus, finish_number
) WHERE status = 'completed';

-- How many bytes the files of a finished job take, without those in a directory that the client
-- named. Jobs that finished before this column was there have none.
ALTER TABLE jobs ADD COLUMN output_bytes INTEGER CHECK (output_bytes >= 0);
CREATE INDEX jobs_by_output_bytes ON jobs (finish_number, output_bytes)
WHERE finish_number IS NOT NULL;

-- Views that read metrics or jobs are made again below.
DROP VIEW leaderboard;
DROP VIEW who_ran_what;
DROP VIEW time_per_model;

-- The metrics of jobs and of pruned jobs: they outlive the row in jobs, so the foreign key goes.
CREATE TABLE metrics_of_all (
    job_id           TEXT NOT NULL,
    task             TEXT NOT NULL,
    metric           TEXT NOT NULL,
    filter           TEXT NOT NULL,
    value            REAL NOT NULL,
    stderr           REAL,
    n                INTEGER,
    higher_is_better INTEGER CHECK (higher_is_better IN (0, 1)),
    PRIMARY KEY (job_id, task, metric, filter)
) STRICT, WITHOUT ROWID;

INSERT INTO metrics_of_all
SELECT job_id, task, metric, filter, value, stderr, n, higher_is_better FROM metrics;

DROP TABLE metrics;
ALTER TABLE metrics_of_all RENAME TO metrics;
CREATE INDEX metrics_task ON metrics (task, metric, filter, value);

CREATE TRIGGER metrics_of_a_job BEFORE INSERT ON metrics
WHEN NOT EXISTS (SELECT 1 FROM jobs WHERE job_id = NEW.job_id)
BEGIN
    SELECT RAISE(ABORT, 'metrics: there is no such job');
END;

CREATE TRIGGER pruned_jobs_delete_metrics AFTER DELETE ON pruned_jobs
BEGIN
    DELETE FROM metrics WHERE job_id = OLD.job_id;
END;

CREATE VIEW all_jobs AS
SELECT seq, job_id, status, engine, model, tasks, labels, submitted_by, created_at, started_at,
       completed_at, 0 AS pruned,
       CASE WHEN json_valid(request) THEN json_extract(request, '$.model_args') END AS model_args
FROM jobs
UNION ALL
SELECT seq, job_id, status, engine, model, tasks, labels, submitted_by, created_at, started_at,
       completed_at, 1 AS pruned, model_args
FROM pruned_jobs;

CREATE VIEW leaderboard AS
SELECT metrics.task, metrics.metric, metrics.filter, metrics.value, metrics.stderr, metrics.n,
       all_jobs.model, all_jobs.model_args, all_jobs.job_id, all_jobs.completed_at,
       all_jobs.pruned
FROM metrics
JOIN all_jobs ON all_jobs.job_id = metrics.job_id
WHERE all_jobs.status = 'completed'
ORDER BY metrics.task, metrics.metric, metrics.filter,
         CASE metrics.higher_is_better WHEN 0 THEN metrics.value ELSE -metrics.value END;

CREATE VIEW who_ran_what AS
SELECT submitted_by, model, tasks, status, created_at, started_at, completed_at, job_id, pruned
FROM all_jobs
ORDER BY seq DESC;

CREATE VIEW time_per_model AS
SELECT model, engine, count(*) AS jobs,
       round(sum((julianday(completed_at) - julianday(started_at)) * 86400), 1) AS seconds
FROM all_jobs
WHERE started_at IS NOT NULL AND completed_at IS NOT NULL
GROUP BY model, engine
ORDER BY seconds DESC;
