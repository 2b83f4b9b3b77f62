//! Carries the questions of auth callout to the service of an account, and its answer back (auth.md 9.3).
//!
//! A question is a message in the account on `$SYS.REQ.USER.AUTH`. It may hold passwords, so it is handed to the
//! account's auth users alone, whoever else subscribes; and their answers alone count. What is asked for has a reply
//! subject of its own that nobody can guess, and its subscription ends with the wait for it.
//!
//! An auth user may be a leaf node, and the service a client of its server. Where this broker dialled, the service may be
//! a client of the hub; who else sees questions there this broker cannot know, so they go there sealed, or not at all.

use std::sync::{Arc, Weak};
use std::time::Duration;

use cordon_accounts::claims::ServerId;
use cordon_accounts::key::{KeyError, Seed};
pub use cordon_auth::callout::SUBJECT;
use cordon_auth::callout::{AnswerFuture, Caller, Callout, Question, XKEY_HEADER};
use data_encoding::BASE32_NOPAD;
use parking_lot::Mutex;
use rand::RngCore;
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use crate::broker::Broker;
use crate::connection::Connection;
use crate::protocol::info::EMULATED_VERSION;
use crate::routing::match_set::MatchSet;
use crate::routing::{Batch, Message, Receiver, Sink, Subscription, route};
use crate::tenant::Tenant;

/// How often a question is put again while no service is there to take it: one that has just restarted is not missed.
const PUT_AGAIN: Duration = Duration::from_millis(100);

/// The way to the services of a broker's accounts.
#[derive(Debug)]
struct Carrier {
    broker: Weak<Broker>,
    /// What the reply subjects of this broker begin with.
    inbox: String,
}

/// Lets the broker ask; `signer` is its server key.
///
/// # Errors
///
/// [`KeyError`] if that is another kind of key.
pub fn open(broker: &Arc<Broker>, signer: Seed) -> Result<(), KeyError> {
    let carrier = Carrier { broker: Arc::downgrade(broker), inbox: format!("$SYS._INBOX.{}", random_token::<5>()) };
    let id = ServerId {
        name: broker.name.to_string(),
        host: broker.client_address().ip().to_string(),
        version: EMULATED_VERSION.to_owned(),
        ..ServerId::default()
    };
    broker.authenticator().call_out_by(Caller::new(Arc::new(carrier), signer, id)?);
    Ok(())
}

impl Callout for Carrier {
    fn ask(&self, question: Question) -> AnswerFuture<'_> {
        Box::pin(self.carry(question))
    }

    fn patience(&self) -> Duration {
        self.broker.upgrade().map_or(Duration::ZERO, |broker| broker.options.load().auth_timeout)
    }
}

impl Carrier {
    async fn carry(&self, question: Question) -> Option<Zeroizing<Vec<u8>>> {
        let header =
            question.sealed_by.map(|key| format!("NATS/1.0\r\n{XKEY_HEADER}: {key}\r\n\r\n")).unwrap_or_default();
        let body = Zeroizing::new([header.as_bytes(), &question.body].concat());
        let is_sealed = question.sealed_by.is_some();
        let mut is_first = true;
        loop {
            // Found anew each time: nobody of the account may have been here before.
            let asked = self.broker.upgrade().and_then(|broker| {
                let tenant = broker.tenants.find(&question.account)?;
                let asked = services(&broker, &tenant, is_sealed);
                if asked.is_empty() {
                    if is_first && !is_sealed && !services(&broker, &tenant, true).is_empty() {
                        tracing::warn!(account = %tenant.name, "a question to the auth callout service holds credentials, and does not go to the hub of a leaf connection in plain text: set `xkey`");
                    }
                    return None;
                }
                let (inbox, answer) = Inbox::open(&tenant, &self.inbox, is_sealed);
                let subject = SUBJECT.as_bytes();
                let message = Message::of_broker(subject, inbox.subscription.subject(), header.len(), &body);
                put(&broker, &tenant, &asked, &message).then_some((inbox, answer))
            });
            is_first = false;
            if let Some((_inbox, answer)) = asked {
                return answer.await.ok();
            }
            tokio::time::sleep(PUT_AGAIN).await;
        }
    }
}

/// The subscriptions that a question is for: those of auth users of the account.
///
/// An auth user may be a leaf node, and the service beyond it. It must ask for the subject by name: who wants everything
/// there did not mean to see credentials.
fn services(broker: &Broker, tenant: &Arc<Tenant>, is_sealed: bool) -> MatchSet {
    let mut set = MatchSet::default();
    tenant.interest.matches(SUBJECT.as_bytes(), &mut set);
    let here = |subscription: &Subscription| match subscription.sink() {
        Sink::Client(connection) => is_service(broker, tenant, connection, is_sealed),
        Sink::Inside(_) => false,
    };
    let beyond = |subscription: &Subscription| {
        subscription.subject().starts_with(b"$SYS.")
            && subscription.beyond().is_some_and(|far| is_service(broker, tenant, far.connection, is_sealed))
    };
    keep(&mut set, here);
    if let Some(far) = &mut set.far {
        keep(far, beyond);
    }
    set.far = set.far.take().filter(|far| !far.is_empty());
    set
}

fn keep(set: &mut MatchSet, may_see: impl Fn(&Subscription) -> bool) {
    set.plain.retain(&may_see);
    set.queues.iter_mut().for_each(|group| group.members.retain(&may_see));
    set.queues.retain(|group| !group.members.is_empty());
}

/// Hands the question to the services of the account; whether somebody took it.
fn put(broker: &Broker, tenant: &Tenant, services: &MatchSet, question: &Message<'_>) -> bool {
    let mut batch = Batch::new(broker.clock.nanos());
    let accepted = route(services, question, &mut batch);
    tenant.counters.sent(batch.delivered, batch.delivered_bytes);
    accepted > 0
}

/// Whether a connection of the account is one of its auth users. The hub of a leaf connection that this broker dialled
/// has no user here: its own account decides who is a service there, so it sees what is sealed and nothing else.
fn is_service(broker: &Broker, tenant: &Arc<Tenant>, connection: &Connection, is_sealed: bool) -> bool {
    let identity = connection.identity();
    if !Arc::ptr_eq(&identity.tenant, tenant) {
        return false;
    }
    if connection.leaf().is_some_and(|leaf| leaf.dialled) {
        return is_sealed;
    }
    identity
        .principal
        .is_some_and(|principal| broker.authenticator().answers_callouts(&principal, tenant.record().as_deref()))
}

/// Whether `subject` is where questions to the service of an account are published, which nobody but the broker may
/// do: no client of the account, and no other account over its border.
#[inline]
pub fn is_reserved(broker: &Broker, tenant: &Tenant, subject: &[u8]) -> bool {
    subject == SUBJECT.as_bytes() && broker.authenticator().asks_in(&tenant.name, tenant.record().as_deref())
}

/// The subscription for one answer; it ends when this is dropped.
struct Inbox {
    tenant: Arc<Tenant>,
    subscription: Subscription,
}

impl Inbox {
    fn open(tenant: &Arc<Tenant>, prefix: &str, is_sealed: bool) -> (Self, oneshot::Receiver<Zeroizing<Vec<u8>>>) {
        let (sender, answer) = oneshot::channel();
        let ear = Ear { tenant: Arc::downgrade(tenant), answer: Mutex::new(Some(sender)), is_sealed };
        let subject = format!("{prefix}.{}", random_token::<20>());
        let subscription = Subscription::new(subject.as_bytes(), None, b"", Sink::Inside(Arc::new(ear)));
        tenant.interest.insert(&subscription);
        (Self { tenant: tenant.clone(), subscription }, answer)
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.subscription.close();
        self.tenant.interest.remove(&self.subscription);
    }
}

/// Hears the first answer of an auth user.
struct Ear {
    tenant: Weak<Tenant>,
    answer: Mutex<Option<oneshot::Sender<Zeroizing<Vec<u8>>>>>,
    is_sealed: bool,
}

impl Receiver for Ear {
    fn receive(&self, _: &Subscription, message: &Message<'_>, _: &mut Batch) -> bool {
        let from_service = || {
            let tenant = self.tenant.upgrade()?;
            let origin = message.origin.filter(|_| message.passage.crossings.is_empty())?;
            Some(is_service(&*tenant.broker()?, &tenant, origin, self.is_sealed))
        };
        if from_service() != Some(true) {
            return false;
        }
        let Some(sender) = self.answer.lock().take() else { return false };
        // Whoever asked may have given up in this moment.
        sender.send(Zeroizing::new(message.payload().to_vec())).is_ok()
    }
}

/// So many random bytes as one token of a subject.
pub fn random_token<const N: usize>() -> String {
    let mut bytes = [0; N];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    BASE32_NOPAD.encode(&bytes)
}
