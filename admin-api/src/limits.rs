//! Every bound of the control plane, in one place, with what each protects.

use std::time::Duration;

/// Longest request body. The largest honest body is an account with some thousand mappings.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long one request may take before it is answered with a problem, and its work dropped.
pub const REQUEST_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a client may take to send its request head. Idle kept-alive connections end with it too.
pub const HEADER_READ_TIME_MAX: Duration = Duration::from_secs(30);

/// How long a TLS handshake may take.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// TLS handshakes in progress at once; further connections wait in the kernel's queue.
pub const HANDSHAKES_MAX: usize = 128;

/// Connections open at once.
pub const CONNECTIONS_MAX: usize = 4096;

/// How long shutdown waits for requests in progress.
pub const SHUTDOWN_TIME_MAX: Duration = Duration::from_secs(10);

/// Items on one page when the caller names no number.
pub const PAGE_ITEMS_DEFAULT: u32 = 100;

/// Most items on one page.
pub const PAGE_ITEMS_MAX: u32 = 250;

/// Longest form that the console takes.
pub const FORM_BYTES_MAX: usize = 128 * 1024;

/// How long a session of the console lasts at most, in seconds (8 hours).
pub const CONSOLE_SESSION_SECONDS: i64 = 8 * 3600;

/// After how long without a request a session of the console ends, in seconds (30 minutes).
pub const CONSOLE_IDLE_SECONDS: i64 = 30 * 60;

/// Sessions that one token has at once; the one that was used longest ago ends when there would be more.
pub const CONSOLE_SESSIONS_PER_TOKEN: u32 = 16;

/// Longest `Idempotency-Key`.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// How long an idempotency key is remembered, in seconds.
pub const IDEMPOTENCY_SECONDS: i64 = 24 * 3600;

/// Refusals of callers without a valid token that become ledger entries, per minute. Those beyond are
/// counted, and the count stands in the next entry: an attacker can neither grow the ledger at will nor
/// hide in its noise.
pub const ANONYMOUS_REFUSALS_PER_MINUTE: u32 = 20;

/// Refusals of one known token that become ledger entries, per minute.
pub const TOKEN_REFUSALS_PER_MINUTE: u32 = 240;

/// How long the effect and connection routes wait for the answers of all brokers.
pub const BROKER_ANSWER_TIME: Duration = Duration::from_millis(1500);

/// When brokers are counted, how long after the last answer no further one is expected.
pub const BROKER_QUIET_TIME: Duration = Duration::from_millis(300);

/// How long the outbox waits, once connected, to learn which brokers there are.
pub const BROKERS_LEARNED_TIME: Duration = Duration::from_secs(5);

/// How long a push waits for the answers of all known brokers.
pub const PUSH_ANSWER_TIME: Duration = Duration::from_secs(3);

/// A broker that has not answered a ping for this long is no longer waited for.
pub const BROKER_FORGOTTEN_SECONDS: i64 = 150;

/// Time between two pings of all brokers.
pub const BROKER_PING_INTERVAL: Duration = Duration::from_secs(20);

/// Most brokers that are remembered at once.
pub const BROKERS_MAX: usize = 256;

/// First and longest wait before a push is tried again, in seconds.
pub const PUSH_RETRY_SECONDS: (i64, i64) = (1, 60);

/// Pushes taken from the outbox at once.
pub const PUSH_BATCH: u32 = 64;

/// Broker events waiting to be written to the ledger. When full, the reader waits, and the NATS client
/// drops: the gap is seen by its numbers and replayed.
pub const EVENT_QUEUE: usize = 4096;

/// Events asked for in one replay request.
pub const REPLAY_BATCH: u32 = 500;

/// Connections listed in one answer of one broker.
pub const CONNZ_LIMIT: u32 = 1024;

/// Longest name, tag or description line taken from a caller, in bytes.
pub const NAME_BYTES_MAX: usize = 256;

/// Most elements of a list in one request (exports, mappings, tags, subjects).
pub const LIST_ITEMS_MAX: usize = 4096;

/// Most shares that one account gives.
pub const SHARES_MAX: usize = 128;

/// Accounts looked through when one import is resolved; a deeper web is refused.
pub const SHARING_ACCOUNTS_MAX: usize = 1024;

/// Life of the user that the control plane mints for its own broker connection, in seconds.
pub const SYSTEM_USER_SECONDS: i64 = 3600;

/// Longest life of a client certificate from the local CA, in seconds (825 days).
pub const CERTIFICATE_SECONDS_MAX: i64 = 825 * 86_400;

/// Life of a client certificate when the caller names none, in seconds (90 days).
pub const CERTIFICATE_SECONDS_DEFAULT: i64 = 90 * 86_400;
