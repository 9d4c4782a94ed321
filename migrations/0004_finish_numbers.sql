-- A job's finish_number is the id of the event with which it finished, no longer a number of its own:
-- so who has seen all jobs up to an event is told of those that finished behind it.
-- In two steps, since no two jobs may have the same number for a moment.
UPDATE jobs
SET finish_number = -(SELECT max(event_id) FROM job_events WHERE job_events.job_id = jobs.job_id)
WHERE finish_number IS NOT NULL;

UPDATE jobs SET finish_number = -finish_number WHERE finish_number < 0;
