-- Who is signed in at the console. Only a hash of what the browser keeps is here; a session holds no longer than its token.

CREATE TABLE console_sessions (
    id TEXT NOT NULL PRIMARY KEY,
    hash BLOB NOT NULL,
    token TEXT NOT NULL REFERENCES tokens (id),
    created_at BIGINT NOT NULL,
    last_used_at BIGINT NOT NULL,
    expires BIGINT NOT NULL
);

CREATE UNIQUE INDEX console_sessions_hash ON console_sessions (hash);

CREATE INDEX console_sessions_token ON console_sessions (token, last_used_at);

CREATE INDEX console_sessions_expires ON console_sessions (expires);
