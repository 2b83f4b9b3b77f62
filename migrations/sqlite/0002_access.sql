-- How the API is called: tokens, repeated requests; and what is still to be told to brokers.

-- Only a hash of a token is kept.
CREATE TABLE tokens (
    id TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    accounts TEXT NOT NULL,
    hash BLOB NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE UNIQUE INDEX tokens_hash ON tokens (hash);

CREATE TABLE idempotency (
    caller TEXT NOT NULL,
    key TEXT NOT NULL,
    request_digest BLOB NOT NULL,
    status BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    etag TEXT,
    location TEXT,
    body BLOB NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);

CREATE INDEX idempotency_created_at ON idempotency (created_at);

-- The outbox: claims that brokers have yet to confirm. A newer push of an account supersedes an older one.
CREATE TABLE pushes (
    account TEXT NOT NULL,
    jti TEXT NOT NULL,
    kind TEXT NOT NULL,
    token TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    answer TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (account, jti)
);

CREATE INDEX pushes_due ON pushes (state, next_at);
