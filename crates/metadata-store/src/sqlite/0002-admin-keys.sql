-- A check cannot be changed in place.
CREATE TABLE keys_with_admin (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    app TEXT NOT NULL REFERENCES apps (id),
    kind TEXT NOT NULL CHECK (kind IN ('write', 'read', 'admin')),
    created_at_ms INTEGER NOT NULL,
    revoked_at_ms INTEGER
) STRICT, WITHOUT ROWID;

INSERT INTO keys_with_admin SELECT hash, id, app, kind, created_at_ms, revoked_at_ms FROM keys;
DROP TABLE keys;
ALTER TABLE keys_with_admin RENAME TO keys;
CREATE INDEX keys_of_app ON keys (app, created_at_ms);
