-- How long jobs of one kind took, the newest first: what the next one of the kind will take.
-- The columns are those of a kind (evalserver/store/durations.py); -1, or none, is no limit.
CREATE INDEX jobs_durations ON jobs (
    engine, model, tasks,
    coalesce(json_extract(request, '$.limit'), -1), json_extract(request, '$.num_gpus'),
    finish_number
) WHERE status = 'completed';
