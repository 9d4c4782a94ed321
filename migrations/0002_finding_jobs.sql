-- What GET /jobs needs to find its page without reading every job, and the answers to
-- submissions that carry an Idempotency-Key.

-- Who has a status, a model, ..., in the order of submission: an entry of an index is followed by
-- its row's seq.
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_model ON jobs (model);
CREATE INDEX jobs_by_engine ON jobs (engine);
CREATE INDEX jobs_by_submitter ON jobs (submitted_by);

-- The tasks and labels of jobs, kept by triggers and gone with their job: no index reaches into
-- a JSON column. Neither ever changes.
CREATE TABLE job_tasks (
    task TEXT NOT NULL,
    seq  INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_tasks_of ON job_tasks (seq);

CREATE TABLE job_labels (
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    seq  INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (name, text, seq)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_labels_of ON job_labels (seq);

CREATE TRIGGER jobs_tasks_insert AFTER INSERT ON jobs
BEGIN
    INSERT OR IGNORE INTO job_tasks (task, seq)
    SELECT value, NEW.seq FROM json_each(NEW.tasks);
END;

CREATE TRIGGER jobs_labels_insert AFTER INSERT ON jobs
BEGIN
    INSERT OR IGNORE INTO job_labels (name, text, seq)
    SELECT key, value, NEW.seq FROM json_each(NEW.labels);
END;

INSERT OR IGNORE INTO job_tasks (task, seq)
SELECT value, seq FROM jobs, json_each(jobs.tasks);

INSERT OR IGNORE INTO job_labels (name, text, seq)
SELECT key, value, seq FROM jobs, json_each(jobs.labels);

-- Between which times each 512 successive submissions were made: so a time leads to a seq. Clocks
-- are set back, so that an index of created_at would not be in the order of submission.
CREATE TABLE job_spans (
    span     INTEGER PRIMARY KEY,  -- seq / 512
    earliest TEXT NOT NULL,
    latest   TEXT NOT NULL
) STRICT;

CREATE TRIGGER jobs_span_insert AFTER INSERT ON jobs
BEGIN
    INSERT INTO job_spans (span, earliest, latest)
    VALUES (NEW.seq / 512, NEW.created_at, NEW.created_at)
    ON CONFLICT (span) DO UPDATE
    SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest);
END;

INSERT INTO job_spans (span, earliest, latest)
SELECT seq / 512, min(created_at), max(created_at) FROM jobs GROUP BY seq / 512;

-- Nothing has written to it so far. What is new: the answer that the first request got.
DROP TABLE idempotency_keys;

CREATE TABLE idempotency_keys (
    key          TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    body_hash    TEXT NOT NULL,
    job_id       TEXT NOT NULL,
    answer       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (submitted_by, key)
) STRICT, WITHOUT ROWID;
