-- For databases made by 0007 as it was when its indexes of times had jobs without a time in them.
DROP INDEX jobs_by_start;
DROP INDEX jobs_by_end;
DROP INDEX jobs_by_time_taken;

CREATE INDEX jobs_by_start ON jobs (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX jobs_by_time_taken ON jobs (
    CAST(round((julianday(completed_at) - julianday(started_at)) * 86400000) AS INTEGER)
) WHERE completed_at IS NOT NULL;
