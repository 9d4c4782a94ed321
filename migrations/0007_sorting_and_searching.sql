-- What GET /jobs needs to sort, and to find jobs by what their models were given.

-- An entry of an index is followed by its row's seq, so jobs that are equal are in their order.
CREATE INDEX jobs_by_priority ON jobs (priority);
-- A submission has none of the times, and so costs nothing in their indexes.
CREATE INDEX jobs_by_start ON jobs (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (completed_at) WHERE completed_at IS NOT NULL;
-- How many milliseconds the last attempt took. No generated column: SQLite 3.40 cannot VACUUM INTO
-- what has one.
CREATE INDEX jobs_by_time_taken ON jobs (
    CAST(round((julianday(completed_at) - julianday(started_at)) * 86400000) AS INTEGER)
) WHERE completed_at IS NOT NULL;

-- The values of model_args of each job that has some, in small letters and without secrets, a line
-- each. SQL cannot tell what is secret, so this is written with the job, and jobs that are older
-- than this table are not in it.
CREATE TABLE job_arguments (
    seq  INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    text TEXT NOT NULL
) STRICT;
