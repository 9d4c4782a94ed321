PRAGMA application_id = 1702257004;
PRAGMA user_version = 1;
BEGIN TRANSACTION;
CREATE TABLE engine_cache (
    engine     TEXT NOT NULL,
    question   TEXT NOT NULL,
    version    TEXT NOT NULL,
    answer     TEXT NOT NULL CHECK (json_valid(answer)),
    fetched_at TEXT NOT NULL,
    PRIMARY KEY (engine, question)
) STRICT, WITHOUT ROWID;
CREATE TABLE idempotency_keys (
    key          TEXT NOT NULL,
    submitted_by TEXT NOT NULL,
    body_hash    TEXT NOT NULL,
    job_id       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (submitted_by, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_events (
    event_id    INTEGER PRIMARY KEY AUTOINCREMENT,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    job_id      TEXT NOT NULL,
    event       TEXT NOT NULL,
    from_status TEXT,
    to_status   TEXT,
    attempt     INTEGER NOT NULL,
    detail      TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(detail)),
    prev_hash   TEXT NOT NULL,
    hash        TEXT NOT NULL UNIQUE
) STRICT;
INSERT INTO "job_events" VALUES(1,'2030-01-01T00:01:00.000+00:00','alice','pruned','submitted',NULL,'queued',0,'{}','0000000000000000000000000000000000000000000000000000000000000000','d751fc4b68052657ca2c51ab84dc64f40add90b01b1d0718f4165b5f3eab8b01');
INSERT INTO "job_events" VALUES(2,'2030-01-01T00:02:00.000+00:00','alice','completed','submitted',NULL,'queued',0,'{}','d751fc4b68052657ca2c51ab84dc64f40add90b01b1d0718f4165b5f3eab8b01','53f2db2608ae85df9a9538f7848b1a797d93b03d97e00371eee9c4cceaa598bf');
INSERT INTO "job_events" VALUES(3,'2030-01-01T00:03:00.000+00:00','alice','failed','submitted',NULL,'queued',0,'{}','53f2db2608ae85df9a9538f7848b1a797d93b03d97e00371eee9c4cceaa598bf','f45f0068b04c8e2fe43d0370d613031f064d6de763e6d0d16b98036304447a72');
INSERT INTO "job_events" VALUES(4,'2030-01-01T00:04:00.000+00:00','alice','cancelled','submitted',NULL,'queued',0,'{}','f45f0068b04c8e2fe43d0370d613031f064d6de763e6d0d16b98036304447a72','64b785c51db4f539c19e40bc82e5e34f0cb20c8dc418a3a005bd27f153a9fc72');
INSERT INTO "job_events" VALUES(5,'2030-01-01T00:05:00.000+00:00','alice','running','submitted',NULL,'queued',0,'{}','64b785c51db4f539c19e40bc82e5e34f0cb20c8dc418a3a005bd27f153a9fc72','ae6a0408fe6303dc02553a952da5de2804287d7a527fdbac2fb1831127344662');
INSERT INTO "job_events" VALUES(6,'2030-01-01T00:06:00.000+00:00','alice','queued','submitted',NULL,'queued',0,'{}','ae6a0408fe6303dc02553a952da5de2804287d7a527fdbac2fb1831127344662','9930c7dd437b6ef6bd619da185740af3ef946d0753d8bedd18e31af517c8efdf');
INSERT INTO "job_events" VALUES(7,'2030-01-01T00:07:00.000+00:00','server','pruned','claimed','queued','running',1,'{"run_dir":"/runs/pruned/1"}','9930c7dd437b6ef6bd619da185740af3ef946d0753d8bedd18e31af517c8efdf','ea5279b27d0541e0bea233f9edbebd03e2e158835d09be56ef2da84b9421441f');
INSERT INTO "job_events" VALUES(8,'2030-01-01T00:08:00.000+00:00','server','pruned','completed','running','completed',1,'{"error":null,"exit_code":0}','ea5279b27d0541e0bea233f9edbebd03e2e158835d09be56ef2da84b9421441f','902c3d33af7c7e6bdf3d55f18191845b9b214dbc62378f216c5b1de0696ce163');
INSERT INTO "job_events" VALUES(9,'2030-01-01T00:09:00.000+00:00','server','completed','claimed','queued','running',1,'{"run_dir":"/runs/completed/1"}','902c3d33af7c7e6bdf3d55f18191845b9b214dbc62378f216c5b1de0696ce163','2beb25d1bae99a749388079b622d3432f5d8f7f8036274e206dd07349b3a42df');
INSERT INTO "job_events" VALUES(10,'2030-01-01T00:10:00.000+00:00','server','completed','completed','running','completed',1,'{"error":null,"exit_code":0}','2beb25d1bae99a749388079b622d3432f5d8f7f8036274e206dd07349b3a42df','197f2619b4e50b7115c8f92b005e3d4041e818ee45f8d32115c17c7358a5d558');
INSERT INTO "job_events" VALUES(11,'2030-01-01T00:11:00.000+00:00','server','failed','claimed','queued','running',1,'{"run_dir":"/runs/failed/1"}','197f2619b4e50b7115c8f92b005e3d4041e818ee45f8d32115c17c7358a5d558','aed5b54b49de58650b936cd65da0b4ba8a96c02a62e3cad2fbd820f63a496ee6');
INSERT INTO "job_events" VALUES(12,'2030-01-01T00:12:00.000+00:00','server','failed','failed','running','failed',1,'{"error":"out of memory","exit_code":9}','aed5b54b49de58650b936cd65da0b4ba8a96c02a62e3cad2fbd820f63a496ee6','c6e5fa39b2459b073bd4276a0ae3f632203540c10a08326c2c3cf805cedb2f18');
INSERT INTO "job_events" VALUES(13,'2030-01-01T00:12:00.000+00:00','server','pruned','pruned','completed',NULL,1,'{}','c6e5fa39b2459b073bd4276a0ae3f632203540c10a08326c2c3cf805cedb2f18','bcb5ab19c9bdced63060600ce7748bf3635c205b6a0e3ef41a534b787dd7dda7');
INSERT INTO "job_events" VALUES(14,'2030-01-01T00:13:00.000+00:00','bob','cancelled','cancelled','queued','cancelled',0,'{}','bcb5ab19c9bdced63060600ce7748bf3635c205b6a0e3ef41a534b787dd7dda7','f12d39a48ee3dd22849a69e1b3e818821ba08137e59bd9d399a835c6be6b0223');
INSERT INTO "job_events" VALUES(15,'2030-01-01T00:14:00.000+00:00','server','running','claimed','queued','running',1,'{"run_dir":"/runs/running/1"}','f12d39a48ee3dd22849a69e1b3e818821ba08137e59bd9d399a835c6be6b0223','6ee689c672213b6ed8efe1c38f305db88e40a43599e18de429a0bd9ffd116a78');
CREATE TABLE jobs (
    seq                 INTEGER PRIMARY KEY AUTOINCREMENT,  -- the order of submission
    job_id              TEXT NOT NULL UNIQUE,
    status              TEXT NOT NULL
        CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
    engine              TEXT NOT NULL,
    model               TEXT NOT NULL CHECK (model <> ''),
    tasks               TEXT NOT NULL CHECK (json_valid(tasks)),
    priority            INTEGER NOT NULL DEFAULT 0,
    labels              TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(labels)),
    request             TEXT NOT NULL CHECK (json_valid(request)),
    submitted_by        TEXT NOT NULL,
    created_at          TEXT NOT NULL,
    started_at          TEXT,                               -- of the latest attempt
    completed_at        TEXT,
    cancel_requested_at TEXT,
    attempt             INTEGER NOT NULL DEFAULT 0 CHECK (attempt >= 0),
    max_attempts        INTEGER NOT NULL CHECK (max_attempts >= 1),
    run_dir             TEXT,                               -- of the latest attempt
    output_dir          TEXT,                               -- of the latest attempt
    exit_code           INTEGER,
    error               TEXT,
    result              TEXT CHECK (result IS NULL OR json_valid(result)),
    provenance          TEXT CHECK (provenance IS NULL OR json_valid(provenance)),
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CHECK (status <> 'running' OR (started_at IS NOT NULL AND attempt >= 1)),
    CHECK (status <> 'completed' OR result IS NOT NULL),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) STRICT;
INSERT INTO "jobs" VALUES(2,'completed','completed','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":false}','alice','2030-01-01T00:02:00.000+00:00','2030-01-01T00:09:00.000+00:00','2030-01-02T00:00:01.000+00:00',NULL,1,2,'/runs/completed/1','/out',0,NULL,'{"small":{"results":null,"samples":[],"metrics":{"mme":{"acc":0.5}}}}',NULL);
INSERT INTO "jobs" VALUES(3,'failed','failed','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":false}','alice','2030-01-01T00:03:00.000+00:00','2030-01-01T00:11:00.000+00:00','2030-01-02T00:00:02.000+00:00',NULL,1,2,'/runs/failed/1','/out',9,'out of memory',NULL,NULL);
INSERT INTO "jobs" VALUES(4,'cancelled','cancelled','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":false}','alice','2030-01-01T00:04:00.000+00:00',NULL,'2030-01-01T00:13:00.000+00:00',NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'running','running','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":false}','alice','2030-01-01T00:05:00.000+00:00','2030-01-01T00:14:00.000+00:00',NULL,NULL,1,2,'/runs/running/1','/out',NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(6,'queued','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":false}','alice','2030-01-01T00:06:00.000+00:00',NULL,NULL,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE metrics (
    job_id           TEXT NOT NULL REFERENCES jobs (job_id) ON DELETE CASCADE,
    task             TEXT NOT NULL,
    metric           TEXT NOT NULL,
    filter           TEXT NOT NULL,
    value            REAL NOT NULL,
    stderr           REAL,
    n                INTEGER,
    higher_is_better INTEGER CHECK (higher_is_better IN (0, 1)),
    PRIMARY KEY (job_id, task, metric, filter)
) STRICT, WITHOUT ROWID;
INSERT INTO "metrics" VALUES('completed','mme','acc','none',0.5,0.1,64,1);
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT;
INSERT INTO "schema_migrations" VALUES(1,'0001_initial.sql','6179a1d61c933224a0348e428a951dd8e672cd09d414dc15da90c2df9248d027','2030-01-01T00:00:00.000+00:00');
CREATE TABLE tokens (
    token_id     TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'submitter', 'admin')),
    secret_hash  TEXT NOT NULL UNIQUE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT
) STRICT;
CREATE INDEX jobs_status ON jobs (status, priority DESC, seq);
CREATE INDEX jobs_finished ON jobs (completed_at, seq) WHERE completed_at IS NOT NULL;
CREATE INDEX job_events_job ON job_events (job_id, event_id);
CREATE TRIGGER job_events_no_update BEFORE UPDATE ON job_events
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
CREATE TRIGGER job_events_no_delete BEFORE DELETE ON job_events
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
CREATE INDEX metrics_task ON metrics (task, metric, filter, value);
CREATE VIEW queue_now AS
SELECT row_number() OVER (ORDER BY priority DESC, seq) - 1 AS position_in_queue,
       job_id, engine, model, tasks, priority, submitted_by, created_at, attempt
FROM jobs
WHERE status = 'queued'
ORDER BY priority DESC, seq;
CREATE VIEW leaderboard AS
SELECT metrics.task, metrics.metric, metrics.filter, metrics.value, metrics.stderr, metrics.n,
       jobs.model, json_extract(jobs.request, '$.model_args') AS model_args,
       jobs.job_id, jobs.completed_at
FROM metrics
JOIN jobs ON jobs.job_id = metrics.job_id
ORDER BY metrics.task, metrics.metric, metrics.filter,
         CASE metrics.higher_is_better WHEN 0 THEN metrics.value ELSE -metrics.value END;
CREATE VIEW who_ran_what AS
SELECT submitted_by, model, tasks, status, created_at, started_at, completed_at, job_id
FROM jobs
ORDER BY seq DESC;
CREATE VIEW time_per_model AS
SELECT model, engine, count(*) AS jobs,
       round(sum((julianday(completed_at) - julianday(started_at)) * 86400), 1) AS seconds
FROM jobs
WHERE started_at IS NOT NULL AND completed_at IS NOT NULL
GROUP BY model, engine
ORDER BY seconds DESC;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',6);
INSERT INTO "sqlite_sequence" VALUES('job_events',15);
COMMIT;
