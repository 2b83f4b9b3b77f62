-- The ledger: docs/ledger-format.md. Entries and nodes are only ever inserted; blobs may be erased.

CREATE TABLE ledger_entries (
    entry_index BIGINT NOT NULL PRIMARY KEY,
    bytes BYTEA NOT NULL,
    leaf_hash BYTEA NOT NULL,
    time BIGINT NOT NULL,
    actor_kind TEXT NOT NULL,
    actor TEXT COLLATE "C" NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    account TEXT COLLATE "C",
    object TEXT COLLATE "C",
    outcome TEXT NOT NULL,
    reason TEXT,
    broker TEXT COLLATE "C",
    broker_seq BIGINT
);

CREATE INDEX ledger_entries_time ON ledger_entries (time, entry_index);
CREATE INDEX ledger_entries_actor ON ledger_entries (actor, entry_index);
CREATE INDEX ledger_entries_kind ON ledger_entries (kind, entry_index);
CREATE INDEX ledger_entries_account ON ledger_entries (account, entry_index);

CREATE TABLE ledger_references (
    entry_index BIGINT NOT NULL REFERENCES ledger_entries (entry_index),
    position BIGINT NOT NULL,
    kind TEXT COLLATE "C" NOT NULL,
    value TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (entry_index, position)
);

CREATE INDEX ledger_references_value ON ledger_references (kind, value, entry_index);

-- Digest of salt and content is in the leaf; erasing a row breaks no proof.
CREATE TABLE ledger_blobs (
    digest BYTEA NOT NULL PRIMARY KEY,
    salt BYTEA NOT NULL,
    content BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- Roots of complete subtrees of 2^level leaves, level 1 and up; level 0 is ledger_entries.leaf_hash.
CREATE TABLE ledger_nodes (
    level BIGINT NOT NULL,
    position BIGINT NOT NULL,
    hash BYTEA NOT NULL,
    PRIMARY KEY (level, position)
);

-- One row. `edge` holds the roots of the complete subtrees from left to right, 32 bytes each.
CREATE TABLE ledger_head (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    size BIGINT NOT NULL,
    edge BYTEA NOT NULL,
    last_leaf BYTEA NOT NULL
);

INSERT INTO ledger_head (id, size, edge, last_leaf) VALUES (1, 0, '', '');

CREATE TABLE ledger_checkpoints (
    size BIGINT NOT NULL PRIMARY KEY,
    root BYTEA NOT NULL,
    note TEXT NOT NULL,
    created_at BIGINT NOT NULL
);

-- One row: who signs checkpoints, and the key of the hashes that stand for secret values.
CREATE TABLE ledger_identity (
    id BIGINT NOT NULL PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL,
    public_key BYTEA NOT NULL,
    seed BYTEA NOT NULL,
    hash_key BYTEA NOT NULL,
    created_at BIGINT NOT NULL
);

-- How far each broker's numbered security events have been read.
CREATE TABLE brokers (
    id TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    last_seq BIGINT NOT NULL,
    first_seen BIGINT NOT NULL,
    last_seen BIGINT NOT NULL
);

-- The events read lately, to tell a replay from another event under the same number.
CREATE TABLE broker_events (
    broker TEXT COLLATE "C" NOT NULL REFERENCES brokers (id),
    seq BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    PRIMARY KEY (broker, seq, digest)
);
