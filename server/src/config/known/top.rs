//! The options of a file.

use super::accounts::{ACCOUNTS, AUTHORIZATION, MAPPINGS};
use super::jetstream::JETSTREAM;
use super::links::{CLUSTER, GATEWAY, LEAFNODES};
use super::listeners::{MQTT, WEBSOCKET};
use super::tls::{OCSP, OCSP_CACHE, TLS};
use super::{Block, Kind, TEXTS, WRITE_TIMEOUT, applied, ignored, moot};

/// The options of a file.
pub static TOP: Block = Block {
    path: "",
    options: &[
        // Listening and identity.
        applied("host net", Kind::Text),
        applied("port", Kind::Integer),
        applied("listen", Kind::Listen),
        applied("client_advertise", Kind::Text),
        applied("server_name", Kind::Text),
        applied("server_tags", TEXTS),
        applied("server_metadata", Kind::Named(&Kind::Text)),
        applied("feature_flags", Kind::Named(&Kind::Switch)),
        applied("proxy_protocol", Kind::Switch),
        applied(
            "proxies",
            Kind::Block(&Block {
                path: "proxies",
                options: &[applied(
                    "trusted",
                    Kind::List(&Kind::Block(&Block {
                        path: "proxies.trusted",
                        options: &[applied("key public_key", Kind::Text)],
                    })),
                )],
            }),
        ),
        // Limits and timers.
        applied("max_connections max_conn", Kind::Integer),
        applied("max_subscriptions max_subs", Kind::Integer),
        applied("max_sub_tokens max_subscription_tokens", Kind::Integer),
        applied("max_control_line", Kind::Integer),
        applied("max_payload", Kind::Integer),
        applied("max_pending", Kind::Integer),
        applied("max_traced_msg_len", Kind::Integer),
        applied("max_closed_clients", Kind::Integer),
        applied("ping_interval", Kind::Duration),
        applied("ping_max", Kind::Integer),
        applied("write_deadline", Kind::Duration),
        applied("write_timeout", WRITE_TIMEOUT),
        applied("no_fast_producer_stall", Kind::Switch),
        applied("lame_duck_duration", Kind::DurationText),
        applied("lame_duck_grace_period", Kind::DurationText),
        moot("disable_sublist_cache no_sublist_cache", Kind::Switch, "there is no such cache"),
        applied("no_header_support", Kind::Switch),
        moot("connect_error_reports", Kind::Integer, "it is about links between servers"),
        moot("reconnect_error_reports", Kind::Integer, "it is about links between servers"),
        // Authentication and accounts.
        applied("authorization", Kind::Block(&AUTHORIZATION)),
        applied("accounts", ACCOUNTS),
        applied("no_auth_user", Kind::Text),
        applied("system_account system", Kind::Text),
        applied("no_system_account no_system no_sys_acc", Kind::Switch),
        applied("mappings maps", MAPPINGS),
        applied("operator operators root roots root_operator root_operators", TEXTS),
        applied("trusted_keys trusted", TEXTS),
        applied("resolver account_resolver accounts_resolver", Kind::OneOf(&[Kind::Text, Kind::Block(&RESOLVER)])),
        applied("resolver_tls", Kind::Block(&TLS)),
        applied("resolver_preload", Kind::Named(&Kind::Text)),
        applied("resolver_pinned_accounts", TEXTS),
        applied("default_sentinel", Kind::Text),
        applied("default_js_domain", Kind::Named(&Kind::Text)),
        // TLS.
        applied("tls", Kind::Block(&TLS)),
        applied("allow_non_tls", Kind::Switch),
        ignored("ocsp", OCSP, "staple the state of the server's certificate to handshakes"),
        ignored("ocsp_cache", OCSP_CACHE, "keep answers about the state of certificates"),
        // Logging, files, monitoring.
        applied("debug", Kind::Switch),
        applied("trace", Kind::Switch),
        applied("trace_verbose", Kind::Switch),
        applied("trace_headers", Kind::Switch),
        applied("logtime", Kind::Switch),
        applied("logtime_utc", Kind::Switch),
        applied("log_file logfile", Kind::Text),
        applied("log_size_limit logfile_size_limit", Kind::Integer),
        applied("log_max_num logfile_max_num", Kind::Integer),
        applied("syslog", Kind::Switch),
        applied("remote_syslog", Kind::Text),
        applied("pid_file pidfile", Kind::Text),
        applied("ports_file_dir", Kind::Text),
        applied("http", Kind::Listen),
        applied("https", Kind::Listen),
        applied("http_port monitor_port", Kind::Integer),
        applied("https_port", Kind::Integer),
        applied("http_base_path", Kind::Text),
        ignored("prof_port", Kind::Integer, "serve profiles of the running program"),
        ignored("prof_block_rate", Kind::Integer, "sample blocking events for profiles"),
        // Subsystems.
        applied(
            "jetstream",
            Kind::OneOf(&[Kind::Switch, Kind::Word(&["enabled", "disabled"]), Kind::Block(&JETSTREAM)]),
        ),
        applied("store_dir storedir", Kind::Text),
        applied("websocket ws", Kind::Block(&WEBSOCKET)),
        ignored("mqtt", Kind::Block(&MQTT), "listen for MQTT clients"),
        applied("leafnodes leaf", Kind::Block(&LEAFNODES)),
        ignored("cluster", Kind::Block(&CLUSTER), "join other servers of a cluster; this one serves alone"),
        ignored("gateway", Kind::Block(&GATEWAY), "join other clusters; this server serves alone"),
        // Cordon's own.
        applied("data_dir", Kind::Text),
        applied("proxy_protocol_from", TEXTS),
        applied("strict", Kind::Switch),
        applied("insecure_no_auth", Kind::Switch),
        applied("insecure_no_tls", Kind::Switch),
    ],
};

static RESOLVER: Block = Block {
    path: "resolver",
    options: &[
        applied("type", Kind::Text),
        applied("dir", Kind::Text),
        applied("allow_delete", Kind::Switch),
        applied("hard_delete", Kind::Switch),
        applied("limit", Kind::Integer),
        moot("interval", Kind::DurationText, "there are no other servers to ask"),
        applied("ttl", Kind::DurationText),
        applied("timeout", Kind::DurationText),
    ],
};
