-- Webhooks: who is told of which events, and the messages that are not delivered yet. Secrets are
-- readable here, since each message is signed with one.

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

CREATE INDEX webhook_messages_due ON webhook_messages (webhook_id, next_try_at, number)
WHERE is_held = 0 AND parked_at IS NULL;
CREATE INDEX webhook_messages_by_job ON webhook_messages (webhook_id, job_id, number);
CREATE INDEX webhook_messages_parked ON webhook_messages (webhook_id, number)
WHERE parked_at IS NOT NULL;
