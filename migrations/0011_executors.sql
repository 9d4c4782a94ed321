-- Where jobs run: on the server's own machine, or on a cluster that they are handed over to.

-- The table [executors.NAME] of the settings that the job runs on; 'local' is the server's machine.
ALTER TABLE jobs ADD COLUMN executor TEXT NOT NULL DEFAULT 'local' CHECK (executor <> '');

-- When the latest attempt was handed over to a cluster, where it may wait before it starts; NULL if
-- it was not. A queued job with this time is in the hands of the cluster.
ALTER TABLE jobs ADD COLUMN handed_over_at TEXT CHECK (handed_over_at IS NULL OR attempt >= 1);

-- What was handed over to each executor and has not finished.
CREATE INDEX jobs_handed_over ON jobs (executor, handed_over_at)
WHERE handed_over_at IS NOT NULL AND completed_at IS NULL;

-- Unfinished jobs by executor: a table of the settings may not vanish while one names it.
CREATE INDEX jobs_unfinished_by_executor ON jobs (executor) WHERE completed_at IS NULL;
