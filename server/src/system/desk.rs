//! Where requests arrive: taken on the publisher's thread, answered by tasks.
//!
//! Claims have a queue and a task of their own, so that a slow disk does not hold up the rest and
//! updates take effect in the order of their arrival. Both queues are bounded in requests and in
//! bytes; what does not fit is counted and not taken, and its asker hears of no responders.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::broker::Broker;
use crate::protocol::headers;
use crate::routing::{Batch, Message, Receiver, Sink, Subscription};
use crate::system::ask::{Ask, ClaimsAsk, SUBSCRIBERS, ServerAsk};
use crate::system::waiting::{self, Waiting};
use crate::system::{account, claims, envelope, publish, server, subscribers, user};
use crate::tenant::Tenant;

/// What the server answers, with the queue group that shares the work among servers.
const SERVICES: [(&str, Option<&str>); 12] = [
    ("$SYS.REQ.SERVER.PING", None),
    ("$SYS.REQ.SERVER.PING.*", None),
    ("$SYS.REQ.ACCOUNT.*.*", None),
    ("$SYS.REQ.ACCOUNT.*.CLAIMS.LOOKUP", None),
    ("$SYS.REQ.ACCOUNT.*.CLAIMS.UPDATE", None),
    ("$SYS.ACCOUNT.*.CLAIMS.UPDATE", None),
    ("$SYS.REQ.CLAIMS.UPDATE", None),
    ("$SYS.REQ.CLAIMS.LIST", None),
    ("$SYS.REQ.CLAIMS.DELETE", None),
    ("$SYS.REQ.CLAIMS.PACK", Some("responder")),
    ("$SYS.REQ.USER.*.INFO", None),
    (SUBSCRIBERS, None),
];

/// A request on its way to a task.
#[derive(Debug)]
pub struct Request {
    /// What is asked.
    pub ask: Ask,
    /// Where to answer; never empty.
    pub reply: Vec<u8>,
    /// What the border says about the asker: empty for one of the system account itself.
    pub info: Vec<u8>,
    /// The body without headers.
    pub body: Vec<u8>,
    /// The connection that asked, if it is of the system account itself.
    pub asker: Option<u64>,
    /// The account that asks, if it is not the system account: the one that the border put into the subject, or
    /// nothing where the subject names none.
    pub tenant: Option<Box<str>>,
}

struct Desk {
    broker: Weak<Broker>,
    claims: mpsc::Sender<Request>,
    views: mpsc::Sender<Request>,
    tenants: mpsc::Sender<Request>,
    waiting: Arc<Waiting>,
}

/// Opens the services of the server in the system account.
pub fn open(broker: &Arc<Broker>, system: &Arc<Tenant>) {
    let waiting = Arc::new(Waiting::default());
    let (claims, of_claims) = mpsc::channel(waiting::OWN);
    let (views, of_views) = mpsc::channel(waiting::OWN);
    let (tenants, of_tenants) = mpsc::channel(waiting::TENANTS);
    let desk = Arc::new(Desk { broker: Arc::downgrade(broker), claims, views, tenants, waiting: waiting.clone() });
    let own = format!("$SYS.REQ.SERVER.{}.>", broker.id);
    let services = SERVICES.into_iter().chain([(own.as_str(), None), ("$SYS.REQ.USER.INFO", None)]);
    for (subject, queue) in services {
        let sink = Sink::Inside(desk.clone());
        let subscription = Subscription::new(subject.as_bytes(), queue.map(str::as_bytes), b"", sink);
        system.interest.insert(&subscription);
    }
    broker.tasks.spawn(work_on_claims(broker.clone(), of_claims, waiting.clone()));
    for queue in [of_views, of_tenants] {
        broker.tasks.spawn(work(broker.clone(), queue, waiting.clone()));
    }
}

impl Receiver for Desk {
    fn receive(&self, _: &Subscription, message: &Message<'_>, _: &mut Batch) -> bool {
        let Some(broker) = self.broker.upgrade() else { return false };
        let Some(ask) = Ask::parse(message.subject, &broker.id) else { return false };
        if matches!(ask, Ask::Claims(_)) && !claims::answers(&broker, &ask) {
            return false;
        }
        // Updates take effect without a reply, too; everything else would be work for nobody.
        let is_update = matches!(ask, Ask::Claims(ClaimsAsk::Update(_)));
        if message.reply.is_empty() && !is_update {
            return true;
        }
        let crossed = !message.passage.crossings.is_empty();
        let request = Request {
            reply: message.reply.to_vec(),
            info: if crossed {
                headers::value(message.header(), headers::REQUEST_INFO).unwrap_or_default().to_vec()
            } else {
                Vec::new()
            },
            body: message.payload().to_vec(),
            asker: message.origin.filter(|_| !crossed).map(|connection| connection.cid),
            tenant: crossed.then(|| ask.account().unwrap_or_default().into()),
            ask,
        };
        self.take(&broker, request)
    }
}

impl Desk {
    fn take(&self, broker: &Broker, request: Request) -> bool {
        let queue = match (&request.tenant, &request.ask) {
            (Some(_), _) => &self.tenants,
            (None, Ask::Claims(_)) => &self.claims,
            (None, _) => &self.views,
        };
        if self.waiting.enter(&request) {
            match queue.try_send(request) {
                Ok(()) => {
                    broker.system.requests.fetch_add(1, Ordering::Relaxed);
                    return true;
                }
                Err(refused) => self.waiting.leave(&refused.into_inner()),
            }
        }
        broker.system.overflowed.fetch_add(1, Ordering::Relaxed);
        false
    }
}

impl Request {
    /// Bytes that it takes while it waits.
    pub(super) fn size(&self) -> usize {
        self.reply.len() + self.info.len() + self.body.len()
    }

    /// The options in the body; the defaults if it is empty.
    ///
    /// # Errors
    ///
    /// When it is not the JSON that is expected; the text says why.
    pub fn options<T: DeserializeOwned + Default>(&self) -> Result<T, String> {
        if self.body.trim_ascii().is_empty() {
            return Ok(T::default());
        }
        serde_json::from_slice(&self.body).map_err(|error| format!("the request's body is not valid JSON: {error}"))
    }

    /// Answers with JSON.
    pub fn answer(&self, broker: &Broker, answer: &Value) {
        self.answer_raw(broker, &serde_json::to_vec(answer).unwrap_or_default());
    }

    /// Answers with these bytes; nobody is answered where no reply subject was given.
    pub fn answer_raw(&self, broker: &Broker, payload: &[u8]) {
        if let Some(system) = broker.tenants.system().filter(|_| !self.reply.is_empty()) {
            publish(broker, system, &self.reply, b"", payload);
        }
    }

    /// Answers with an error.
    pub fn fail(&self, broker: &Broker, code: u16, description: &str) {
        self.answer(broker, &envelope::error(broker, code, description));
    }
}

async fn work(broker: Arc<Broker>, mut queue: mpsc::Receiver<Request>, waiting: Arc<Waiting>) {
    loop {
        let request = tokio::select! {
            () = broker.stopping.cancelled() => return,
            request = queue.recv() => request,
        };
        let Some(request) = request else { return };
        waiting.leave(&request);
        answer(&broker, request).await;
        // An answer may have taken long: connections are served in between.
        tokio::task::yield_now().await;
    }
}

/// As [`work`], for claims: updates that wait are stored together, and each request is still answered in its turn.
async fn work_on_claims(broker: Arc<Broker>, mut queue: mpsc::Receiver<Request>, waiting: Arc<Waiting>) {
    let mut requests = Vec::new();
    loop {
        let count = tokio::select! {
            () = broker.stopping.cancelled() => return,
            count = queue.recv_many(&mut requests, waiting::TOGETHER) => count,
        };
        if count == 0 {
            return;
        }
        let mut updates = Vec::new();
        for request in requests.drain(..) {
            waiting.leave(&request);
            if let Ask::Claims(ClaimsAsk::Update(account)) = &request.ask {
                let account = account.clone();
                updates.push((request, account));
            } else {
                claims::update_all(&broker, std::mem::take(&mut updates)).await;
                answer(&broker, request).await;
            }
        }
        claims::update_all(&broker, updates).await;
        tokio::task::yield_now().await;
    }
}

async fn answer(broker: &Arc<Broker>, request: Request) {
    match request.ask.clone() {
        Ask::Account(account, kind) => account::answer(broker, &request, &account, kind),
        Ask::Claims(ask) => claims::answer(broker, request, ask).await,
        Ask::Server(ServerAsk::Reload) => server::reload(broker, &request).await,
        Ask::Server(kind) => server::answer(broker, &request, kind),
        Ask::Subscribers => subscribers::answer(broker, &request).await,
        Ask::UserInfo(account) => user::answer(broker, &request, account.as_deref()),
    }
}
