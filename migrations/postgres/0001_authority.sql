-- Who exists: operators, accounts, users, signing keys, certificates.
-- Times are unix seconds. `version` counts changes of a row and is its ETag.

CREATE TABLE operators (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    claims TEXT NOT NULL,
    claims_jwt TEXT NOT NULL,
    system_account TEXT COLLATE "C",
    state TEXT NOT NULL,
    seed BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE UNIQUE INDEX operators_live_name ON operators (name) WHERE state <> 'deleted';

CREATE TABLE accounts (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    operator TEXT COLLATE "C" NOT NULL REFERENCES operators (key),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    claims TEXT NOT NULL,
    claims_jwt TEXT NOT NULL,
    jti TEXT NOT NULL,
    pushed_jti TEXT,
    seed BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE UNIQUE INDEX accounts_live_name ON accounts (operator, name) WHERE state <> 'deleted';
CREATE INDEX accounts_operator ON accounts (operator, key);

-- One user key may be issued in several accounts, so the account is part of the key.
CREATE TABLE users (
    account TEXT COLLATE "C" NOT NULL REFERENCES accounts (key),
    key TEXT COLLATE "C" NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    claims_jwt TEXT NOT NULL,
    jti TEXT NOT NULL,
    signing_key TEXT COLLATE "C" NOT NULL,
    seed BYTEA,
    issued_at BIGINT NOT NULL,
    expires BIGINT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    PRIMARY KEY (account, key)
);

CREATE UNIQUE INDEX users_live_name ON users (account, name) WHERE state <> 'deleted';
CREATE INDEX users_key ON users (key);

-- `owner` is an operator's or an account's key; the letter it begins with says which.
CREATE TABLE signing_keys (
    key TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    owner TEXT COLLATE "C" NOT NULL,
    state TEXT NOT NULL,
    role TEXT,
    description TEXT NOT NULL,
    template TEXT,
    seed BYTEA,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX signing_keys_owner ON signing_keys (owner, key);

CREATE TABLE certificates (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT COLLATE "C",
    user_key TEXT COLLATE "C",
    subject TEXT NOT NULL,
    names TEXT NOT NULL,
    pem TEXT NOT NULL,
    fingerprint TEXT COLLATE "C" NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX certificates_account ON certificates (account, id);
CREATE INDEX certificates_fingerprint ON certificates (fingerprint);
