PRAGMA application_id = 1702257004;
PRAGMA user_version = 3;
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
    answer       TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    PRIMARY KEY (submitted_by, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE job_counts (
    status TEXT PRIMARY KEY,
    jobs   INTEGER NOT NULL DEFAULT 0 CHECK (jobs >= 0)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_counts" VALUES('cancelled',1);
INSERT INTO "job_counts" VALUES('completed',1);
INSERT INTO "job_counts" VALUES('failed',0);
INSERT INTO "job_counts" VALUES('queued',2);
INSERT INTO "job_counts" VALUES('running',1);
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
INSERT INTO "job_events" VALUES(1,'2030-01-01T00:03:00.000+00:00','alice','pruned','submitted',NULL,'queued',0,'{}','0000000000000000000000000000000000000000000000000000000000000000','5acd8f3fe3d9a238e8c8be253b02eb27b8c54d1d646db7b5138a585ab889227a');
INSERT INTO "job_events" VALUES(2,'2030-01-01T00:04:00.000+00:00','alice','completed','submitted',NULL,'queued',0,'{}','5acd8f3fe3d9a238e8c8be253b02eb27b8c54d1d646db7b5138a585ab889227a','73880e16ae9f09ccb2a35808ae0a82b24f2e01829b79e13c610f23d202976ae4');
INSERT INTO "job_events" VALUES(3,'2030-01-01T00:05:00.000+00:00','alice','failed','submitted',NULL,'queued',0,'{}','73880e16ae9f09ccb2a35808ae0a82b24f2e01829b79e13c610f23d202976ae4','daca84340a7f8b1a4fd0e6242fa0e8ef54fd6f339dc4fda316d50cbd07e784a1');
INSERT INTO "job_events" VALUES(4,'2030-01-01T00:06:00.000+00:00','alice','cancelled','submitted',NULL,'queued',0,'{}','daca84340a7f8b1a4fd0e6242fa0e8ef54fd6f339dc4fda316d50cbd07e784a1','06bbb79fe26b8bfb253dea6786b7fe65dd249cada8a68fffbf1153142d45c7c0');
INSERT INTO "job_events" VALUES(5,'2030-01-01T00:07:00.000+00:00','alice','running','submitted',NULL,'queued',0,'{}','06bbb79fe26b8bfb253dea6786b7fe65dd249cada8a68fffbf1153142d45c7c0','041516d8142ec73c3d12318d6974b73bc1c7e36f183437c86c563cd28e721c9a');
INSERT INTO "job_events" VALUES(6,'2030-01-01T00:08:00.000+00:00','alice','queued','submitted',NULL,'queued',0,'{}','041516d8142ec73c3d12318d6974b73bc1c7e36f183437c86c563cd28e721c9a','93283397f17517657a99c7386c9da84e0fe75d302af56bcd5eed3aa2c2e549db');
INSERT INTO "job_events" VALUES(7,'2030-01-01T00:09:00.000+00:00','server','pruned','claimed','queued','running',1,'{"run_dir":"/runs/pruned/1"}','93283397f17517657a99c7386c9da84e0fe75d302af56bcd5eed3aa2c2e549db','310c522fd949ab2ba0bfbbe23593f72473026a4318bd16962d019b209e583eeb');
INSERT INTO "job_events" VALUES(8,'2030-01-01T00:10:00.000+00:00','server','pruned','completed','running','completed',1,'{"error":null,"exit_code":0}','310c522fd949ab2ba0bfbbe23593f72473026a4318bd16962d019b209e583eeb','cf2af5fbfd3285504d835c542178951218bc8fd87bf753b9864553ab3c2f9db1');
INSERT INTO "job_events" VALUES(9,'2030-01-01T00:11:00.000+00:00','server','completed','claimed','queued','running',1,'{"run_dir":"/runs/completed/1"}','cf2af5fbfd3285504d835c542178951218bc8fd87bf753b9864553ab3c2f9db1','511229e4672833e27fd38b9738eae33d41915b63315e702bdd8cfc49c7d0b99f');
INSERT INTO "job_events" VALUES(10,'2030-01-01T00:12:00.000+00:00','server','completed','completed','running','completed',1,'{"error":null,"exit_code":0}','511229e4672833e27fd38b9738eae33d41915b63315e702bdd8cfc49c7d0b99f','84ebcfb67177e42e9acc4247be1391c58dc50772350a6872e64700d154c2208e');
INSERT INTO "job_events" VALUES(11,'2030-01-01T00:13:00.000+00:00','server','failed','claimed','queued','running',1,'{"run_dir":"/runs/failed/1"}','84ebcfb67177e42e9acc4247be1391c58dc50772350a6872e64700d154c2208e','af64707f40242237830ea6963382563ff6095945d5848231169fedb67dc910ca');
INSERT INTO "job_events" VALUES(12,'2030-01-01T00:14:00.000+00:00','server','failed','failed','running','failed',1,'{"error":"out of memory","exit_code":9}','af64707f40242237830ea6963382563ff6095945d5848231169fedb67dc910ca','f3772807aa5d481fd313baa35863f72c91e4a9c19cacf3dc3e1b03185fea838f');
INSERT INTO "job_events" VALUES(13,'2030-01-01T00:14:00.000+00:00','server','pruned','pruned','completed',NULL,1,'{}','f3772807aa5d481fd313baa35863f72c91e4a9c19cacf3dc3e1b03185fea838f','6df35611550b3c59deafab0e8dc999289a6377f8cdbb9c32573ae9a21c1e8263');
INSERT INTO "job_events" VALUES(14,'2030-01-01T00:15:00.000+00:00','bob','cancelled','cancelled','queued','cancelled',0,'{}','6df35611550b3c59deafab0e8dc999289a6377f8cdbb9c32573ae9a21c1e8263','e48a0bfd2f6363e072554b6547c42312f34314eb796785e6d5ee94e8c0405a2c');
INSERT INTO "job_events" VALUES(15,'2030-01-01T00:16:00.000+00:00','server','running','claimed','queued','running',1,'{"run_dir":"/runs/running/1"}','e48a0bfd2f6363e072554b6547c42312f34314eb796785e6d5ee94e8c0405a2c','1144fb8cebdfebae6a7f1763af974a2bd3750507db104e4dadf178c835c228a2');
INSERT INTO "job_events" VALUES(16,'2030-01-01T00:17:00.000+00:00','carol','failed','retried','failed','queued',1,'{"completed_at":"2030-01-02T00:00:02.000+00:00","error":"out of memory","exit_code":9,"metrics":{}}','1144fb8cebdfebae6a7f1763af974a2bd3750507db104e4dadf178c835c228a2','0e29cd2b97a978d2002d105502edbdfc3c7296146e0a7a1316d940b07643d5e0');
CREATE TABLE job_labels (
    name TEXT NOT NULL,
    text TEXT NOT NULL,
    seq  INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (name, text, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_labels" VALUES('team','vision',2);
INSERT INTO "job_labels" VALUES('team','vision',3);
INSERT INTO "job_labels" VALUES('team','vision',4);
INSERT INTO "job_labels" VALUES('team','vision',5);
INSERT INTO "job_labels" VALUES('team','vision',6);
CREATE TABLE job_spans (
    span     INTEGER PRIMARY KEY,  -- seq / 512
    earliest TEXT NOT NULL,
    latest   TEXT NOT NULL
) STRICT;
INSERT INTO "job_spans" VALUES(0,'2030-01-01T00:03:00.000+00:00','2030-01-01T00:08:00.000+00:00');
CREATE TABLE job_tasks (
    task TEXT NOT NULL,
    seq  INTEGER NOT NULL REFERENCES jobs (seq) ON DELETE CASCADE,
    PRIMARY KEY (task, seq)
) STRICT, WITHOUT ROWID;
INSERT INTO "job_tasks" VALUES('mme',2);
INSERT INTO "job_tasks" VALUES('mmmu',2);
INSERT INTO "job_tasks" VALUES('mme',3);
INSERT INTO "job_tasks" VALUES('mmmu',3);
INSERT INTO "job_tasks" VALUES('mme',4);
INSERT INTO "job_tasks" VALUES('mmmu',4);
INSERT INTO "job_tasks" VALUES('mme',5);
INSERT INTO "job_tasks" VALUES('mmmu',5);
INSERT INTO "job_tasks" VALUES('mme',6);
INSERT INTO "job_tasks" VALUES('mmmu',6);
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
    finish_number       INTEGER,                            -- the order in which jobs finished
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
    CHECK ((completed_at IS NULL) = (finish_number IS NULL)),
    CHECK (status <> 'running' OR (started_at IS NOT NULL AND attempt >= 1)),
    CHECK (status <> 'completed' OR result IS NOT NULL),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) STRICT;
INSERT INTO "jobs" VALUES(2,'completed','completed','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null}','alice','2030-01-01T00:04:00.000+00:00','2030-01-01T00:11:00.000+00:00','2030-01-02T00:00:01.000+00:00',2,NULL,1,2,'/runs/completed/1','/out',0,NULL,'{"small":{"results":null,"samples":[],"metrics":{"mme":{"acc":0.5}}}}',NULL);
INSERT INTO "jobs" VALUES(3,'failed','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null}','alice','2030-01-01T00:05:00.000+00:00','2030-01-01T00:13:00.000+00:00',NULL,NULL,NULL,1,3,'/runs/failed/1','/out',NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'cancelled','cancelled','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null}','alice','2030-01-01T00:06:00.000+00:00',NULL,'2030-01-01T00:15:00.000+00:00',4,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'running','running','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null}','alice','2030-01-01T00:07:00.000+00:00','2030-01-01T00:16:00.000+00:00',NULL,NULL,NULL,1,2,'/runs/running/1','/out',NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(6,'queued','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null}','alice','2030-01-01T00:08:00.000+00:00',NULL,NULL,NULL,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL);
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
INSERT INTO "schema_migrations" VALUES(1,'0001_initial.sql','1bad47aa4ac1e4256f1bdb9c9773b6fc7bdf2fdd06b23d6de27a2751582e0c75','2030-01-01T00:00:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(2,'0002_finding_jobs.sql','3206d3a16148300323a0377aa5752c587934ca655cf9f92254da5714c6ca628c','2030-01-01T00:01:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(3,'0003_durations.sql','0a6c96166d849c9d9e58c705880779060b16e0ce495541aa10fc98e4886cd7f6','2030-01-01T00:02:00.000+00:00');
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
CREATE UNIQUE INDEX jobs_finished ON jobs (finish_number) WHERE finish_number IS NOT NULL;
CREATE TRIGGER jobs_count_insert AFTER INSERT ON jobs
BEGIN
    UPDATE job_counts SET jobs = jobs + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER jobs_count_update AFTER UPDATE OF status ON jobs
BEGIN
    UPDATE job_counts SET jobs = jobs - 1 WHERE status = OLD.status;
    UPDATE job_counts SET jobs = jobs + 1 WHERE status = NEW.status;
END;
CREATE TRIGGER jobs_count_delete AFTER DELETE ON jobs
BEGIN
    UPDATE job_counts SET jobs = jobs - 1 WHERE status = OLD.status;
END;
CREATE INDEX job_events_job ON job_events (job_id, event_id);
CREATE TRIGGER job_events_no_update BEFORE UPDATE ON job_events
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
CREATE TRIGGER job_events_no_delete BEFORE DELETE ON job_events
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
CREATE TRIGGER job_events_no_replace BEFORE INSERT ON job_events
WHEN EXISTS (SELECT 1 FROM job_events WHERE event_id = NEW.event_id OR hash = NEW.hash)
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
CREATE INDEX jobs_by_status ON jobs (status);
CREATE INDEX jobs_by_model ON jobs (model);
CREATE INDEX jobs_by_engine ON jobs (engine);
CREATE INDEX jobs_by_submitter ON jobs (submitted_by);
CREATE INDEX job_tasks_of ON job_tasks (seq);
CREATE INDEX job_labels_of ON job_labels (seq);
CREATE TRIGGER jobs_tasks_insert AFTER INSERT ON jobs
BEGIN
    INSERT OR IGNORE INTO job_tasks (task, seq)
    SELECT value, NEW.seq FROM json_each(NEW.tasks);
END;
CREATE TRIGGER jobs_labels_insert AFTER INSERT ON jobs
BEGIN
    INSERT OR IGNORE INTO job_labels (name, text, seq)
    SELECT key, value, NEW.seq FROM json_each(NEW.labels);
END;
CREATE TRIGGER jobs_span_insert AFTER INSERT ON jobs
BEGIN
    INSERT INTO job_spans (span, earliest, latest)
    VALUES (NEW.seq / 512, NEW.created_at, NEW.created_at)
    ON CONFLICT (span) DO UPDATE
    SET earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest);
END;
CREATE INDEX jobs_durations ON jobs (
    engine, model, tasks,
    coalesce(json_extract(request, '$.limit'), -1), json_extract(request, '$.num_gpus'),
    finish_number
) WHERE status = 'completed';
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',6);
INSERT INTO "sqlite_sequence" VALUES('job_events',16);
COMMIT;
