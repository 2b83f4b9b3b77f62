//! The options of `authorization`, `accounts` and what stands in them.

use super::{Block, Kind, TEXTS, applied};

/// The options of `authorization`.
pub(super) static AUTHORIZATION: Block = Block {
    path: "authorization",
    options: &[
        applied("user username", Kind::Text),
        applied("pass password", Kind::Text),
        applied("token", Kind::Text),
        applied("timeout", Kind::Seconds),
        applied("users", USERS),
        applied("default_permissions permissions default_permission", PERMISSIONS),
        applied("auth_callout auth_hook", Kind::Block(&CALLOUT)),
        applied("proxy_required", Kind::Switch),
    ],
};

/// What `accounts` takes: names, or names with what they have.
pub(super) const ACCOUNTS: Kind = Kind::OneOf(&[Kind::List(&Kind::Text), Kind::Named(&Kind::Block(&ACCOUNT))]);

/// What `mappings` takes: for each subject a destination, or several with weights.
pub(super) const MAPPINGS: Kind =
    Kind::Named(&Kind::OneOf(&[Kind::Text, Kind::Block(&DESTINATION), Kind::List(&Kind::Block(&DESTINATION))]));

const USERS: Kind = Kind::List(&Kind::Block(&USER));
const PERMISSIONS: Kind = Kind::Block(&PERMISSION);

static USER: Block = Block {
    path: "users",
    options: &[
        applied("user username", Kind::Text),
        applied("pass password", Kind::Text),
        applied("nkey", Kind::Text),
        applied("permissions permission authorization", PERMISSIONS),
        applied("allowed_connection_types connection_types clients", TEXTS),
        applied("proxy_required", Kind::Switch),
    ],
};

static PERMISSION: Block = Block {
    path: "permissions",
    options: &[
        applied("publish pub import", SUBJECTS),
        applied("subscribe sub export", SUBJECTS),
        applied(
            "allow_responses publish_allow_responses",
            Kind::OneOf(&[
                Kind::Switch,
                Kind::Block(&Block {
                    path: "permissions.allow_responses",
                    options: &[
                        applied("max max_msgs max_messages max_responses", Kind::Integer),
                        applied("expires expiration ttl", Kind::DurationText),
                    ],
                }),
            ]),
        ),
    ],
};

const SUBJECTS: Kind = Kind::OneOf(&[
    Kind::Text,
    Kind::List(&Kind::Text),
    Kind::Block(&Block { path: "permissions.publish", options: &[applied("allow", TEXTS), applied("deny", TEXTS)] }),
]);

static CALLOUT: Block = Block {
    path: "authorization.auth_callout",
    options: &[
        applied("issuer", Kind::Text),
        applied("auth_users users", TEXTS),
        applied("account acc", Kind::Text),
        applied("xkey key", Kind::Text),
        applied("allowed_accounts", TEXTS),
    ],
};

static ACCOUNT: Block = Block {
    path: "accounts",
    options: &[
        applied("nkey", Kind::Text),
        applied("users", USERS),
        applied("default_permissions", PERMISSIONS),
        applied("mappings maps", MAPPINGS),
        applied(
            "limits",
            Kind::Block(&Block {
                path: "accounts.limits",
                options: &[
                    applied("max_connections max_conn", Kind::Integer),
                    applied("max_subscriptions max_subs", Kind::Integer),
                    applied("max_payload max_pay", Kind::Integer),
                    applied("max_leafnodes max_leafs", Kind::Integer),
                ],
            }),
        ),
        applied("exports", Kind::List(&Kind::Block(&EXPORT))),
        applied("imports", Kind::List(&Kind::Block(&IMPORT))),
        applied(
            "jetstream",
            Kind::OneOf(&[
                Kind::Switch,
                Kind::Word(&["enabled", "disabled", "enable", "disable"]),
                Kind::Block(&STORE),
            ]),
        ),
        applied(
            "msg_trace trace_dest",
            Kind::OneOf(&[
                Kind::Text,
                Kind::Block(&Block {
                    path: "accounts.msg_trace",
                    options: &[applied("dest", Kind::Text), applied("sampling", Kind::Percent)],
                }),
            ]),
        ),
    ],
};

static EXPORT: Block = Block {
    path: "accounts.exports",
    options: &[
        applied("stream", Kind::Text),
        applied("service", Kind::Text),
        applied("accounts", TEXTS),
        applied("response_type response", Kind::Text),
        applied("response_threshold threshold response_max_time response_time", Kind::DurationText),
        applied(
            "latency",
            Kind::OneOf(&[
                Kind::Text,
                Kind::Block(&Block {
                    path: "accounts.exports.latency",
                    options: &[applied("sampling", Kind::Any), applied("subject", Kind::Text)],
                }),
            ]),
        ),
        applied("account_token_position", Kind::Integer),
        applied("allow_trace", Kind::Switch),
    ],
};

static IMPORT: Block = Block {
    path: "accounts.imports",
    options: &[
        applied("stream", Kind::Block(&SOURCE)),
        applied("service", Kind::Block(&SOURCE)),
        applied("prefix", Kind::Text),
        applied("to", Kind::Text),
        applied("allow_trace", Kind::Switch),
        applied("share", Kind::Switch),
    ],
};

static SOURCE: Block = Block {
    path: "accounts.imports.stream",
    options: &[applied("account", Kind::Text), applied("subject", Kind::Text)],
};

static DESTINATION: Block = Block {
    path: "mappings",
    options: &[
        applied("dest destination", Kind::Text),
        applied("weight", Kind::Percent),
        applied("cluster", Kind::Text),
    ],
};

static STORE: Block = Block {
    path: "accounts.jetstream",
    options: &[
        applied("max_memory max_mem mem memory", Kind::Storage),
        applied("max_store max_file max_disk store disk", Kind::Storage),
        applied("max_streams streams", Kind::Integer),
        applied("max_consumers consumers", Kind::Integer),
        applied("max_bytes_required max_stream_bytes max_bytes", Kind::Switch),
        applied("mem_max_stream_bytes memory_max_stream_bytes", Kind::Storage),
        applied("disk_max_stream_bytes store_max_stream_bytes", Kind::Storage),
        applied("max_ack_pending", Kind::Integer),
        applied("reads_need_permission", Kind::Switch),
        applied("cluster_traffic", Kind::Text),
    ],
};
