-- Who exists: operators, accounts, users, signing keys, certificates.
-- Times are unix seconds. `version` counts changes of a row and is its ETag.

CREATE TABLE operators (
    key TEXT NOT NULL PRIMARY KEY,
    name TEXT NOT NULL,
    claims TEXT NOT NULL,
    claims_jwt TEXT NOT NULL,
    system_account TEXT,
    state TEXT NOT NULL,
    seed BLOB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE UNIQUE INDEX operators_live_name ON operators (name) WHERE state <> 'deleted';

CREATE TABLE accounts (
    key TEXT NOT NULL PRIMARY KEY,
    operator TEXT NOT NULL REFERENCES operators (key),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    claims TEXT NOT NULL,
    claims_jwt TEXT NOT NULL,
    jti TEXT NOT NULL,
    pushed_jti TEXT,
    seed BLOB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE UNIQUE INDEX accounts_live_name ON accounts (operator, name) WHERE state <> 'deleted';
CREATE INDEX accounts_operator ON accounts (operator, key);

-- One user key may be issued in several accounts, so the account is part of the key.
CREATE TABLE users (
    account TEXT NOT NULL REFERENCES accounts (key),
    key TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    claims_jwt TEXT NOT NULL,
    jti TEXT NOT NULL,
    signing_key TEXT NOT NULL,
    seed BLOB,
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
    key TEXT NOT NULL PRIMARY KEY,
    owner TEXT NOT NULL,
    state TEXT NOT NULL,
    role TEXT,
    description TEXT NOT NULL,
    template TEXT,
    seed BLOB,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX signing_keys_owner ON signing_keys (owner, key);

CREATE TABLE certificates (
    id TEXT NOT NULL PRIMARY KEY,
    kind TEXT NOT NULL,
    account TEXT,
    user_key TEXT,
    subject TEXT NOT NULL,
    names TEXT NOT NULL,
    pem TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    not_before BIGINT NOT NULL,
    not_after BIGINT NOT NULL,
    revoked_at BIGINT,
    created_at BIGINT NOT NULL,
    version BIGINT NOT NULL
);

CREATE INDEX certificates_account ON certificates (account, id);
CREATE INDEX certificates_fingerprint ON certificates (fingerprint);
