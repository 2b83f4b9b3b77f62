//! Other servers and tools of the system account, asked over NATS (auth.md 8.5).

use std::sync::{Arc, Weak};

use cordon_accounts::key::AccountKey;
use cordon_accounts::limits::TOKEN_BYTES_MAX;
use cordon_auth::remote::{Remote, RemoteError, RemoteFuture};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::broker::Broker;
use crate::routing::match_set::MatchSet;
use crate::routing::{Batch, Message, Receiver, Sink, Subscription, route};
use crate::system::callout::random_token;
use crate::tenant::Tenant;

/// Those who answer look-ups in the system account, besides the broker itself.
#[derive(Debug)]
pub struct Peers {
    broker: Weak<Broker>,
}

impl Peers {
    /// Of this broker.
    pub fn of(broker: &Arc<Broker>) -> Self {
        Self { broker: Arc::downgrade(broker) }
    }

    async fn ask(&self, key: AccountKey) -> Result<Option<String>, RemoteError> {
        let asked = self.broker.upgrade().and_then(|broker| {
            let system = broker.tenants.system()?.clone();
            let (question, answer) = Question::open(&system);
            let subject = format!("$SYS.REQ.ACCOUNT.{key}.CLAIMS.LOOKUP");
            question.put(&broker, subject.as_bytes()).then_some((question, answer))
        });
        // Nobody is there who could know more.
        let Some((_question, answer)) = asked else { return Ok(None) };
        let token = answer.await.map_err(|_| RemoteError("the look-up was broken off".to_owned()))?;
        Ok(token)
    }
}

impl Remote for Peers {
    fn fetch(&self, key: AccountKey) -> RemoteFuture<'_> {
        Box::pin(self.ask(key))
    }
}

/// A look-up under way; it ends when this is dropped.
struct Question {
    system: Arc<Tenant>,
    inbox: Subscription,
    ear: Arc<Ear>,
}

impl Question {
    fn open(system: &Arc<Tenant>) -> (Self, oneshot::Receiver<Option<String>>) {
        let (sender, answer) = oneshot::channel();
        let ear = Arc::new(Ear { state: Mutex::new(Hearing { expected: usize::MAX, answer: Some(sender) }) });
        let subject = format!("$SYS._INBOX.{}.{}", random_token::<5>(), random_token::<20>());
        let inbox = Subscription::new(subject.as_bytes(), None, b"", Sink::Inside(ear.clone()));
        system.interest.insert(&inbox);
        (Self { system: system.clone(), inbox, ear }, answer)
    }

    /// Puts the question to all but the broker itself; whether somebody took it.
    fn put(&self, broker: &Broker, subject: &[u8]) -> bool {
        let mut set = MatchSet::default();
        self.system.interest.matches(subject, &mut set);
        let is_other = |subscription: &Subscription| matches!(subscription.sink(), Sink::Client(_));
        set.plain.retain(is_other);
        set.queues.iter_mut().for_each(|group| group.members.retain(is_other));
        set.queues.retain(|group| !group.members.is_empty());
        let message = Message::of_broker(subject, self.inbox.subject(), 0, b"");
        let mut batch = Batch::new(broker.clock.nanos());
        let accepted = route(&set, &message, &mut batch);
        self.system.counters.sent(batch.delivered, batch.delivered_bytes);
        self.ear.expect(accepted);
        accepted > 0
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.inbox.close();
        self.system.interest.remove(&self.inbox);
    }
}

/// Hears answers: the first token counts, and that there is none only if everybody says so.
struct Ear {
    state: Mutex<Hearing>,
}

struct Hearing {
    /// Answers that may still come.
    expected: usize,
    answer: Option<oneshot::Sender<Option<String>>>,
}

impl Ear {
    fn expect(&self, count: usize) {
        self.state.lock().expected = count;
    }
}

impl Receiver for Ear {
    fn receive(&self, _: &Subscription, message: &Message<'_>, _: &mut Batch) -> bool {
        let payload = message.payload();
        let mut state = self.state.lock();
        state.expected = state.expected.saturating_sub(1);
        let token = std::str::from_utf8(payload).ok().filter(|text| !text.is_empty() && text.len() <= TOKEN_BYTES_MAX);
        if token.is_none() && state.expected > 0 {
            return true;
        }
        // Whoever asked may have given up in this moment.
        state.answer.take().is_some_and(|answer| answer.send(token.map(str::to_owned)).is_ok())
    }
}
