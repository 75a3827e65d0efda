CREATE TABLE accounts (
    id TEXT PRIMARY KEY,
    email TEXT NOT NULL UNIQUE,
    name TEXT NOT NULL,
    password TEXT NOT NULL,
    administrator INTEGER NOT NULL CHECK (administrator IN (0, 1)),
    created_at_ms INTEGER NOT NULL
) STRICT;

-- One row from the first account on, for ever.
CREATE TABLE set_up (
    done INTEGER PRIMARY KEY CHECK (done = 1),
    done_at_ms INTEGER NOT NULL
) STRICT;

CREATE TABLE logins (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at_ms INTEGER NOT NULL,
    last_used_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL,
    agent TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX logins_of_account ON logins (account, last_used_at_ms);

CREATE TABLE members (
    app TEXT NOT NULL REFERENCES apps (id),
    account TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    since_ms INTEGER NOT NULL,
    PRIMARY KEY (app, account)
) STRICT, WITHOUT ROWID;

CREATE INDEX members_of_account ON members (account);

CREATE TABLE invitations (
    hash BLOB PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    app TEXT NOT NULL REFERENCES apps (id),
    role TEXT NOT NULL CHECK (role IN ('viewer', 'editor', 'owner')),
    note TEXT NOT NULL,
    invited_by TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
    created_at_ms INTEGER NOT NULL,
    expires_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX invitations_of_app ON invitations (app, created_at_ms);

ALTER TABLE keys ADD COLUMN last_used_at_ms INTEGER;
