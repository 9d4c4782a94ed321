-- The training run that a job belongs to, and the step of its checkpoint: until now they were labels
-- of these names, which stay.

ALTER TABLE jobs ADD COLUMN series TEXT;
ALTER TABLE jobs ADD COLUMN step INTEGER CHECK (step BETWEEN 0 AND 9007199254740991);

UPDATE jobs SET series = (
    SELECT text FROM job_labels
    WHERE job_labels.seq = jobs.seq AND job_labels.name = 'series' AND text <> ''
);
UPDATE jobs SET step = (
    SELECT CAST(text AS INTEGER) FROM job_labels
    WHERE job_labels.seq = jobs.seq AND job_labels.name = 'step'
      AND length(text) BETWEEN 1 AND 16 AND text NOT GLOB '*[^0-9]*'
      AND CAST(text AS INTEGER) <= 9007199254740991
);

CREATE INDEX jobs_by_series ON jobs (series) WHERE series IS NOT NULL;
CREATE INDEX jobs_by_step ON jobs (step) WHERE step IS NOT NULL;
-- What a newer step of a series may supersede.
CREATE INDEX jobs_queued_in_series ON jobs (series, step)
WHERE series IS NOT NULL AND status = 'queued';
