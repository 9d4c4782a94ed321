-- Jobs that were submitted together have the id of their batch.

ALTER TABLE jobs ADD COLUMN batch_id TEXT;
CREATE INDEX jobs_by_batch ON jobs (batch_id) WHERE batch_id IS NOT NULL;

ALTER TABLE pruned_jobs ADD COLUMN batch_id TEXT;
CREATE INDEX pruned_jobs_by_batch ON pruned_jobs (batch_id) WHERE batch_id IS NOT NULL;
