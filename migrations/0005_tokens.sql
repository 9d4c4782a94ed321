-- Who made a token and who took it back, and the browsers that logged in with one.
ALTER TABLE tokens ADD COLUMN created_by TEXT NOT NULL DEFAULT 'server';
ALTER TABLE tokens ADD COLUMN revoked_by TEXT;

-- Of what a browser shows, too, only a hash is kept.
CREATE TABLE login_sessions (
    session_hash TEXT PRIMARY KEY,
    token_id     TEXT NOT NULL REFERENCES tokens (token_id) ON DELETE CASCADE,
    created_at   TEXT NOT NULL,
    expires_at   TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX login_sessions_of ON login_sessions (token_id);
