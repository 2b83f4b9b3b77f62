//! What a connection is when it is one of a leaf node.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::leaf::compression::Mode;
use crate::leaf::filter::Filter;
use crate::leaf::info::PROTO;

/// A leaf node at the other end of a connection.
#[derive(Debug)]
pub struct Leaf {
    /// Name of its server.
    pub name: String,
    /// Id of its server.
    pub server_id: String,
    /// Name of its cluster; empty when it has none.
    pub cluster: String,
    /// The account it is bound to at its own end; for people and for finding duplicates alone.
    pub remote_account: String,
    /// This broker is the hub.
    pub is_hub: bool,
    /// This broker dialled.
    pub dialled: bool,
    /// It is not told of interest beyond other leaf nodes.
    pub isolated: bool,
    /// It asked for that itself.
    pub asks_isolation: bool,
    /// It reads headers.
    pub headers: bool,
    /// It goes on with reports about messages that are traced.
    pub traces: bool,
    /// What it asked not to be sent: `deny_pub` of CONNECT, or this side's own lists.
    pub denied: Denied,
    /// How what goes out is compressed now.
    pub level: RwLock<Mode>,
    filter: RwLock<Arc<Filter>>,
    /// It is to be told where this broker is.
    moved: AtomicBool,
}

/// Deny lists that are not part of a user's permissions.
#[derive(Clone, Debug, Default)]
pub struct Denied {
    /// Do not come in.
    pub inward: Vec<String>,
    /// Do not go out.
    pub outward: Vec<String>,
}

/// What both ends say of each other before they are joined.
#[derive(Debug, Default)]
pub struct Introduced {
    /// Name of its server.
    pub name: String,
    /// Id of its server.
    pub server_id: String,
    /// Name of its cluster.
    pub cluster: String,
    /// The account it is bound to at its own end.
    pub remote_account: String,
    /// It reads headers.
    pub headers: bool,
    /// Its server protocol.
    pub protocol: i64,
    /// It asks not to be told of interest beyond other leaf nodes.
    pub asks_isolation: bool,
}

impl Leaf {
    /// A leaf node whose permissions are known.
    pub fn new(peer: Introduced, is_hub: bool, dialled: bool, isolated: bool, denied: Denied, filter: Filter) -> Self {
        let clip = |text: String| text.chars().filter(|c| !c.is_control()).take(256).collect();
        Self {
            name: clip(peer.name),
            server_id: clip(peer.server_id),
            cluster: clip(peer.cluster),
            remote_account: clip(peer.remote_account),
            headers: peer.headers,
            traces: peer.headers && peer.protocol >= i64::from(PROTO),
            is_hub,
            dialled,
            isolated,
            asks_isolation: peer.asks_isolation,
            denied,
            level: RwLock::new(Mode::Off),
            filter: RwLock::new(Arc::new(filter)),
            moved: AtomicBool::new(false),
        }
    }

    /// It is to be told where this broker is; the connection must be woken then.
    pub fn note_move(&self) {
        self.moved.store(true, Ordering::Relaxed);
    }

    /// Whether it is to be told so; once.
    pub fn take_move(&self) -> bool {
        self.moved.swap(false, Ordering::Relaxed)
    }

    /// What may pass now.
    pub fn filter(&self) -> Arc<Filter> {
        self.filter.read().clone()
    }

    /// Replaces what may pass; gives what might before.
    pub fn set_filter(&self, filter: Filter) -> Arc<Filter> {
        std::mem::replace(&mut *self.filter.write(), Arc::new(filter))
    }

    /// Whether interest and messages of this leaf node pass on to `other`: not into the cluster they came from, and
    /// not from one hub to another.
    pub fn passes_to(&self, other: &Self) -> bool {
        (self.is_hub || other.is_hub) && (self.cluster.is_empty() || self.cluster != other.cluster)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::leaf::filter::Whose;
    use cordon_accounts::permissions::Permissions;

    fn leaf(is_hub: bool, cluster: &str) -> Leaf {
        let peer = Introduced { cluster: cluster.to_owned(), ..Introduced::default() };
        let filter = Filter::new(Whose::Peer, Permissions::everything_shared(), false);
        Leaf::new(peer, is_hub, !is_hub, false, Denied::default(), filter)
    }

    #[test]
    fn nothing_passes_between_hubs_or_within_a_cluster() {
        let cases = [
            (leaf(true, "a"), leaf(true, "b"), true),
            (leaf(true, "a"), leaf(true, "a"), false),
            (leaf(true, ""), leaf(true, ""), true),
            (leaf(true, "a"), leaf(false, "b"), true),
            (leaf(false, "a"), leaf(true, "b"), true),
            (leaf(false, "a"), leaf(false, "b"), false),
        ];
        for (from, to, passes) in cases {
            assert_eq!(from.passes_to(&to), passes, "{from:?} {to:?}");
        }
    }
}
