-- What people call the model of a job: its checkpoint, as lists show it, else the model.

-- Of at most 512 characters, without secrets.
ALTER TABLE jobs ADD COLUMN model_title TEXT NOT NULL DEFAULT '';

UPDATE jobs SET model_title = substr(
    CASE WHEN json_valid(request) THEN coalesce(
        CASE json_type(request, '$.model_args.pretrained')
            WHEN 'text' THEN nullif(json_extract(request, '$.model_args.pretrained'), '') END,
        CASE json_type(request, '$.model_args.model')
            WHEN 'text' THEN nullif(json_extract(request, '$.model_args.model'), '') END,
        CASE json_type(request, '$.model_args.model_version')
            WHEN 'text' THEN nullif(json_extract(request, '$.model_args.model_version'), '') END,
        CASE json_type(request, '$.model_args.model_name')
            WHEN 'text' THEN nullif(json_extract(request, '$.model_args.model_name'), '') END,
        CASE json_type(request, '$.model_args.peft')
            WHEN 'text' THEN nullif(json_extract(request, '$.model_args.peft'), '') END,
        model
    ) ELSE model END,
    1, 512
);

CREATE INDEX jobs_by_model_title ON jobs (model_title);
