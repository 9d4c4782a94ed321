-- Series whose newest step goes first: what starts exchanges its place in the queue with the job
-- whose turn it was.

ALTER TABLE jobs ADD COLUMN newest_first INTEGER NOT NULL DEFAULT 0
    CHECK (newest_first IN (0, 1) AND (newest_first = 0 OR (series IS NOT NULL AND step IS NOT NULL)));
-- Among the jobs of its priority; NULL: that of its submission, seq.
ALTER TABLE jobs ADD COLUMN place INTEGER;

DROP VIEW queue_now;
CREATE VIEW queue_now AS
WITH queued AS (
    SELECT jobs.*, coalesce(place, seq) AS own_place,
           -- Jobs that take the places of each other.
           CASE WHEN newest_first AND handed_over_at IS NULL THEN json_array(
               series, priority, executor, submitted_by,
               CASE WHEN json_valid(request) THEN coalesce(json_extract(request, '$.num_gpus'), 1) END,
               CASE WHEN json_valid(request)
                   THEN json_extract(request, '$.wait_for_path_s') IS NOT NULL END
           ) ELSE seq END AS alike
    FROM jobs
    WHERE status = 'queued'
),
ranked AS (
    SELECT *,
           row_number() OVER (PARTITION BY alike ORDER BY own_place) AS place_number,
           row_number() OVER (PARTITION BY alike ORDER BY step DESC, own_place) AS step_number
    FROM queued
)
SELECT row_number() OVER (ORDER BY job.priority DESC, place.own_place) - 1 AS position_in_queue,
       job.job_id, job.engine, job.model, job.tasks, job.priority, job.submitted_by, job.created_at,
       job.attempt
FROM ranked AS job
JOIN ranked AS place
  ON place.alike = job.alike AND place.place_number = job.step_number
ORDER BY job.priority DESC, place.own_place;
