//! Every bound of the data path, in one place, and how they relate.
//!
//! Protocol defaults are those of nats-server (`const.go`); the others are ours.

use std::time::Duration;

/// Default bound on the arguments of one control line, in bytes.
pub const MAX_CONTROL_LINE: usize = 4096;
/// Default bound on one message (header and payload), in bytes.
pub const MAX_PAYLOAD: usize = 1024 * 1024;
/// Default bound on bytes queued for one connection.
pub const MAX_PENDING: usize = 64 * 1024 * 1024;
/// Default bound on open connections.
pub const MAX_CONNECTIONS: usize = 65_536;
/// Bound on connections of leaf nodes, those that have proved nothing yet included.
pub const MAX_LEAF_CONNECTIONS: usize = 16_384;
/// Default bound on TLS handshakes at the same time.
pub const MAX_HANDSHAKES: usize = 1024;
/// Closed connections remembered for monitoring.
pub const MAX_CLOSED_CONNECTIONS: usize = 10_000;
/// The most of them that a configuration may ask for.
pub const MAX_CLOSED_CONFIGURED: usize = 1_000_000;
/// Default time one batch of writes may take before its receiver is a slow consumer.
pub const WRITE_DEADLINE: Duration = Duration::from_secs(10);
/// Default interval between pings to an idle peer.
pub const PING_INTERVAL: Duration = Duration::from_mins(2);
/// Default number of pings that may be unanswered.
pub const PING_MAX: u32 = 2;
/// A first ping is sent no later than this after CONNECT, to learn the round-trip time.
pub const FIRST_PING: Duration = Duration::from_secs(2);
/// Busy peers are pinged, too, when their round-trip time is older than this.
pub const RTT_AGE: Duration = Duration::from_hours(1);
/// Default time for a TLS handshake.
pub const TLS_TIMEOUT: Duration = Duration::from_secs(2);
/// Default time from accept (or the end of the TLS handshake) to a good CONNECT.
pub const AUTH_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a lame duck keeps serving before it begins to close connections.
pub const LAME_DUCK_GRACE: Duration = Duration::from_secs(10);
/// How long a lame duck takes in all.
pub const LAME_DUCK_DURATION: Duration = Duration::from_mins(2);

/// One read fills at most this much: the buffer belongs to the worker, not to the connection.
pub const READ_BUFFER: usize = 256 * 1024;
/// One read of a peer that has proved nothing takes at most this much.
pub const FIRST_READ: usize = 8 * 1024;
/// From so many bytes on, the beginning of a frame is not copied again for each read.
pub const DIRECT_FROM: usize = 32 * 1024;
/// Bytes of a large frame that one read takes.
pub const READ_STEP: usize = 64 * 1024;
/// Bytes that a connection takes before others have their turn, with what deliveries count for: half a millisecond of
/// work. To give way costs some 20 us, since another thread may be woken for what is left.
pub const TURN: usize = 1024 * 1024;
/// What a delivery counts for in a turn, beside the bytes that were taken: a full read of small messages is a turn, one
/// of large messages a quarter of it.
pub const DELIVERY_COUNTS: usize = 512;
/// Deliveries that one read should lead to at most: from more on the next one is smaller.
pub const DELIVERIES_MAX: u64 = 64 * 1024;
/// However much is delivered, one read takes this much.
pub const LEAST_READ: usize = 16 * 1024;
/// First buffer of pending output of a connection.
pub const SMALL_CHUNK: usize = 4 * 1024;
/// Every further buffer of pending output.
pub const LARGE_CHUNK: usize = 64 * 1024;
/// Buffers of each size that a worker keeps for reuse.
pub const POOLED_CHUNKS: usize = 64;
/// Payloads from this size on are shared between several receivers instead of copied.
pub const SHARE_FROM: usize = 8 * 1024;
/// Buffers handed to one vectored write.
pub const WRITE_VECTORS: usize = 64;
/// Plain text handed to TLS before the records made of it are written out.
pub const TLS_WRITE_STEP: usize = 256 * 1024;
/// Rounds of writing that a publisher does for one receiver before a drain task takes over.
pub const FLUSH_ROUNDS: usize = 4;
/// Bytes that one read may queue on receivers before they are flushed in between: bounds the memory of wide fan-outs.
pub const FLUSH_AFTER: u64 = 4 * 1024 * 1024;
/// Pending bytes from which a publisher waits for a receiver that makes progress.
pub const SOFT_PENDING: usize = 1024 * 1024;
/// Longest wait of a publisher for its receivers after one read.
pub const STALL_MAX: Duration = Duration::from_millis(10);

/// Subjects whose match set one connection remembers.
pub const MATCH_CACHE: usize = 512;
/// Receivers in all match sets that one connection remembers, but for the latest set.
pub const MATCH_CACHE_RECEIVERS: usize = 32 * 1024;
/// Tokens of a subscription's subject, whatever the configuration says: each is a level of the tree, and a step of
/// the stack for whoever walks it.
pub const DEEPEST: usize = 1024;
/// Tokens of a subject that matching keeps on the stack.
pub const STACK_TOKENS: usize = 32;
/// Accounts that one changed account asks its resolver for at the same time.
pub const LOOKUPS_AT_ONCE: usize = 16;
/// Subscriptions of a connection that end before others of its account get a turn.
pub const REMOVED_AT_ONCE: usize = 64;
/// Subscriptions of a closed connection that end before other tasks get a turn.
pub const ENDED_IN_A_TURN: usize = 1024;
/// Accounts through which one message may be passed on by service imports.
pub const CROSSING_DEPTH: usize = 16;
/// Service imports that one message may cause to be used in all, on all its ways.
pub const CROSSINGS_OF_ONE: u32 = 1024;
/// Outstanding replies of service imports that one exporter keeps, before each importer gets few more.
pub const OUTSTANDING_REPLIES: usize = 262_144;
/// Outstanding replies of one importer at one exporter.
pub const REPLIES_OF_ONE_IMPORTER: usize = 65_536;
/// Outstanding replies that every importer may have, whatever the others hold.
pub const REPLIES_SURE: usize = 1024;
/// Bytes of the outstanding replies of one importer at one exporter.
pub const REPLY_BYTES_OF_ONE_IMPORTER: usize = 64 * 1024 * 1024;

/// Bytes of a request that asks for WebSocket.
pub const UPGRADE_BYTES: usize = 8 * 1024;
/// Header lines of it.
pub const UPGRADE_HEADERS: usize = 64;
/// Default time for it.
pub const UPGRADE_TIMEOUT: Duration = Duration::from_secs(2);
/// Requests for WebSocket that are read at the same time; an address has a part of that.
pub const UPGRADES_AT_ONCE: usize = 1024;
/// Pending bytes from which a WebSocket message is compressed, where that was agreed to.
pub const DEFLATE_FROM: usize = 65;
/// Pending bytes that become one compressed message at most.
pub const DEFLATE_STEP: usize = 64 * 1024;
/// A compressed message may hold so many times `max_payload`.
pub const INFLATE_RATIO: u64 = 8;
/// Compressed bytes of one message, however large `max_payload` is.
pub const DEFLATE_INPUT_MAX: u64 = 64 * 1024 * 1024;
/// Bytes that are inflated before the parser sees them.
pub const INFLATE_STEP: usize = 32 * 1024;

const _: () = assert!(MAX_CONTROL_LINE * 2 < READ_BUFFER);
const _: () = assert!(MAX_PAYLOAD <= MAX_PENDING);
const _: () = assert!(REPLIES_SURE < REPLIES_OF_ONE_IMPORTER && REPLIES_OF_ONE_IMPORTER < OUTSTANDING_REPLIES);
const _: () = assert!(SMALL_CHUNK <= LARGE_CHUNK);
