//! The NATS client on the system account.
//!
//! It connects in the background and for ever: the API works without a broker, and pushes wait in the
//! outbox. A ping of all brokers every few seconds keeps the list of those that must confirm a push.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Auth, AuthError, Client, ConnectOptions, Event, Message, Subscriber};
use bytes::Bytes;
use cordon_accounts::key::AccountKey;
use cordon_auth::clock::Clock;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::credentials::SystemUserSource;
use super::event::{BrokerEvent, SUBJECTS};
use super::reply::Envelope;
use super::{Answer, Answering, Broker, BrokerError, BrokerInfo, Connection, ConnectionFilter, KnownBroker, Replay};
use crate::limits;

/// How to reach the brokers.
#[derive(Clone, Debug)]
pub struct NatsOptions {
    /// One or more URLs, comma-separated: `tls://host:4222`.
    pub url: String,
    /// The CA that signed the brokers' certificates; the system's own when left out.
    pub ca: Option<PathBuf>,
}

/// Brokers behind a NATS connection.
#[derive(Clone)]
pub struct NatsBroker {
    shared: Arc<Shared>,
}

struct Shared {
    client: Client,
    clock: Clock,
    known: Mutex<HashMap<String, KnownBroker>>,
    events: mpsc::Sender<BrokerEvent>,
    /// Rung at each connect, so that brokers are pinged and pushes tried at once.
    connected: Notify,
}

impl std::fmt::Debug for NatsBroker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("NatsBroker").field("connected", &self.is_connected()).finish_non_exhaustive()
    }
}

impl NatsBroker {
    /// Begins to connect, and starts the tasks that ping and listen.
    ///
    /// Returns at once, connected or not. `events` receives what brokers report.
    ///
    /// # Errors
    ///
    /// [`BrokerError::Unreachable`] when the URL or the CA file cannot be used at all.
    pub async fn start(
        options: &NatsOptions,
        users: Arc<dyn SystemUserSource>,
        clock: Clock,
        events: mpsc::Sender<BrokerEvent>,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Self, BrokerError> {
        let (wake, woken) = mpsc::channel(8);
        let connect = connect_options(options, users, wake, events.clone());
        let urls: Vec<String> = options.url.split(',').map(|url| url.trim().to_owned()).collect();
        let client = connect.connect(urls).await.map_err(|cause| {
            BrokerError::Unreachable(format!(
                "`{}` cannot be used: {cause}; check the broker's URL and CA file",
                options.url
            ))
        })?;
        let shared = Arc::new(Shared { client, clock, known: Mutex::default(), events, connected: Notify::new() });
        let broker = Self { shared };
        tasks.spawn(broker.clone().listen(stop.clone()));
        tasks.spawn(broker.clone().ping_for_ever(woken, stop));
        Ok(broker)
    }

    /// Waits until the next connect.
    pub async fn next_connect(&self) {
        self.shared.connected.notified().await;
    }

    /// Closes the connection after what was sent has left.
    pub async fn close(&self) {
        if let Err(error) = tokio::time::timeout(Duration::from_secs(2), self.shared.client.drain()).await {
            tracing::debug!(%error, "the broker connection did not drain in time");
        }
    }

    async fn listen(self, stop: CancellationToken) {
        let mut streams = Vec::new();
        for subject in SUBJECTS {
            match self.shared.client.subscribe(subject).await {
                Ok(subscriber) => streams.push(subscriber),
                Err(error) => tracing::warn!(%error, subject, "cannot subscribe to broker events"),
            }
        }
        let mut all = futures_util::stream::select_all(streams);
        loop {
            let message = tokio::select! {
                () = stop.cancelled() => return,
                message = all.next() => message,
            };
            let Some(message) = message else { return };
            self.heard(&message).await;
        }
    }

    async fn heard(&self, message: &Message) {
        let Some(event) = BrokerEvent::parse(&message.subject, &message.payload) else { return };
        if let BrokerEvent::Stopped { server } = &event {
            self.shared.known.lock().remove(server);
        }
        if self.shared.events.send(event).await.is_err() {
            tracing::debug!("broker events are no longer recorded");
        }
    }

    async fn ping_for_ever(self, mut woken: mpsc::Receiver<()>, stop: CancellationToken) {
        let mut reconnected = true;
        loop {
            if self.is_connected() {
                self.ping_all(reconnected).await;
                self.shared.connected.notify_waiters();
            }
            reconnected = tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(limits::BROKER_PING_INTERVAL) => false,
                rung = woken.recv() => if rung.is_some() { true } else { return },
            };
        }
    }

    /// Asks who is there, and remembers who answers. After a new connect whoever does not is forgotten: a
    /// broker that was killed is back under another id, and pushes would wait for the old one.
    async fn ping_all(&self, reconnected: bool) {
        let subject = "$SYS.REQ.SERVER.PING".to_owned();
        let replies = self
            .gather_until_quiet(subject, Bytes::new(), limits::BROKER_ANSWER_TIME, limits::BROKER_QUIET_TIME, |_| false)
            .await;
        let Ok(replies) = replies else { return };
        let now = self.shared.clock.unix_seconds();
        let mut appeared = Vec::new();
        let mut answered = HashSet::new();
        {
            let mut known = self.shared.known.lock();
            for info in replies.iter().filter_map(|payload| Envelope::parse(payload)).map(|reply| reply.server) {
                if info.id.is_empty() || (known.len() >= limits::BROKERS_MAX && !known.contains_key(&info.id)) {
                    continue;
                }
                answered.insert(info.id.clone());
                if known.insert(info.id.clone(), KnownBroker { info: info.clone(), seen_at: now }).is_none() {
                    appeared.push(info.id);
                }
            }
            known.retain(|id, broker| {
                let forgotten = reconnected || now.saturating_sub(broker.seen_at) > limits::BROKER_FORGOTTEN_SECONDS;
                answered.contains(id) || !forgotten
            });
        }
        for server in appeared {
            if self.shared.events.send(BrokerEvent::Appeared { server }).await.is_err() {
                return;
            }
        }
    }

    /// Sends one request to all brokers and collects answers until `enough` says so or time is up.
    async fn gather(
        &self,
        subject: String,
        payload: Bytes,
        within: Duration,
        enough: impl Fn(&[Bytes]) -> bool,
    ) -> Result<Vec<Bytes>, BrokerError> {
        self.gather_until_quiet(subject, payload, within, within, enough).await
    }

    /// Like [`Self::gather`], and done when nobody has answered for `quiet` after the first answer.
    async fn gather_until_quiet(
        &self,
        subject: String,
        payload: Bytes,
        within: Duration,
        quiet: Duration,
        enough: impl Fn(&[Bytes]) -> bool,
    ) -> Result<Vec<Bytes>, BrokerError> {
        let client = &self.shared.client;
        if !self.is_connected() {
            return Err(BrokerError::Unreachable("the control plane is not connected".to_owned()));
        }
        let inbox = client.new_inbox();
        let mut answers = client.subscribe(inbox.clone()).await.map_err(|cause| unreachable(&cause))?;
        client.publish_with_reply(subject, inbox, payload).await.map_err(|cause| unreachable(&cause))?;
        let mut collected = Vec::new();
        let end = tokio::time::Instant::now() + within;
        let mut deadline = end;
        while let Ok(Some(message)) = tokio::time::timeout_at(deadline, answers.next()).await {
            deadline = end.min(tokio::time::Instant::now() + quiet);
            if message.status.is_some_and(|status| status.as_u16() == 503) {
                break;
            }
            collected.push(message.payload);
            if collected.len() >= limits::BROKERS_MAX || enough(&collected) {
                break;
            }
        }
        close(answers).await;
        Ok(collected)
    }

    /// Whether every known broker is among the answers.
    fn all_answered(&self, answers: &[Bytes]) -> bool {
        let known = self.shared.known.lock();
        if known.is_empty() {
            return false;
        }
        let answered: HashSet<String> =
            answers.iter().filter_map(|payload| Envelope::parse(payload)).map(|reply| reply.server.id).collect();
        known.keys().all(|id| answered.contains(id))
    }

    async fn tell_all(&self, subject: String, text: &str) -> Result<Vec<Answer>, BrokerError> {
        let payload = Bytes::copy_from_slice(text.as_bytes());
        let replies = self.gather(subject, payload, limits::PUSH_ANSWER_TIME, |got| self.all_answered(got)).await?;
        let mut answers: Vec<Answer> =
            replies.iter().filter_map(|payload| Envelope::parse(payload)).map(Envelope::into_answer).collect();
        if answers.is_empty() {
            return Err(BrokerError::Silent);
        }
        // A cache resolver answers more than once; one refusal outweighs any success.
        answers.sort_by(|a, b| (&a.broker, a.accepted).cmp(&(&b.broker, b.accepted)));
        answers.dedup_by(|later, first| later.broker == first.broker);
        Ok(answers)
    }

    async fn ask_one(&self, subject: String, body: &Value) -> Result<Option<Envelope>, BrokerError> {
        let payload = Bytes::from(body.to_string());
        let replies = self.gather(subject, payload, limits::BROKER_ANSWER_TIME, |got| !got.is_empty()).await?;
        Ok(replies.first().and_then(|payload| Envelope::parse(payload)))
    }

    async fn connections_of(&self, filter: &ConnectionFilter) -> Result<Vec<Connection>, BrokerError> {
        if let Some((server, cid)) = &filter.one {
            let subject = server_subject(server, "CONNZ")?;
            let reply = self.ask_one(subject, &json!({ "auth": true, "cid": cid, "state": 0 })).await?;
            return Ok(reply.map(Envelope::into_connections).unwrap_or_default());
        }
        let mut all = Vec::new();
        let mut offset = 0;
        loop {
            let mut body = json!({ "auth": true, "state": 0, "limit": limits::CONNZ_LIMIT, "offset": offset });
            if let (Some(account), Some(members)) = (&filter.account, body.as_object_mut()) {
                members.insert("acc".to_owned(), Value::String(account.to_string()));
            }
            let subject = "$SYS.REQ.SERVER.PING.CONNZ".to_owned();
            let payload = Bytes::from(body.to_string());
            let replies =
                self.gather(subject, payload, limits::BROKER_ANSWER_TIME, |got| self.all_answered(got)).await?;
            if replies.is_empty() {
                return Err(BrokerError::Silent);
            }
            let pages: Vec<Vec<Connection>> =
                replies.iter().filter_map(|payload| Envelope::parse(payload)).map(Envelope::into_connections).collect();
            let more = pages.iter().any(|page| page.len() >= limits::CONNZ_LIMIT as usize);
            all.extend(pages.into_iter().flatten());
            offset += limits::CONNZ_LIMIT;
            if !more || offset > limits::CONNZ_LIMIT * 64 {
                return Ok(all);
            }
        }
    }
}

impl Broker for NatsBroker {
    fn is_connected(&self) -> bool {
        self.shared.client.connection_state() == async_nats::connection::State::Connected
    }

    fn known(&self) -> Vec<KnownBroker> {
        let mut known: Vec<_> = self.shared.known.lock().values().cloned().collect();
        known.sort_by(|a, b| a.info.id.cmp(&b.info.id));
        known
    }

    fn push<'a>(&'a self, jwt: &'a str) -> Answering<'a, Vec<Answer>> {
        Box::pin(self.tell_all("$SYS.REQ.CLAIMS.UPDATE".to_owned(), jwt))
    }

    fn delete<'a>(&'a self, request: &'a str) -> Answering<'a, Vec<Answer>> {
        Box::pin(self.tell_all("$SYS.REQ.CLAIMS.DELETE".to_owned(), request))
    }

    fn lookup<'a>(&'a self, account: &'a AccountKey) -> Answering<'a, Option<String>> {
        Box::pin(async move {
            let subject = format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP");
            let found = |got: &[Bytes]| got.last().is_some_and(|payload| !payload.is_empty());
            let replies = self.gather(subject, Bytes::new(), limits::BROKER_ANSWER_TIME, found).await?;
            let jwt = replies.into_iter().find(|payload| !payload.is_empty());
            Ok(jwt.and_then(|payload| String::from_utf8(payload.to_vec()).ok()))
        })
    }

    fn list(&self) -> Answering<'_, Vec<(BrokerInfo, Vec<String>)>> {
        Box::pin(async move {
            let subject = "$SYS.REQ.CLAIMS.LIST".to_owned();
            let replies =
                self.gather(subject, Bytes::new(), limits::BROKER_ANSWER_TIME, |got| self.all_answered(got)).await?;
            Ok(replies
                .iter()
                .filter_map(|payload| Envelope::parse(payload)?.into_data().ok())
                .map(|(server, data)| (server, serde_json::from_value(data).unwrap_or_default()))
                .collect())
        })
    }

    fn connections<'a>(&'a self, filter: &'a ConnectionFilter) -> Answering<'a, Vec<Connection>> {
        Box::pin(self.connections_of(filter))
    }

    fn kick<'a>(&'a self, server: &'a str, cid: u64) -> Answering<'a, ()> {
        Box::pin(async move {
            let reply = self.ask_one(server_subject(server, "KICK")?, &json!({ "cid": cid })).await?;
            reply.ok_or(BrokerError::Silent)?.into_data().map(|_| ())
        })
    }

    fn replay<'a>(&'a self, server: &'a str, after: u64, limit: u32) -> Answering<'a, Option<Replay>> {
        Box::pin(async move {
            let subject = server_subject(server, "CORDON.EVENTS")?;
            match self.ask_one(subject, &json!({ "after": after, "limit": limit })).await? {
                None => Ok(None),
                Some(reply) => {
                    let (_, data) = reply.into_data()?;
                    serde_json::from_value(data).map(Some).map_err(|cause| BrokerError::Refused(cause.to_string()))
                }
            }
        })
    }
}

fn connect_options(
    options: &NatsOptions,
    users: Arc<dyn SystemUserSource>,
    wake: mpsc::Sender<()>,
    events: mpsc::Sender<BrokerEvent>,
) -> ConnectOptions {
    let mut connect = ConnectOptions::with_auth_callback(move |nonce| {
        let users = Arc::clone(&users);
        let (answer, answered) = oneshot::channel();
        // The library wants a future that can be shared between threads; a database read is none.
        tokio::spawn(async move { answer.send(prove(users.as_ref(), &nonce).await) });
        async move {
            answered.await.map_err(|_| AuthError::new("the credentials could not be made"))?.map_err(AuthError::new)
        }
    })
    .name("cordon control")
    .retry_on_initial_connect()
    .subscription_capacity(limits::EVENT_QUEUE)
    .reconnect_delay_callback(|attempts| {
        let step = u32::try_from(attempts.min(6)).unwrap_or(6);
        Duration::from_millis(100 * u64::from(2_u32.pow(step)))
    })
    .event_callback(move |event| {
        let (wake, events) = (wake.clone(), events.clone());
        async move { noticed(&event, &wake, &events) }
    });
    if let Some(ca) = &options.ca {
        connect = connect.add_root_certificates(ca.clone()).require_tls(true);
    }
    connect
}

fn noticed(event: &Event, wake: &mpsc::Sender<()>, events: &mpsc::Sender<BrokerEvent>) {
    match event {
        Event::Connected => {
            tracing::info!("connected to a broker");
            // A full queue means that the pinger is awake already.
            if wake.try_send(()).is_err() {
                tracing::trace!("the pinger is awake already");
            }
        }
        Event::SlowConsumer(_) => {
            tracing::warn!("broker events were dropped; numbered ones will be replayed");
            drop(events.try_send(BrokerEvent::Missed));
        }
        Event::Disconnected => tracing::warn!("lost the connection to the broker; connecting again"),
        other => tracing::debug!(event = %other, "broker connection"),
    }
}

async fn prove(users: &dyn SystemUserSource, nonce: &[u8]) -> Result<Auth, String> {
    let user = users.system_user().await.map_err(|cause| {
        tracing::warn!(%cause, "there are no credentials for the broker");
        cause.to_string()
    })?;
    let signature = user.seed.sign(nonce).map_err(|cause| cause.to_string())?;
    let mut auth = Auth::new();
    auth.jwt = Some(user.jwt);
    auth.signature = Some(signature.to_vec());
    Ok(auth)
}

/// A subject for one broker. Its id came from outside, so it must not bring dots or wildcards along.
fn server_subject(server: &str, request: &str) -> Result<String, BrokerError> {
    let good = !server.is_empty() && server.len() <= 64 && server.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if good {
        Ok(format!("$SYS.REQ.SERVER.{server}.{request}"))
    } else {
        Err(BrokerError::Refused("that is not the id of a broker".to_owned()))
    }
}

fn unreachable(cause: &dyn std::fmt::Display) -> BrokerError {
    BrokerError::Unreachable(cause.to_string())
}

async fn close(mut answers: Subscriber) {
    if let Err(error) = answers.unsubscribe().await {
        tracing::trace!(%error, "an inbox could not be closed");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_broker_cannot_reach_other_subjects() {
        assert_eq!(server_subject("NABC", "KICK").unwrap(), "$SYS.REQ.SERVER.NABC.KICK");
        for bad in ["", "*", ">", "N.A", "N A", "N\r\n", "PING.KICK"] {
            assert!(server_subject(bad, "KICK").is_err(), "{bad}");
        }
        assert!(server_subject(&"N".repeat(65), "KICK").is_err());
    }
}
