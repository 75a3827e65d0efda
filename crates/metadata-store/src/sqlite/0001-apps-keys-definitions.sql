CREATE TABLE apps (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    timezone TEXT NOT NULL,
    week_start TEXT NOT NULL,
    raw_retention_days INTEGER,
    session_idle_minutes INTEGER NOT NULL,
    created_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE keys (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    app TEXT NOT NULL REFERENCES apps (id),
    kind TEXT NOT NULL CHECK (kind IN ('write', 'read')),
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;

CREATE INDEX keys_of_app ON keys (app, created_at_ms);

CREATE TABLE definitions (
    app TEXT NOT NULL REFERENCES apps (id),
    id TEXT NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    document TEXT NOT NULL,
    version INTEGER NOT NULL,
    saved_at_ms INTEGER NOT NULL,
    PRIMARY KEY (app, id)
) STRICT, WITHOUT ROWID;
