-- The vault's data key, sealed by the key source. One row.
CREATE TABLE vault_envelope (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    envelope BYTEA NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
