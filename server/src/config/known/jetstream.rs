//! The options of `jetstream`.

use super::{Block, Kind, applied, ignored, moot};

/// The options of `jetstream`.
pub(super) static JETSTREAM: Block = Block {
    path: "jetstream",
    options: &[
        applied("store_dir store storedir", Kind::Text),
        applied("max_memory_store max_mem_store max_mem", Kind::Storage),
        applied("max_file_store max_file", Kind::Storage),
        applied("domain", Kind::Text),
        applied("enabled enable", Kind::Switch),
        applied("strict", Kind::Switch),
        applied("reads_need_permission", Kind::Switch),
        applied("sync_interval sync", Kind::OneOf(&[Kind::Word(&["always"]), Kind::Duration])),
        applied("key ek encryption_key", Kind::Text),
        applied("prev_key prev_ek prev_encryption_key", Kind::Text),
        ignored(
            "cipher",
            Kind::Word(&["chacha", "chachapoly", "aes"]),
            "choose the cipher; streams are encrypted with XChaCha20-Poly1305 here",
        ),
        moot("extension_hint", Kind::Text, "this server keeps its streams alone"),
        applied("unique_tag", Kind::Text),
        moot("max_outstanding_catchup", Kind::Storage, "this server keeps its streams alone"),
        applied("max_buffered_size", Kind::Storage),
        applied("max_buffered_account", Kind::Storage),
        applied("max_buffered_total", Kind::Storage),
        applied("max_buffered_msgs", Kind::Integer),
        applied("scrub_rate", Kind::Storage),
        applied("scrub_interval", Kind::Duration),
        applied("request_queue_limit", Kind::Integer),
        applied("info_queue_limit", Kind::Integer),
        moot("meta_compact", Kind::Integer, "this server keeps its streams alone"),
        moot("meta_compact_size", Kind::Storage, "this server keeps its streams alone"),
        moot("meta_compact_sync", Kind::Switch, "this server keeps its streams alone"),
        moot("max_concurrent_io", Kind::Integer, "a few threads write for all streams"),
        applied("limits", Kind::Block(&LIMITS)),
        applied("tpm", Kind::Block(&TPM)),
    ],
};

static LIMITS: Block = Block {
    path: "jetstream.limits",
    options: &[
        applied("max_ack_pending", Kind::Integer),
        moot("max_ha_assets", Kind::Integer, "this server keeps its streams alone"),
        applied("max_request_batch", Kind::Integer),
        applied("duplicate_window", Kind::DurationText),
        applied(
            "batch",
            Kind::Block(&Block {
                path: "jetstream.limits.batch",
                options: &[
                    applied("max_inflight_per_stream", Kind::Integer),
                    applied("max_inflight_total", Kind::Integer),
                    applied("max_msgs", Kind::Integer),
                    applied("timeout", Kind::DurationText),
                ],
            }),
        ),
    ],
};

static TPM: Block = Block {
    path: "jetstream.tpm",
    options: &[
        applied("keys_file", Kind::Text),
        applied("encryption_password", Kind::Text),
        applied("srk_password", Kind::Text),
        applied("pcr", Kind::Integer),
        applied("cipher", Kind::Text),
    ],
};
