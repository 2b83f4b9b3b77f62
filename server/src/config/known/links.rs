//! The options of links between servers: `leafnodes`, `cluster`, `gateway`.

use super::tls::TLS;
use super::{Block, COMPRESSION, Kind, TEXTS, WRITE_TIMEOUT, applied, ignored};

/// The options of `leafnodes`.
pub(super) static LEAFNODES: Block = Block {
    path: "leafnodes",
    options: &[
        applied("listen", Kind::Listen),
        applied("host net", Kind::Text),
        applied("port", Kind::Integer),
        applied("advertise leafnode_advertise", Kind::Text),
        applied("no_advertise", Kind::Switch),
        applied("authorization", Kind::Block(&LEAF_LOGIN)),
        applied("tls", Kind::Block(&TLS)),
        applied("compression", COMPRESSION),
        applied("min_version", Kind::Text),
        applied("reconnect reconnect_delay reconnect_interval", Kind::Duration),
        applied("dial_timeout", Kind::Duration),
        applied("isolate_leafnode_interest isolate", Kind::Switch),
        applied("write_deadline", Kind::Duration),
        applied("write_timeout", WRITE_TIMEOUT),
        applied("allow_system_account", Kind::Switch),
        applied("remotes", Kind::List(&Kind::Block(&REMOTE))),
    ],
};

static LEAF_LOGIN: Block = Block {
    path: "leafnodes.authorization",
    options: &[
        applied("user username", Kind::Text),
        applied("pass password", Kind::Text),
        applied("nkey", Kind::Text),
        applied("account", Kind::Text),
        applied("timeout", Kind::Seconds),
        applied("proxy_required", Kind::Switch),
        applied(
            "users",
            Kind::List(&Kind::Block(&Block {
                path: "leafnodes.authorization.users",
                options: &[
                    applied("user username", Kind::Text),
                    applied("pass password", Kind::Text),
                    applied("nkey", Kind::Text),
                    applied("account", Kind::Text),
                    applied("proxy_required", Kind::Switch),
                ],
            })),
        ),
    ],
};

static REMOTE: Block = Block {
    path: "leafnodes.remotes",
    options: &[
        applied("url urls", TEXTS),
        applied("account local", Kind::Text),
        applied("credentials creds", Kind::Text),
        applied("nkey seed", Kind::Text),
        applied("tls", Kind::Block(&TLS)),
        applied("hub", Kind::Switch),
        applied("deny_imports deny_import", TEXTS),
        applied("deny_exports deny_export", TEXTS),
        applied("no_randomize dont_randomize", Kind::Switch),
        applied("compression", COMPRESSION),
        applied("ws_compress ws_compression websocket_compress websocket_compression", Kind::Switch),
        applied("ws_no_masking websocket_no_masking", Kind::Switch),
        applied("first_info_timeout", Kind::Duration),
        applied("dial_timeout", Kind::Duration),
        applied("disabled", Kind::Switch),
        applied(
            "proxy",
            Kind::Block(&Block {
                path: "leafnodes.remotes.proxy",
                options: &[
                    applied("url", Kind::Text),
                    applied("username", Kind::Text),
                    applied("password", Kind::Text),
                    applied("timeout", Kind::Duration),
                ],
            }),
        ),
        ignored(
            "jetstream_cluster_migrate js_cluster_migrate",
            Kind::OneOf(&[
                Kind::Switch,
                Kind::Block(&Block {
                    path: "leafnodes.remotes.jetstream_cluster_migrate",
                    options: &[applied("leader_migrate_delay", Kind::Duration)],
                }),
            ]),
            "move leaders of streams away while the remote is not connected",
        ),
        applied("isolate_leafnode_interest isolate", Kind::Switch),
        applied("request_isolation", Kind::Switch),
        applied("ignore_discovered_servers", Kind::Switch),
        applied("allow_system_account", Kind::Switch),
    ],
};

/// The options of `cluster`.
pub(super) static CLUSTER: Block = Block {
    path: "cluster",
    options: &[
        applied("name", Kind::Text),
        applied("listen", Kind::Listen),
        applied("host net", Kind::Text),
        applied("port", Kind::Integer),
        applied("authorization", Kind::Block(&LINK_LOGIN)),
        applied("routes", Kind::List(&Kind::Text)),
        applied("tls", Kind::Block(&TLS)),
        applied("advertise cluster_advertise", Kind::Text),
        applied("no_advertise", Kind::Switch),
        applied("connect_retries", Kind::Integer),
        applied("connect_backoff", Kind::Switch),
        applied("permissions", Kind::Any),
        applied("pool_size", Kind::Integer),
        applied("accounts", TEXTS),
        applied("compression", COMPRESSION),
        applied("ping_interval", Kind::Duration),
        applied("ping_max", Kind::Integer),
        applied("write_deadline", Kind::Duration),
        applied("write_timeout", WRITE_TIMEOUT),
    ],
};

/// The one user of a cluster or gateway.
static LINK_LOGIN: Block = Block {
    path: "cluster.authorization",
    options: &[
        applied("user username", Kind::Text),
        applied("pass password", Kind::Text),
        applied("token", Kind::Text),
        applied("timeout", Kind::Seconds),
        applied("default_permissions permissions default_permission", Kind::Any),
    ],
};

/// The options of `gateway`.
pub(super) static GATEWAY: Block = Block {
    path: "gateway",
    options: &[
        applied("name", Kind::Text),
        applied("listen", Kind::Listen),
        applied("host net", Kind::Text),
        applied("port", Kind::Integer),
        applied("authorization", Kind::Block(&LINK_LOGIN)),
        applied("tls", Kind::Block(&TLS)),
        applied("advertise", Kind::Text),
        applied("connect_retries", Kind::Integer),
        applied("connect_backoff", Kind::Switch),
        applied("reject_unknown_cluster reject_unknown", Kind::Switch),
        applied(
            "gateways",
            Kind::List(&Kind::Block(&Block {
                path: "gateway.gateways",
                options: &[applied("name", Kind::Text), applied("url urls", TEXTS), applied("tls", Kind::Block(&TLS))],
            })),
        ),
        applied("write_deadline", Kind::Duration),
        applied("write_timeout", WRITE_TIMEOUT),
    ],
};
