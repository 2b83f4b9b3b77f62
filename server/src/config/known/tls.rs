//! The options of `tls` blocks, and of stapling.

use super::{Block, Kind, TEXTS, applied, moot};

/// The options of a `tls` block of a listener.
pub(super) static TLS: Block = Block {
    path: "tls",
    options: &[
        applied("cert_file", Kind::Text),
        applied("key_file", Kind::Text),
        applied(
            "certs certificates",
            Kind::List(&Kind::Block(&Block {
                path: "tls.certs",
                options: &[applied("cert_file", Kind::Text), applied("key_file", Kind::Text)],
            })),
        ),
        applied("ca_file", Kind::Text),
        applied("verify", Kind::Switch),
        applied("verify_and_map", Kind::Switch),
        applied("verify_cert_and_check_known_urls", Kind::Switch),
        moot("insecure", Kind::Switch, "it is about links to other servers"),
        applied("timeout", Kind::Seconds),
        applied("handshake_first first immediate", Kind::OneOf(&[Kind::Switch, Kind::Text])),
        applied("min_version", Kind::Text),
        applied("cipher_suites", Kind::List(&Kind::Text)),
        applied("curve_preferences", Kind::List(&Kind::Text)),
        applied("allow_insecure_cipher_suites", Kind::Switch),
        applied("connection_rate_limit", Kind::Integer),
        applied("pinned_certs", Kind::List(&Kind::Text)),
        applied("ocsp_peer", Kind::OneOf(&[Kind::Switch, Kind::Block(&OCSP_PEER)])),
        applied("cert_store", Kind::Text),
        moot("cert_match_by", Kind::Text, "it is about the certificate store of Windows"),
        moot("cert_match", Kind::Text, "it is about the certificate store of Windows"),
        moot("ca_certs_match", TEXTS, "it is about the certificate store of Windows"),
        moot("cert_match_skip_invalid", Kind::Switch, "it is about the certificate store of Windows"),
    ],
};

static OCSP_PEER: Block = Block {
    path: "tls.ocsp_peer",
    options: &[
        applied("verify", Kind::Switch),
        applied("ca_timeout", Kind::Seconds),
        applied("allowed_clockskew", Kind::Seconds),
        applied("warn_only", Kind::Switch),
        applied("unknown_is_good", Kind::Switch),
        applied("allow_when_ca_unreachable", Kind::Switch),
        applied("cache_ttl_when_next_update_unset", Kind::Seconds),
    ],
};

/// What `ocsp` takes.
pub(super) const OCSP: Kind = Kind::OneOf(&[
    Kind::Switch,
    Kind::Block(&Block {
        path: "ocsp",
        options: &[
            applied("mode", Kind::Word(&["auto", "always", "must", "never"])),
            applied("url", Kind::Text),
            applied("urls", TEXTS),
        ],
    }),
]);

/// What `ocsp_cache` takes.
pub(super) const OCSP_CACHE: Kind = Kind::OneOf(&[
    Kind::Switch,
    Kind::Block(&Block {
        path: "ocsp_cache",
        options: &[
            applied("type", Kind::Word(&["local", "none"])),
            applied("local_store", Kind::Text),
            applied("preserve_revoked", Kind::Switch),
            applied("save_interval", Kind::Seconds),
        ],
    }),
]);
