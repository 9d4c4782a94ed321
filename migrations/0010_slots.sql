-- Several evaluations at once: which GPUs are held and by whom, which are quarantined, what was
-- used, and which running jobs have stalled.

-- A GPU is held by one holder at most: it is the primary key. Released by the trigger below when
-- the job stops running, in the same unit of work.
CREATE TABLE gpu_holds (
    gpu         TEXT PRIMARY KEY,               -- UUID, or as in --gpus where NVML is missing
    holder_kind TEXT NOT NULL CHECK (holder_kind IN ('job', 'service')),
    holder_id   TEXT NOT NULL,
    since       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX gpu_holds_by_holder ON gpu_holds (holder_kind, holder_id);

CREATE TRIGGER gpu_holds_release AFTER UPDATE OF status ON jobs
WHEN OLD.status = 'running' AND NEW.status <> 'running'
BEGIN
    DELETE FROM gpu_holds WHERE holder_kind = 'job' AND holder_id = OLD.job_id;
END;

-- GPUs that nothing is started on, until an administrator says otherwise.
CREATE TABLE gpu_quarantines (
    gpu    TEXT PRIMARY KEY,
    since  TEXT NOT NULL,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- The GPUs that the last attempt got; NULL if the server managed none then.
ALTER TABLE jobs ADD COLUMN gpus TEXT CHECK (gpus IS NULL OR json_valid(gpus));
-- Since when a running job has written nothing and used no GPU.
ALTER TABLE jobs ADD COLUMN stalled_since TEXT;

-- One row for each attempt that has ended. It stays when the job is pruned.
CREATE TABLE gpu_usage (
    job_id       TEXT NOT NULL,
    attempt      INTEGER NOT NULL,
    submitted_by TEXT NOT NULL,
    engine       TEXT NOT NULL,
    model        TEXT NOT NULL,
    series       TEXT,
    gpus         INTEGER NOT NULL CHECK (gpus >= 0),
    started_at   TEXT NOT NULL,
    ended_at     TEXT NOT NULL,
    seconds      REAL NOT NULL CHECK (seconds >= 0),
    PRIMARY KEY (job_id, attempt)
) STRICT, WITHOUT ROWID;

CREATE INDEX gpu_usage_by_end ON gpu_usage (ended_at);

CREATE VIEW gpu_seconds_by_month AS
SELECT substr(ended_at, 1, 7) AS month, submitted_by, series, model,
       count(*) AS attempts, round(sum(seconds), 1) AS seconds,
       round(sum(seconds * gpus), 1) AS gpu_seconds
FROM gpu_usage
GROUP BY month, submitted_by, series, model
ORDER BY month DESC, gpu_seconds DESC;
