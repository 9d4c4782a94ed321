PRAGMA application_id = 1702257004;
PRAGMA user_version = 19;
BEGIN TRANSACTION;
CREATE TABLE archived_jobs (
    job_id     TEXT NOT NULL,
    last_event INTEGER NOT NULL REFERENCES audit_archives (last_event),
    PRIMARY KEY (job_id, last_event)
) STRICT, WITHOUT ROWID;
CREATE TABLE audit_archives (
    last_event  INTEGER PRIMARY KEY,
    first_event INTEGER NOT NULL CHECK (first_event <= last_event),
    last_hash   TEXT NOT NULL,          -- the prev_hash of the first event behind it
    sha256      TEXT NOT NULL UNIQUE,   -- of the file
    name        TEXT NOT NULL,          -- of the file, when it was made
    event_id    INTEGER NOT NULL        -- the event that says so
) STRICT;
CREATE TABLE engine_cache (
    engine     TEXT NOT NULL,
    question   TEXT NOT NULL,
    version    TEXT NOT NULL,
    answer     TEXT NOT NULL CHECK (json_valid(answer)),
    fetched_at TEXT NOT NULL,
    PRIMARY KEY (engine, question)
) STRICT, WITHOUT ROWID;
CREATE TABLE follower_cursors (
    follower   TEXT PRIMARY KEY,
    kinds      TEXT NOT NULL CHECK (json_valid(kinds)),  -- the events that it handles
    last_event INTEGER NOT NULL CHECK (last_event >= 0)
) STRICT;
CREATE TABLE gate_verdicts (
    verdict_id  INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id      TEXT NOT NULL,
    attempt     INTEGER NOT NULL,
    series      TEXT,
    step        INTEGER,
    baseline_id TEXT,                               -- null: there was none
    policy      TEXT,                               -- its name; null: it was part of a request
    by_series   INTEGER NOT NULL CHECK (by_series IN (0, 1)),
    verdict     TEXT NOT NULL CHECK (verdict IN ('go', 'no_go', 'inconclusive')),
    reason      TEXT NOT NULL,
    at          TEXT NOT NULL,
    actor       TEXT NOT NULL,
    report      TEXT CHECK (report IS NULL OR json_valid(report)),  -- null: the baseline was erased
    CHECK (by_series = 0 OR policy IS NOT NULL)
) STRICT;
CREATE TABLE gpu_holds (
    gpu         TEXT PRIMARY KEY,               -- UUID, or as in --gpus where NVML is missing
    holder_kind TEXT NOT NULL CHECK (holder_kind IN ('job', 'service')),
    holder_id   TEXT NOT NULL,
    since       TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE gpu_quarantines (
    gpu    TEXT PRIMARY KEY,
    since  TEXT NOT NULL,
    actor  TEXT NOT NULL,
    reason TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE gpu_usage (
    job_id       TEXT NOT NULL,
    attempt      INTEGER NOT NULL,
    submitted_by TEXT NOT NULL,
    engine       TEXT NOT NULL,
    model        TEXT NOT NULL,
    series       TEXT,
    gpus         INTEGER NOT NULL CHECK (gpus >= 0),
    started_at   TEXT NOT NULL,
    ended_at     TEXT NOT NULL,
    seconds      REAL NOT NULL CHECK (seconds >= 0),
    PRIMARY KEY (job_id, attempt)
) STRICT, WITHOUT ROWID;
INSERT INTO "gpu_usage" VALUES('completed',1,'alice','lmms_eval','small',NULL,1,'2030-01-01T00:27:00.000+00:00','2030-01-02T00:00:01.000+00:00',8.47810000106692314165e+04);
INSERT INTO "gpu_usage" VALUES('failed',1,'alice','lmms_eval','small',NULL,1,'2030-01-01T00:29:00.000+00:00','2030-01-02T00:00:02.000+00:00',8.4661999972164630893e+04);
INSERT INTO "gpu_usage" VALUES('pruned',1,'alice','lmms_eval','small',NULL,1,'2030-01-01T00:25:00.000+00:00','2030-01-02T00:00:00.000+00:00',84900.0000089407);
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
INSERT INTO "job_events" VALUES(1,'2030-01-01T00:19:00.000+00:00','alice','pruned','submitted',NULL,'queued',0,'{}','0000000000000000000000000000000000000000000000000000000000000000','eb69b52aa858b0792a364371a4aacdfb0865dc4656f2999d6a702881c21fd4b7');
INSERT INTO "job_events" VALUES(2,'2030-01-01T00:20:00.000+00:00','alice','completed','submitted',NULL,'queued',0,'{}','eb69b52aa858b0792a364371a4aacdfb0865dc4656f2999d6a702881c21fd4b7','68807b6065fedd822f0e4555a0d923998771237dfde98d0439e564984c256647');
INSERT INTO "job_events" VALUES(3,'2030-01-01T00:21:00.000+00:00','alice','failed','submitted',NULL,'queued',0,'{}','68807b6065fedd822f0e4555a0d923998771237dfde98d0439e564984c256647','06c9138b5e04a33ebd2c9f0a3413b853a39cdf0f6fb766bf03a2aa5412cb8278');
INSERT INTO "job_events" VALUES(4,'2030-01-01T00:22:00.000+00:00','alice','cancelled','submitted',NULL,'queued',0,'{}','06c9138b5e04a33ebd2c9f0a3413b853a39cdf0f6fb766bf03a2aa5412cb8278','36eee515f2032aa0443073b027ac3f713a1fb73096b3034865b79ca198a747f4');
INSERT INTO "job_events" VALUES(5,'2030-01-01T00:23:00.000+00:00','alice','running','submitted',NULL,'queued',0,'{}','36eee515f2032aa0443073b027ac3f713a1fb73096b3034865b79ca198a747f4','5e62df93f2daec325e6d56ff1a6940258de98c573742e501e5ffd82ef909bc7e');
INSERT INTO "job_events" VALUES(6,'2030-01-01T00:24:00.000+00:00','alice','queued','submitted',NULL,'queued',0,'{}','5e62df93f2daec325e6d56ff1a6940258de98c573742e501e5ffd82ef909bc7e','307c367c6bac27ab13d947391568f5ed14553dbb2a261e497a969dfe1a6f5e32');
INSERT INTO "job_events" VALUES(7,'2030-01-01T00:25:00.000+00:00','server','pruned','claimed','queued','running',1,'{"run_dir":"/runs/pruned/1"}','307c367c6bac27ab13d947391568f5ed14553dbb2a261e497a969dfe1a6f5e32','7b1b6b51ccd0357f26dca8deada401b0c314ca18b578604d1d6ec63746deb1c5');
INSERT INTO "job_events" VALUES(8,'2030-01-01T00:26:00.000+00:00','server','pruned','completed','running','completed',1,'{"error":null,"exit_code":0}','7b1b6b51ccd0357f26dca8deada401b0c314ca18b578604d1d6ec63746deb1c5','50b6d7cde920bc77691ac1e4ea9649936123fa0f6368252efbc778a1b84e2d52');
INSERT INTO "job_events" VALUES(9,'2030-01-01T00:27:00.000+00:00','server','completed','claimed','queued','running',1,'{"run_dir":"/runs/completed/1"}','50b6d7cde920bc77691ac1e4ea9649936123fa0f6368252efbc778a1b84e2d52','ed725b8fc93c2b70c88693c6a991f591561b9f35ed860455b40a52c932ba5d4f');
INSERT INTO "job_events" VALUES(10,'2030-01-01T00:28:00.000+00:00','server','completed','completed','running','completed',1,'{"error":null,"exit_code":0}','ed725b8fc93c2b70c88693c6a991f591561b9f35ed860455b40a52c932ba5d4f','fd3f1434a276f828e41f7323a5843fa711439463fe800a8a402492af1094cc35');
INSERT INTO "job_events" VALUES(11,'2030-01-01T00:29:00.000+00:00','server','failed','claimed','queued','running',1,'{"run_dir":"/runs/failed/1"}','fd3f1434a276f828e41f7323a5843fa711439463fe800a8a402492af1094cc35','cb2f33dd760c914e1833b6f0164783d66c813ab8a96cdaff021bc65c80bd1590');
INSERT INTO "job_events" VALUES(12,'2030-01-01T00:30:00.000+00:00','server','failed','failed','running','failed',1,'{"error":"out of memory","exit_code":9}','cb2f33dd760c914e1833b6f0164783d66c813ab8a96cdaff021bc65c80bd1590','0ccfa850d9fe9adbccf40645ea9d0e3aec5e32fe5ea5bc4287ac6e296b7743a1');
INSERT INTO "job_events" VALUES(13,'2030-01-01T00:30:00.000+00:00','server','pruned','pruned','completed',NULL,1,'{}','0ccfa850d9fe9adbccf40645ea9d0e3aec5e32fe5ea5bc4287ac6e296b7743a1','7328bfc611180b5fece656c2e97c9744afdf84f09f39692f76b4678421314f79');
INSERT INTO "job_events" VALUES(14,'2030-01-01T00:31:00.000+00:00','bob','cancelled','cancelled','queued','cancelled',0,'{}','7328bfc611180b5fece656c2e97c9744afdf84f09f39692f76b4678421314f79','773c5439f20d4f7828a0fb0723df47a8a4235722037855fac5a6bbcc1faa4034');
INSERT INTO "job_events" VALUES(15,'2030-01-01T00:32:00.000+00:00','server','running','claimed','queued','running',1,'{"run_dir":"/runs/running/1"}','773c5439f20d4f7828a0fb0723df47a8a4235722037855fac5a6bbcc1faa4034','448bd28c7e15ba6a6f8c6fea5a911c5b25338aa37cf46c96b11f861c3526f64f');
INSERT INTO "job_events" VALUES(16,'2030-01-01T00:33:00.000+00:00','carol','failed','retried','failed','queued',1,'{"completed_at":"2030-01-02T00:00:02.000+00:00","error":"out of memory","exit_code":9,"metrics":{}}','448bd28c7e15ba6a6f8c6fea5a911c5b25338aa37cf46c96b11f861c3526f64f','d10b1f31ec32293e9868b112b284aaa2a2ef8b9c5dc522172bb6cf43253ceb17');
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
INSERT INTO "job_spans" VALUES(0,'2030-01-01T00:19:00.000+00:00','2030-01-01T00:24:00.000+00:00');
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
    provenance          TEXT CHECK (provenance IS NULL OR json_valid(provenance)), result_status TEXT
    CHECK (result_status IN ('ok', 'warnings', 'failed')), findings TEXT CHECK (findings IS NULL OR json_valid(findings)), failure_code TEXT, failure_advice TEXT, partial TEXT CHECK (partial IS NULL OR json_valid(partial)), output_bytes INTEGER CHECK (output_bytes >= 0), gpus TEXT CHECK (gpus IS NULL OR json_valid(gpus)), stalled_since TEXT, executor TEXT NOT NULL DEFAULT 'local' CHECK (executor <> ''), handed_over_at TEXT CHECK (handed_over_at IS NULL OR attempt >= 1), model_title TEXT NOT NULL DEFAULT '', batch_id TEXT, series TEXT, step INTEGER CHECK (step BETWEEN 0 AND 9007199254740991), newest_first INTEGER NOT NULL DEFAULT 0
    CHECK (newest_first IN (0, 1) AND (newest_first = 0 OR (series IS NOT NULL AND step IS NOT NULL))), place INTEGER,
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (completed_at IS NOT NULL)),
    CHECK ((completed_at IS NULL) = (finish_number IS NULL)),
    CHECK (status <> 'running' OR (started_at IS NOT NULL AND attempt >= 1)),
    CHECK (status <> 'completed' OR result IS NOT NULL),
    CHECK (status <> 'failed' OR error IS NOT NULL)
) STRICT;
INSERT INTO "jobs" VALUES(2,'completed','completed','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"harness_args":null,"log_samples":true,"predict_only":false,"num_gpus":1,"num_processes":null,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"series":null,"step":null,"on_newer":"keep","on_full":"reject","timeout_s":null,"stall_after_s":null,"on_stall":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null,"env_profile":null,"executor":null}','alice','2030-01-01T00:20:00.000+00:00','2030-01-01T00:27:00.000+00:00','2030-01-02T00:00:01.000+00:00',10,NULL,1,2,'/runs/completed/1','/out',0,NULL,'{"small":{"results":null,"samples":[],"metrics":{"mme":{"acc":0.5}}}}',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'local',NULL,'small',NULL,NULL,NULL,0,NULL);
INSERT INTO "jobs" VALUES(3,'failed','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"harness_args":null,"log_samples":true,"predict_only":false,"num_gpus":1,"num_processes":null,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"series":null,"step":null,"on_newer":"keep","on_full":"reject","timeout_s":null,"stall_after_s":null,"on_stall":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null,"env_profile":null,"executor":null}','alice','2030-01-01T00:21:00.000+00:00','2030-01-01T00:29:00.000+00:00',NULL,NULL,NULL,1,3,'/runs/failed/1','/out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'local',NULL,'small',NULL,NULL,NULL,0,NULL);
INSERT INTO "jobs" VALUES(4,'cancelled','cancelled','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"harness_args":null,"log_samples":true,"predict_only":false,"num_gpus":1,"num_processes":null,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"series":null,"step":null,"on_newer":"keep","on_full":"reject","timeout_s":null,"stall_after_s":null,"on_stall":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null,"env_profile":null,"executor":null}','alice','2030-01-01T00:22:00.000+00:00',NULL,'2030-01-01T00:31:00.000+00:00',14,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'local',NULL,'small',NULL,NULL,NULL,0,NULL);
INSERT INTO "jobs" VALUES(5,'running','running','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"harness_args":null,"log_samples":true,"predict_only":false,"num_gpus":1,"num_processes":null,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"series":null,"step":null,"on_newer":"keep","on_full":"reject","timeout_s":null,"stall_after_s":null,"on_stall":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null,"env_profile":null,"executor":null}','alice','2030-01-01T00:23:00.000+00:00','2030-01-01T00:32:00.000+00:00',NULL,NULL,NULL,1,2,'/runs/running/1','/out',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'local',NULL,'small',NULL,NULL,NULL,0,NULL);
INSERT INTO "jobs" VALUES(6,'queued','queued','lmms_eval','small','["mme","mmmu"]',0,'{"team":"vision"}','{"model":"small","tasks":["mme","mmmu"],"model_args":{"size":1},"num_fewshot":null,"batch_size":null,"device":null,"limit":null,"gen_kwargs":null,"harness_args":null,"log_samples":true,"predict_only":false,"num_gpus":1,"num_processes":null,"output_dir":null,"engine":null,"priority":0,"labels":{"team":"vision"},"series":null,"step":null,"on_newer":"keep","on_full":"reject","timeout_s":null,"stall_after_s":null,"on_stall":null,"max_attempts":2,"seed":null,"use_cache":null,"wait_for_path_s":null,"lmms_engine_kwargs":null,"env_profile":null,"executor":null}','alice','2030-01-01T00:24:00.000+00:00',NULL,NULL,NULL,NULL,0,2,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,'local',NULL,'small',NULL,NULL,NULL,0,NULL);
CREATE TABLE login_sessions (
    session_hash TEXT PRIMARY KEY,
    token_id     TEXT NOT NULL REFERENCES tokens (token_id) ON DELETE CASCADE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE "metrics" (
    job_id           TEXT NOT NULL,
    task             TEXT NOT NULL,
    metric           TEXT NOT NULL,
    filter           TEXT NOT NULL,
    value            REAL NOT NULL,
    stderr           REAL,
    n                INTEGER,
    higher_is_better INTEGER CHECK (higher_is_better IN (0, 1)), task_version TEXT, num_fewshot INTEGER CHECK (num_fewshot >= 0),
    PRIMARY KEY (job_id, task, metric, filter)
) STRICT, WITHOUT ROWID;
INSERT INTO "metrics" VALUES('completed','mme','acc','none',0.5,0.1,64,1,NULL,NULL);
CREATE TABLE pruned_jobs (
    job_id         TEXT PRIMARY KEY,
    seq            INTEGER NOT NULL UNIQUE,     -- the order of submission
    status         TEXT NOT NULL CHECK (status IN ('completed', 'failed', 'cancelled')),
    engine         TEXT NOT NULL,
    model          TEXT NOT NULL,
    model_args     TEXT CHECK (model_args IS NULL OR json_valid(model_args)),
    model_names    TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(model_names)),
    tasks          TEXT NOT NULL CHECK (json_valid(tasks)),
    labels         TEXT NOT NULL CHECK (json_valid(labels)),
    series         TEXT,
    step           TEXT,
    harness_args   TEXT CHECK (harness_args IS NULL OR json_valid(harness_args)),
    sample_limit   REAL NOT NULL DEFAULT -1,    -- -1 is no limit
    num_gpus       INTEGER NOT NULL DEFAULT 1,
    executor       TEXT NOT NULL DEFAULT 'local',
    submitted_by   TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    started_at     TEXT,
    completed_at   TEXT NOT NULL,
    finish_number  INTEGER NOT NULL UNIQUE,     -- the order in which jobs finished
    attempt        INTEGER NOT NULL,
    exit_code      INTEGER,
    error          TEXT,                        -- the first line
    failure_code   TEXT,
    result_status  TEXT CHECK (result_status IN ('ok', 'warnings', 'failed')),
    findings       TEXT CHECK (findings IS NULL OR json_valid(findings)),
    provenance     TEXT CHECK (provenance IS NULL OR json_valid(provenance)),
    pruned_at      TEXT NOT NULL
, batch_id TEXT) STRICT;
INSERT INTO "pruned_jobs" VALUES('pruned',1,'completed','lmms_eval','small','{"size":1}','[]','["mme","mmmu"]','{"team":"vision"}',NULL,NULL,NULL,-1.0,1,'local','alice','2030-01-01T00:19:00.000+00:00','2030-01-01T00:25:00.000+00:00','2030-01-02T00:00:00.000+00:00',8,1,0,NULL,NULL,NULL,NULL,NULL,'2030-01-01T00:30:00.000+00:00',NULL);
CREATE TABLE schema_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, applied_at TEXT NOT NULL) STRICT;
INSERT INTO "schema_migrations" VALUES(1,'0001_initial.sql','1bad47aa4ac1e4256f1bdb9c9773b6fc7bdf2fdd06b23d6de27a2751582e0c75','2030-01-01T00:00:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(2,'0002_finding_jobs.sql','3206d3a16148300323a0377aa5752c587934ca655cf9f92254da5714c6ca628c','2030-01-01T00:01:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(3,'0003_durations.sql','0a6c96166d849c9d9e58c705880779060b16e0ce495541aa10fc98e4886cd7f6','2030-01-01T00:02:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(4,'0004_finish_numbers.sql','5b78e8da7511bd7040da7385d662aa92772a5851dda33a87f14123cedcb9095d','2030-01-01T00:03:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(5,'0005_tokens.sql','c27db89d9a330d180cd61605fb1fa51bbd4cd9e9bdb1b33d012531b2c1b3a7f9','2030-01-01T00:04:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(6,'0006_server_events.sql','0bc4dcc714349bb4fd6880b7d1bbdb651b55854eefa74e6db85c3b906be5af05','2030-01-01T00:05:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(7,'0007_sorting_and_searching.sql','f9ac2f84795289f75533494ba75c041a612ad09cf8f70b630f40e76504531fa9','2030-01-01T00:06:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(8,'0008_audit_archives.sql','386520c0972c03544c16f0fb6e3a15eddc748c9daf4cc47bed17f886fd4d741f','2030-01-01T00:07:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(9,'0009_checked_results_and_history.sql','ca5e65858147c86594c5046850400195aa5f9db6a888e22e9e3bc78c0ee105bf','2030-01-01T00:08:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(10,'0010_slots.sql','055f6634a72d52c9cac776a239d8ea86143512b44fe0cf12a793f0b6245b432d','2030-01-01T00:09:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(11,'0011_executors.sql','136731db22bd08443a70917d8d670fe6a86b5e411b5e836f9aaac923051ee7b5','2030-01-01T00:10:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(12,'0012_model_titles.sql','d090ba889ba4b5eb6f4fad930c09e6dacb75db32b8891ee7a18aa65ec1442e12','2030-01-01T00:11:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(13,'0013_batches.sql','d90bb13655bfbda622de7bdb7e8f7a50389f1a1917dbe42da6530bae34b4827f','2030-01-01T00:12:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(14,'0014_series.sql','1cf59c9ca6f21cebb2c2b5008908b72ad5e755f74f266a301f63283165f81705','2030-01-01T00:13:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(15,'0015_gate_verdicts.sql','51672417bff858494822cb31bc5ea0cebff760b07ae5081f5bbe0761444c1781','2030-01-01T00:14:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(16,'0016_follower_cursors.sql','f43eeb93f4c7c02396d2c6721b563a1825c9df13ded6762107b6547c1a2a48c5','2030-01-01T00:15:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(17,'0017_newest_first.sql','70e0f22f9637fc4d37dfef79ed233b5709d1f8ac0319f6c2421f08cb4588f139','2030-01-01T00:16:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(18,'0018_webhooks.sql','2ca8d7238610447d7756fca43be3da821d9483246e7446bd4c6d2d4730f69601','2030-01-01T00:17:00.000+00:00');
INSERT INTO "schema_migrations" VALUES(19,'0019_task_settings.sql','6fce21fadebcd0389fcb05e74a5e2536ecde3ee44266f3416f9682aecb1e89bd','2030-01-01T00:18:00.000+00:00');
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
CREATE TABLE webhook_messages (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    webhook_id  TEXT NOT NULL REFERENCES webhooks ON DELETE CASCADE,
    message_id  TEXT NOT NULL UNIQUE,
    job_id      TEXT NOT NULL,                         -- '': it is about the server
    type        TEXT NOT NULL,
    body        TEXT NOT NULL,
    created_at  TEXT NOT NULL,
    is_held     INTEGER NOT NULL CHECK (is_held IN (0, 1)),  -- behind an older one of the same job
    tries       INTEGER NOT NULL DEFAULT 0,
    first_try_at TEXT,
    next_try_at TEXT NOT NULL,
    last_error  TEXT,
    parked_at   TEXT
) STRICT;
CREATE TABLE webhooks (
    webhook_id      TEXT PRIMARY KEY,
    url             TEXT NOT NULL,
    events          TEXT NOT NULL CHECK (json_valid(events)),
    series          TEXT,                              -- a pattern; null: jobs of any series, or of none
    labels          TEXT NOT NULL CHECK (json_valid(labels)),
    secret          TEXT NOT NULL,
    old_secret      TEXT,                              -- signs as well until old_secret_until
    old_secret_until TEXT,
    created_at      TEXT NOT NULL,
    created_by      TEXT NOT NULL,
    disabled_at     TEXT,
    disabled_reason TEXT,
    delivered       INTEGER NOT NULL DEFAULT 0,
    delivered_at    TEXT,                              -- of the last delivery
    failed_at       TEXT,                              -- of the last failure since then
    last_error      TEXT
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
CREATE TRIGGER job_events_no_replace BEFORE INSERT ON job_events
WHEN EXISTS (SELECT 1 FROM job_events WHERE event_id = NEW.event_id OR hash = NEW.hash)
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
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
CREATE TRIGGER audit_archives_no_update BEFORE UPDATE ON audit_archives
BEGIN
    SELECT RAISE(ABORT, 'audit_archives is append-only');
END;
CREATE TRIGGER audit_archives_no_delete BEFORE DELETE ON audit_archives
BEGIN
    SELECT RAISE(ABORT, 'audit_archives is append-only');
END;
CREATE TRIGGER audit_archives_join BEFORE INSERT ON audit_archives
WHEN NEW.first_event IS NOT (SELECT coalesce(max(last_event), 0) + 1 FROM audit_archives)
    OR NEW.first_event IS NOT (SELECT min(event_id) FROM job_events)
    OR NEW.last_hash IS NOT (SELECT hash FROM job_events WHERE event_id = NEW.last_event)
    OR NEW.sha256 IS NOT (
        SELECT json_extract(detail, '$.sha256') FROM job_events
        WHERE event_id = NEW.event_id AND event = 'archived'
    )
    OR EXISTS (SELECT 1 FROM audit_archives WHERE sha256 = NEW.sha256)
BEGIN
    SELECT RAISE(ABORT, 'audit_archives: the archive does not join on to the log');
END;
CREATE TRIGGER archived_jobs_no_update BEFORE UPDATE ON archived_jobs
BEGIN
    SELECT RAISE(ABORT, 'archived_jobs is append-only');
END;
CREATE TRIGGER archived_jobs_no_delete BEFORE DELETE ON archived_jobs
BEGIN
    SELECT RAISE(ABORT, 'archived_jobs is append-only');
END;
CREATE TRIGGER archived_jobs_no_replace BEFORE INSERT ON archived_jobs
WHEN EXISTS (
    SELECT 1 FROM archived_jobs WHERE job_id = NEW.job_id AND last_event = NEW.last_event
)
BEGIN
    SELECT RAISE(ABORT, 'archived_jobs is append-only');
END;
CREATE TRIGGER job_events_no_delete BEFORE DELETE ON job_events
WHEN OLD.event_id > (SELECT coalesce(max(last_event), 0) FROM audit_archives)
    OR OLD.event_id > (SELECT min(event_id) FROM job_events)
    OR EXISTS (SELECT 1 FROM jobs WHERE job_id = OLD.job_id)
BEGIN
    SELECT RAISE(ABORT, 'job_events is append-only');
END;
CREATE INDEX jobs_by_result_status ON jobs (result_status) WHERE result_status IS NOT NULL;
CREATE INDEX jobs_by_failure ON jobs (failure_code) WHERE failure_code IS NOT NULL;
CREATE INDEX pruned_jobs_by_series ON pruned_jobs (series) WHERE series IS NOT NULL;
CREATE INDEX pruned_jobs_durations ON pruned_jobs (
    engine, model, tasks, sample_limit, num_gpus, finish_number
) WHERE status = 'completed';
CREATE INDEX jobs_by_output_bytes ON jobs (finish_number, output_bytes)
WHERE finish_number IS NOT NULL;
CREATE INDEX metrics_task ON metrics (task, metric, filter, value);
CREATE TRIGGER metrics_of_a_job BEFORE INSERT ON metrics
WHEN NOT EXISTS (SELECT 1 FROM jobs WHERE job_id = NEW.job_id)
BEGIN
    SELECT RAISE(ABORT, 'metrics: there is no such job');
END;
CREATE TRIGGER pruned_jobs_delete_metrics AFTER DELETE ON pruned_jobs
BEGIN
    DELETE FROM metrics WHERE job_id = OLD.job_id;
END;
CREATE VIEW all_jobs AS
SELECT seq, job_id, status, engine, model, tasks, labels, submitted_by, created_at, started_at,
       completed_at, 0 AS pruned,
       CASE WHEN json_valid(request) THEN json_extract(request, '$.model_args') END AS model_args
FROM jobs
UNION ALL
SELECT seq, job_id, status, engine, model, tasks, labels, submitted_by, created_at, started_at,
       completed_at, 1 AS pruned, model_args
FROM pruned_jobs;
CREATE VIEW leaderboard AS
SELECT metrics.task, metrics.metric, metrics.filter, metrics.value, metrics.stderr, metrics.n,
       all_jobs.model, all_jobs.model_args, all_jobs.job_id, all_jobs.completed_at,
       all_jobs.pruned
FROM metrics
JOIN all_jobs ON all_jobs.job_id = metrics.job_id
WHERE all_jobs.status = 'completed'
ORDER BY metrics.task, metrics.metric, metrics.filter,
         CASE metrics.higher_is_better WHEN 0 THEN metrics.value ELSE -metrics.value END;
CREATE VIEW who_ran_what AS
SELECT submitted_by, model, tasks, status, created_at, started_at, completed_at, job_id, pruned
FROM all_jobs
ORDER BY seq DESC;
CREATE VIEW time_per_model AS
SELECT model, engine, count(*) AS jobs,
       round(sum((julianday(completed_at) - julianday(started_at)) * 86400), 1) AS seconds
FROM all_jobs
WHERE started_at IS NOT NULL AND completed_at IS NOT NULL
GROUP BY model, engine
ORDER BY seconds DESC;
CREATE INDEX gpu_holds_by_holder ON gpu_holds (holder_kind, holder_id);
CREATE TRIGGER gpu_holds_release AFTER UPDATE OF status ON jobs
WHEN OLD.status = 'running' AND NEW.status <> 'running'
BEGIN
    DELETE FROM gpu_holds WHERE holder_kind = 'job' AND holder_id = OLD.job_id;
END;
CREATE INDEX gpu_usage_by_end ON gpu_usage (ended_at);
CREATE VIEW gpu_seconds_by_month AS
SELECT substr(ended_at, 1, 7) AS month, submitted_by, series, model,
       count(*) AS attempts, round(sum(seconds), 1) AS seconds,
       round(sum(seconds * gpus), 1) AS gpu_seconds
FROM gpu_usage
GROUP BY month, submitted_by, series, model
ORDER BY month DESC, gpu_seconds DESC;
CREATE INDEX jobs_handed_over ON jobs (executor, handed_over_at)
WHERE handed_over_at IS NOT NULL AND completed_at IS NULL;
CREATE INDEX jobs_unfinished_by_executor ON jobs (executor) WHERE completed_at IS NULL;
CREATE INDEX jobs_by_model_title ON jobs (model_title);
CREATE INDEX jobs_by_batch ON jobs (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX pruned_jobs_by_batch ON pruned_jobs (batch_id) WHERE batch_id IS NOT NULL;
CREATE INDEX jobs_by_series ON jobs (series) WHERE series IS NOT NULL;
CREATE INDEX jobs_by_step ON jobs (step) WHERE step IS NOT NULL;
CREATE INDEX jobs_queued_in_series ON jobs (series, step)
WHERE series IS NOT NULL AND status = 'queued';
CREATE INDEX gate_verdicts_by_job ON gate_verdicts (job_id);
CREATE INDEX gate_verdicts_by_baseline ON gate_verdicts (baseline_id)
WHERE baseline_id IS NOT NULL;
CREATE INDEX gate_verdicts_by_series ON gate_verdicts (series) WHERE series IS NOT NULL;
CREATE UNIQUE INDEX gate_verdicts_once ON gate_verdicts (job_id, attempt, policy)
WHERE by_series = 1;
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
CREATE INDEX webhook_messages_due ON webhook_messages (webhook_id, next_try_at, number)
WHERE is_held = 0 AND parked_at IS NULL;
CREATE INDEX webhook_messages_by_job ON webhook_messages (webhook_id, job_id, number);
CREATE INDEX webhook_messages_parked ON webhook_messages (webhook_id, number)
WHERE parked_at IS NOT NULL;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('jobs',6);
INSERT INTO "sqlite_sequence" VALUES('job_events',16);
COMMIT;
