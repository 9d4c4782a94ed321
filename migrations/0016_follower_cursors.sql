-- How far each follower of the audit log has come. An event that it has not handled is not archived.

CREATE TABLE follower_cursors (
    follower   TEXT PRIMARY KEY,
    kinds      TEXT NOT NULL CHECK (json_valid(kinds)),  -- the events that it handles
    last_event INTEGER NOT NULL CHECK (last_event >= 0)
) STRICT;
