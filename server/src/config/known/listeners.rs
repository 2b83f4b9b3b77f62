//! The options of `websocket` and `mqtt`.

use super::tls::TLS;
use super::{Block, Kind, TEXTS, applied};

/// The options of `websocket`.
pub(super) static WEBSOCKET: Block = Block {
    path: "websocket",
    options: &[
        applied("listen", Kind::Listen),
        applied("host net", Kind::Text),
        applied("port", Kind::Integer),
        applied("advertise", Kind::Text),
        applied("no_tls", Kind::Switch),
        applied("tls", Kind::Block(&TLS)),
        applied("same_origin", Kind::Switch),
        applied("allowed_origins allowed_origin allow_origins allow_origin origins origin", TEXTS),
        applied("compression compress", Kind::Switch),
        applied("handshake_timeout", Kind::Duration),
        applied("ping_interval", Kind::Duration),
        applied("authorization authentication", Kind::Block(&LOGIN)),
        applied("no_auth_user", Kind::Text),
        applied("jwt_cookie", Kind::Text),
        applied("user_cookie", Kind::Text),
        applied("pass_cookie", Kind::Text),
        applied("token_cookie", Kind::Text),
        applied("headers", Kind::Named(&Kind::Text)),
    ],
};

/// Who may connect to a listener that asks on its own.
static LOGIN: Block = Block {
    path: "websocket.authorization",
    options: &[
        applied("user username", Kind::Text),
        applied("pass password", Kind::Text),
        applied("token", Kind::Text),
        applied("timeout", Kind::Seconds),
    ],
};

/// The options of `mqtt`.
pub(super) static MQTT: Block = Block {
    path: "mqtt",
    options: &[
        applied("listen", Kind::Listen),
        applied("host net", Kind::Text),
        applied("port", Kind::Integer),
        applied("tls", Kind::Block(&TLS)),
        applied("authorization authentication", Kind::Block(&LOGIN)),
        applied("no_auth_user", Kind::Text),
        applied("ack_wait ackwait", Kind::Duration),
        applied("max_ack_pending max_pending max_inflight", Kind::Integer),
        applied("js_domain", Kind::Text),
        applied("js_api_timeout api_timeout", Kind::Duration),
        applied("stream_replicas", Kind::Integer),
        applied("consumer_replicas", Kind::Integer),
        applied("consumer_memory_storage", Kind::Switch),
        applied("consumer_inactive_threshold consumer_auto_cleanup", Kind::Duration),
        applied("reject_qos2_publish", Kind::Switch),
        applied("downgrade_qos2_subscribe", Kind::Switch),
    ],
};
