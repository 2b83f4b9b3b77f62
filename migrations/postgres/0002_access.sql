-- How the API is called: tokens, repeated requests; and what is still to be told to brokers.

-- Only a hash of a token is kept.
CREATE TABLE tokens (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    accounts TEXT NOT NULL,
    hash BYTEA NOT NULL,
    created_by TEXT NOT NULL,
    expires BIGINT,
    revoked_at BIGINT,
    last_used_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE UNIQUE INDEX tokens_hash ON tokens (hash);

CREATE TABLE idempotency (
    caller TEXT COLLATE "C" NOT NULL,
    key TEXT COLLATE "C" NOT NULL,
    request_digest BYTEA NOT NULL,
    status BIGINT NOT NULL,
    content_type TEXT NOT NULL,
    etag TEXT,
    location TEXT,
    body BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (caller, key)
);

CREATE INDEX idempotency_created_at ON idempotency (created_at);

-- The outbox: claims that brokers have yet to confirm. A newer push of an account supersedes an older one.
CREATE TABLE pushes (
    account TEXT COLLATE "C" NOT NULL,
    jti TEXT COLLATE "C" NOT NULL,
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
