//! Leaf nodes when the configuration is read again: what is checked before anything changes, what takes its place, and
//! what that means for the connections that are open.
//!
//! Remotes that are as they were are not touched, and neither are accepted connections that would be accepted again
//! just so. Whoever is not ends, and may come back as the listener has it now.

use std::net::SocketAddr;
use std::sync::Arc;

use cordon_accounts::reason::Reason;
use cordon_auth::authenticator::Mode;
use cordon_auth::configured::ConfiguredUsers;
use cordon_auth::principal::{Method, Principal};
use cordon_auth::refusal::ClosePolicy;
use cordon_auth::standing::Standing;

use crate::broker::{Broker, StartError};
use crate::config::StartFailure;
use crate::connection::close::Closing;
use crate::connection::{Connection, Transport};
use crate::leaf::credentials::Credentials;
use crate::leaf::options::{LeafListen, LeafOptions, RemoteOptions, version};
use crate::leaf::state::Leaf;
use crate::leaf::{InForce, accept, authenticator, own_users};
use crate::monitoring::listening::Move;
use crate::reload::ReloadRefusal;
use crate::system::security::SecurityEvent;
use crate::tenant::apply;

/// Leaf nodes as they are to be, checked as far as that can fail.
pub(crate) struct Plan {
    options: Arc<LeafOptions>,
    users: Option<ConfiguredUsers>,
    listener: Move,
}

/// What was before, for those who were connected under it.
pub(crate) struct Before {
    in_force: Arc<InForce>,
    told: Told,
}

/// What others are told of where this broker is.
type Told = (Option<(String, u16)>, bool, Option<SocketAddr>, Option<String>);

impl Plan {
    /// Binds the listener if it moves, and looks at what remotes prove themselves with.
    ///
    /// # Errors
    ///
    /// [`ReloadRefusal`], when any of it cannot be used.
    pub(crate) fn check(broker: &Broker, options: &Arc<LeafOptions>) -> Result<Self, ReloadRefusal> {
        let users = own_users(options).map_err(|error| StartFailure::from(StartError::from(error)))?;
        for remote in options.remotes.iter().filter(|remote| !remote.disabled) {
            if !broker.leafs.remotes.keeps(remote) {
                check_credentials(remote)?;
            }
        }
        let place = |options: &LeafOptions| options.listen.as_ref().map(|listen| listen.address);
        let listener = Move::between(place(&broker.leafs.options()), place(options), "leaf nodes");
        Ok(Self { options: options.clone(), users, listener: listener.map_err(StartFailure::from)? })
    }

    /// Puts it in force for connections from now on.
    pub(crate) fn put_in_force(self, broker: &Arc<Broker>) -> Before {
        let leafs = &broker.leafs;
        let told = told(broker);
        let before = leafs.in_force.load_full();
        let users = match (&before.users, self.users) {
            // The same one goes on, and so does its memory of addresses that failed.
            (Some(running), Some(users)) => {
                running.replace_mode(Mode::Configured(users));
                Some(running.clone())
            }
            (None, Some(users)) => Some(authenticator(users, &broker.clock)),
            (_, None) => None,
        };
        leafs.in_force.store(Arc::new(InForce::new(self.options, users, &broker.name)));
        leafs.act(broker, self.listener);
        Before { in_force: before, told }
    }
}

/// What cannot be used now would end a connection that works.
fn check_credentials(remote: &RemoteOptions) -> Result<(), ReloadRefusal> {
    let Some(url) = remote.urls.first() else { return Ok(()) };
    let read = Credentials::read(remote, url);
    read.map(drop).map_err(|cause| ReloadRefusal::Remote { remote: format!("{}:{}", url.host, url.port), cause })
}

fn told(broker: &Broker) -> Told {
    let listen = broker.leafs.listen();
    let advertise = listen.as_ref().and_then(|listen| listen.advertise.clone());
    let websocket = broker.options.load().websocket.as_ref().and_then(|own| own.advertise.clone());
    (advertise, listen.is_some_and(|listen| listen.no_advertise), broker.leafs.address(), websocket)
}

impl Before {
    /// Acts on what is open, once accounts and users are in force: remotes first, then what was accepted.
    pub(crate) fn settle(&self, broker: &Arc<Broker>) {
        let leafs = &broker.leafs;
        leafs.remotes.replace(broker, &leafs.options().remotes);
        let moved = told(broker) != self.told;
        for connection in leafs.open.list() {
            let Some(leaf) = connection.leaf().filter(|leaf| !leaf.dialled) else { continue };
            hold_to_listener(&connection);
            if let (Some(before), Some(now)) = (&self.in_force.listen, &leafs.listen())
                && let Some(detail) = negotiated_otherwise(before, now, &connection, leaf)
            {
                connection.close(Closing::silent("Client Closed", None).because(detail));
            }
            if moved {
                leaf.note_move();
                connection.wake();
            }
        }
    }
}

/// Leaf nodes that came over TCP, for whom the certificates of the listener count.
pub(crate) fn accepted_over_tcp(broker: &Broker) -> Vec<Arc<Connection>> {
    let mut open = broker.leafs.open.list();
    open.retain(|connection| {
        connection.transport == Transport::Tcp && connection.leaf().is_some_and(|leaf| !leaf.dialled)
    });
    open
}

/// What was agreed on when the connection began, and would be otherwise now.
fn negotiated_otherwise(
    before: &LeafListen,
    now: &LeafListen,
    connection: &Connection,
    leaf: &Leaf,
) -> Option<&'static str> {
    let over_tcp = connection.transport == Transport::Tcp;
    if leaf.isolated != (now.isolated || leaf.asks_isolation) {
        return Some("the isolation of leaf nodes has changed");
    }
    if over_tcp && before.compression != now.compression {
        return Some("the compression of leaf nodes has changed");
    }
    (over_tcp && before.map_certificates != now.map_certificates)
        .then_some("what certificates of leaf nodes mean has changed")
}

/// Ends an accepted connection that the listener, as it is now, would not accept.
pub(crate) fn hold_to_listener(connection: &Arc<Connection>) {
    let broker = &connection.broker;
    let identity = connection.identity();
    let Some(principal) = identity.principal else { return };
    let Some(listen) = broker.leafs.listen() else {
        let detail = "leaf nodes are not accepted any more";
        return apply::end(connection, ClosePolicy::SILENT, Reason::ConnectionTypeNotAllowed, detail);
    };
    if identity.tenant.is_system() && !listen.system_account {
        let detail = "leaf nodes may not join the system account";
        let policy = ClosePolicy::AUTHORIZATION_VIOLATION;
        return apply::end(connection, policy, Reason::ConnectionTypeNotAllowed, detail);
    }
    if let Some(least) = listen.min_version
        && version(&identity.client.version).is_none_or(|version| version < least)
    {
        let text = accept::too_old(least);
        broker.security.note(SecurityEvent::of(connection, Reason::ProtocolViolation).about(b"", "", &text));
        return connection.close(Closing::told(text, "Minimum Version Required", Reason::ProtocolViolation));
    }
    // Operators know nothing of users that are configured here.
    if broker.leafs.users().is_none() && broker.tenants.accounts().is_some() && principal.configured.is_some() {
        let detail = "leaf nodes have no users of their own any more";
        return apply::end(connection, ClosePolicy::SILENT, Reason::CredentialsChanged, detail);
    }
    if broker.tenants.accounts().is_some()
        && let Some(Err((reason, policy))) = own_standing(broker, &principal)
    {
        apply::end(connection, policy, reason, "the users of leaf nodes changed");
    }
}

/// What the configuration means for an accepted leaf node: its own users, where the listener has some, and else those
/// of clients.
pub(crate) fn standing(broker: &Broker, connection: &Connection, principal: &Principal) -> Option<Standing> {
    if let Some(own) = own_standing(broker, principal) {
        return Some(own);
    }
    // Where nobody is asked, everybody is in the account that the listener names.
    let is_asked = broker.demands_credentials(connection.transport.leaf_type());
    let account = broker.leafs.listen().map(|listen| listen.account.clone());
    if principal.method == Method::Anonymous && !is_asked {
        return if account.is_none_or(|account| account == principal.account) {
            None
        } else {
            Some(Err((Reason::CredentialsChanged, ClosePolicy::SILENT)))
        };
    }
    broker.configured_standing(principal)
}

fn own_standing(broker: &Broker, principal: &Principal) -> Option<Standing> {
    let users = broker.leafs.users()?;
    users.configured_standing(principal)
}
