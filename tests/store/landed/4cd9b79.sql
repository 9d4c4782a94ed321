PRAGMA application_id = 1702257004;
PRAGMA user_version = 7;
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
CREATE TABLE job_arguments (
    seq  INTEGER PRIMARY KEY REFERENCES jobs (seq) ON DELETE CASCADE,
    text TEXT NOT NULL
) STRICT;
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
INSERT INTO "job_events" VALUES(1,'2030-01-01T00:07:00.000+00:00','alice','pruned','submitted',NULL,'queued',0,'{}','0000000000000000000000000000000000000000000000000000000000000000','d6c926658168bb1f749394eea40a3cecfb202fb1399e482c0a56807350ef1a10');
INSERT INTO "job_events" VALUES(2,'2030-01-01T00:08:00.000+00:00','alice','completed','submitted',NULL,'queued',0,'{}','d6c926658168bb1f749394eea40a3cecfb202fb1399e482c0a56807350ef1a10','c941ac3371beeca3ce097bf1800b17b883434573fbbd708749f57344a42ebe19');
INSERT INTO "job_events" VALUES(3,'2030-01-01T00:09:00.000+00:00','alice','failed','submitted',NULL,'queued',0,'{}','c941ac3371beeca3ce097bf1800b17b883434573fbbd708749f57344a42ebe19','6037c1a7743fff423fdf3c5756162d7b464b7010d3e6596aa161fef85b8fa5dc');
INSERT INTO "job_events" VALUES(4,'2030-01-01T00:10:00.000+00:00','alice','cancelled','submitted',NULL,'queued',0,'{}','6037c1a7743fff423fdf3c5756162d7b464b7010d3e6596aa161fef85b8fa5dc','ff8c167d57b99c977cebb5516b40516d905d88b48b2bc4f67d23cda8ebc9841c');
INSERT INTO "job_events" VALUES(5,'2030-01-01T00:11:00.000+00:00','alice','running','submitted',NULL,'queued',0,'{}','ff8c167d57b99c977cebb5516b40516d905d88b48b2bc4f67d23cda8ebc9841c','f49276e570d1c70be60e1d810650b929d214d1cf67aafd5b153014e3f855b7ac');
INSERT INTO "job_events" VALUES(6,'2030-01-01T00:12:00.000+00:00','alice','queued','submitted',NULL,'queued',0,'{}','f49276e570d1c70be60e1d810650b929d214d1cf67aafd5b153014e3f855b7ac','97d9d911140ff0da474bb550edda9870da0a003b3de6442c54f245af3ce1fbd8');
INSERT INTO "job_events" VALUES(7,'2030-01-01T00:13:00.000+00:00','server','pruned','claimed','queued','running',1,'{"run_dir":"/runs/pruned/1"}','97d9d911140ff0da474bb550edda9870da0a003b3de6442c54f245af3ce1fbd8','0b700421689a30e87e1bbd6d19029961c865cfd71c4ab406b969f5567df98d91');
INSERT INTO "job_events" VALUES(8,'2030-01-01T00:14:00.000+00:00','server','pruned','completed','running','completed',1,'{"error":null,"exit_code":0}','0b700421689a30e87e1bbd6d19029961c865cfd71c4ab406b969f5567df98d91','2c651845ff3e25ef186a12671dd01da8688b2180b0f17540397ff74c6b1cd68c');
INSERT INTO "job_events" VALUES(9,'2030-01-01T00:15:00.000+00:00','server','completed','claimed','queued','running',1,'{"run_dir":"/runs/completed/1"}','2c651845ff3e25ef186a12671dd01da8688b2180b0f17540397ff74c6b1cd68c','3bcefa41a0c1e1056388cecd30980f7a5a9e25f865bd5188b97f848cd548d6fe');
INSERT INTO "job_events" VALUES(10,'2030-01-01T00:16:00.000+00:00','server','completed','completed','running','completed',1,'{"error":null,"exit_code":0}','3bcefa41a0c1e1056388cecd30980f7a5a9e25f865bd5188b97f848cd548d6fe','5a4f5b4b9260ae0b9f5542416c996d5a0ec29953ed09b7cde53113d66599e85b');
INSERT INTO "job_events" VALUES(11,'2030-01-01T00:17:00.000+00:00','server','failed','claimed','queued','running',1,'{"run_dir":"/runs/failed/1"}','5a4f5b4b9260ae0b9f5542416c996d5a0ec29953ed09b7cde53113d66599e85b','9a00dcc1872ab71f37094e17768128b879997c38604c3f2fd92e5ffb02224c08');
INSERT INTO "job_events" VALUES(12,'2030-01-01T00:18:00.000+00:00','server','failed','failed','running','failed',1,'{"error":"out of memory","exit_code":9}','9a00dcc1872ab71f37094e17768128b879997c38604c3f2fd92e5ffb02224c08','5e57e77a15d350445075f01224f4109761afd09ee07f641451e296e89b46a60f');
INSERT INTO "job_events" VALUES(13,'2030-01-01T00:18:00.000+00:00','server','pruned','pruned','completed',NULL,1,'{}','5e57e77a15d350445075f01224f4109761afd09ee07f641451e296e89b46a60f','26710718c6569f1760abe6d17e49c016c9435dc06da90bafa7b313c27ace974e');
INSERT INTO "job_events" VALUES(14,'2030-01-01T00:19:00.000+00:00','bob','cancelled','cancelled','queued','cancelled',0,'{}','26710718c6569f1760abe6d17e49c016c9435dc06da90bafa7b313c27ace974e','d24b419d6c335498b79eb4949ce7168a00f9096a26adee538c3b9b58226036ce');
INSERT INTO "job_events" VALUES(15,'2030-01-01T00:20:00.000+00:00','server','running','claimed','queued','running',1,'{"run_dir":"/runs/running/1"}','d24b419d6c335498b79eb4949ce7168a00f9096a26adee538c3b9b58226036ce','d55c418218e1f86895b66dd8d9ff7451742cc4d8427fa186839bbae63abb23df');
INSERT INTO "job_events" VALUES(16,'2030-01-01T00:21:00.000+00:00','carol','failed','retried','failed','queued',1,'{"completed_at":"2030-01-02T00:00:02.000+00:00","error":"out of memory","exit_code":9,"metrics":{}}','d55c418218e1f86895b66dd8d9ff7451742cc4d8427fa186839bbae63abb23df','c5be0b8dc7023deb1cb9e86ed35d262711a3174c9de02d87e1d59c9533411866');
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
INSERT INTO "job_spans" VALUES(0,'2030-01-01T00:07:00.000+00:00','2030-01-01T00:12:00.000+00:00');
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
INSERT INTO "jobs" VALUES(2,'completed','completed','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null}','alice','2030-01-01T00:08:00.000+00:00','2030-01-01T00:15:00.000+00:00','2030-01-02T00:00:01.000+00:00',10,NULL,1,2,'/runs/completed/1','/out',0,NULL,'{"small":{"results":null,"samples":[],"metrics":{"mme":{"acc":0.5}}}}',NULL);
INSERT INTO "jobs" VALUES(3,'failed','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null}','alice','2030-01-01T00:09:00.000+00:00','2030-01-01T00:17:00.000+00:00',NULL,NULL,NULL,1,3,'/runs/failed/1','/out',NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(4,'cancelled','cancelled','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null}','alice','2030-01-01T00:10:00.000+00:00',NULL,'2030-01-01T00:19:00.000+00:00',14,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(5,'running','running','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null}','alice','2030-01-01T00:11:00.000+00:00','2030-01-01T00:20:00.000+00:00',NULL,NULL,NULL,1,2,'/runs/running/1','/out',NULL,NULL,NULL,NULL);
INSERT INTO "jobs" VALUES(6,'queued','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"log_samples":true,"predict_only":false,"num_gpus":1,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"timeout_s":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null}','alice','2030-01-01T00:12:00.000+00:00',NULL,NULL,NULL,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE login_sessions (
    session_hash TEXT PRIMARY KEY,
    token_id     TEXT NOT NULL REFERENCES tokens (token_id) ON DELETE CASCADE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
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
INSERT INTO "schema_migrations" VALUES(4,'0004_finish_numbers.sql','5b78e8da7511bd7040da7385d662aa92772a5851dda33a87f14123cedcb9095d','2030-01-01T00:03:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(5,'0005_tokens.sql','c27db89d9a330d180cd61605fb1fa51bbd4cd9e9bdb1b33d012531b2c1b3a7f9','2030-01-01T00:04:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(6,'0006_server_events.sql','0bc4dcc714349bb4fd6880b7d1bbdb651b55854eefa74e6db85c3b906be5af05','2030-01-01T00:05:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(7,'0007_sorting_and_searching.sql','f9ac2f84795289f75533494ba75c041a612ad09cf8f70b630f40e76504531fa9','2030-01-01T00:06:00.000+00:00');
CREATE TABLE server_events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    at       TEXT NOT NULL,
    actor    TEXT NOT NULL,
    event    TEXT NOT NULL,
    detail   TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(detail))
) STRICT;
CREATE TABLE tokens (
    token_id     TEXT PRIMARY KEY,
    name         TEXT NOT NULL UNIQUE,
    role         TEXT NOT NULL CHECK (role IN ('viewer', 'submitter', 'admin')),
    secret_hash  TEXT NOT NULL UNIQUE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT,
    revoked_at   TEXT,
    last_used_at TEXT
, created_by TEXT NOT NULL DEFAULT 'server', revoked_by TEXT) STRICT;
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
CREATE INDEX login_sessions_of ON login_sessions (token_id);
CREATE TRIGGER server_events_no_update BEFORE UPDATE ON server_events
BEGIN
    SELECT RAISE(ABORT, 'server_events is append-only');
END;
CREATE TRIGGER server_events_no_delete BEFORE DELETE ON server_events
BEGIN
    SELECT RAISE(ABORT, 'server_events is append-only');
END;
CREATE TRIGGER server_events_no_replace BEFORE INSERT ON server_events
WHEN EXISTS (SELECT 1 FROM server_events WHERE event_id = NEW.event_id)
BEGIN
    SELECT RAISE(ABORT, 'server_events is append-only');
END;
CREATE INDEX jobs_by_priority ON jobs (priority);
CREATE INDEX jobs_by_start ON jobs (started_at) WHERE started_at IS NOT NULL;
CREATE INDEX jobs_by_end ON jobs (completed_at) WHERE completed_at IS NOT NULL;
CREATE INDEX jobs_by_time_taken ON jobs (
    CAST(round((julianday(completed_at) - julianday(started_at)) * 86400000) AS INTEGER)
) WHERE completed_at IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',6);
INSERT INTO "sqlite_sequence" VALUES('job_events',16);
COMMIT;
