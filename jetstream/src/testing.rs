//! An account on a bench: streams run when the test says so, and the way out is a list.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use cordon_accounts::name::AccountName;
use cordon_accounts::subject::Pattern;
use cordon_auth::clock::Clock;
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::account::{Account, AccountLimits, Ear, Hearing, Host, Settings, Setup, Totals, Work};
use crate::api::{self, Request};
use crate::port::{Outgoing, Port};
use crate::stream::{Arrival, DirectRequest, Kind, Stream, Taken};

/// A message that went out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) to: String,
    /// The subject that receivers see, if it is another one.
    pub(crate) shown: String,
    pub(crate) reply: String,
    pub(crate) header: String,
    pub(crate) payload: String,
}

#[derive(Default)]
pub(crate) struct TestPort {
    pub(crate) sent: Mutex<Vec<Sent>>,
    /// What went out under `dlv.`, as bytes.
    pub(crate) raw: Mutex<Vec<(Sent, Vec<u8>)>>,
    /// Patterns that somebody listens to; everything is sent all the same.
    pub(crate) interest: Mutex<Vec<Pattern>>,
    /// What streams hear from far origins: the number, the subject, the stream.
    pub(crate) heard: Mutex<Vec<(u32, String, String)>>,
}

impl Port for TestPort {
    fn send(&self, message: &Outgoing<'_>) -> bool {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let sent = Sent {
            to: text(message.to),
            shown: text(message.shown),
            reply: text(message.reply),
            header: text(message.header),
            payload: text(message.payload),
        };
        if message.to.starts_with(b"dlv.") {
            self.raw.lock().push((sent, message.payload.to_vec()));
        } else {
            self.sent.lock().push(sent);
        }
        true
    }

    fn has_interest(&self, subject: &[u8], _group: Option<&[u8]>) -> bool {
        self.interest.lock().iter().any(|pattern| pattern.matches(subject))
    }

    fn watch(&self, _stream: &str, _subject: &[u8], _watching: bool) {}

    fn hear(&self, stream: &str, subject: &[u8], number: u32) {
        let subject = String::from_utf8_lossy(subject).into_owned();
        self.heard.lock().push((number, subject, stream.to_owned()));
    }

    fn deafen(&self, number: u32) {
        self.heard.lock().retain(|(known, ..)| *known != number);
    }

    fn forget(&self, stream: &str) {
        self.heard.lock().retain(|(_, _, known)| known != stream);
    }

    fn flush(&self) {}
}

/// Who hears what.
type Ears = Vec<(Pattern, Arc<dyn Ear>)>;

#[derive(Default)]
pub(crate) struct TestHost {
    queue: Mutex<VecDeque<Arc<Stream>>>,
    wakes: Mutex<BTreeMap<String, (i64, Arc<Stream>)>>,
    listening: Mutex<Vec<(Pattern, Arc<Stream>)>>,
    /// What is heard, with what hears it.
    pub(crate) ears: Arc<Mutex<Ears>>,
    pub(crate) broken: Mutex<Vec<Arc<Stream>>>,
}

impl Host for TestHost {
    fn schedule(&self, stream: &Arc<Stream>) {
        self.queue.lock().push_back(stream.clone());
    }

    fn wake_at(&self, stream: &Arc<Stream>, at: i64) {
        self.wakes.lock().insert(stream.name().to_string(), (at, stream.clone()));
    }

    fn broken(&self, stream: &Arc<Stream>) {
        self.broken.lock().push(stream.clone());
    }

    fn listen(&self, stream: &Arc<Stream>, subjects: &[Pattern]) {
        let mut listening = self.listening.lock();
        listening.retain(|(_, other)| other.name() != stream.name());
        listening.extend(subjects.iter().map(|subject| (subject.clone(), stream.clone())));
    }

    fn hear(&self, subject: &str, ear: Arc<dyn Ear>) -> Hearing {
        let pattern = Pattern::parse(subject).unwrap();
        let ears = self.ears.clone();
        ears.lock().push((pattern.clone(), ear));
        Hearing::new(move || ears.lock().retain(|(known, _)| *known != pattern))
    }

    fn begin(&self, work: Work) -> bool {
        std::thread::spawn(work);
        true
    }
}

/// An account, and everything around it.
pub(crate) struct Bench {
    pub(crate) account: Arc<Account>,
    pub(crate) host: Arc<TestHost>,
    pub(crate) port: Arc<TestPort>,
    pub(crate) clock: Clock,
}

/// The inbox of a bench's publishers.
const INBOX: &str = "_INBOX.bench";

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default(), AccountLimits::default())
    }

    pub(crate) fn with(settings: Settings, limits: AccountLimits) -> Self {
        Self::at(settings, limits, Clock::manual(1_800_000_000))
    }

    /// With the streams that are on disk.
    pub(crate) fn at(settings: Settings, limits: AccountLimits, clock: Clock) -> Self {
        let (host, port) = (Arc::new(TestHost::default()), Arc::new(TestPort::default()));
        let account = Account::new(Setup {
            name: AccountName::global(),
            settings: Arc::new(settings),
            totals: Arc::new(Totals::default()),
            host: host.clone(),
            port: port.clone(),
            system: None,
            clock: clock.clone(),
            limits,
        });
        account.recover().unwrap();
        let bench = Self { account, host, port, clock };
        bench.run();
        bench
    }

    /// Runs what is scheduled, until nothing is; wakes what is due.
    pub(crate) fn run(&self) {
        loop {
            let next = self.host.queue.lock().pop_front();
            if let Some(stream) = next {
                stream.run();
                continue;
            }
            let now = self.clock.unix_nanos();
            let due: Vec<_> = self
                .host
                .wakes
                .lock()
                .values()
                .filter(|(at, _)| *at <= now)
                .map(|(_, stream)| stream.clone())
                .collect();
            if due.is_empty() {
                return;
            }
            for stream in due {
                self.host.wakes.lock().remove(&*stream.name().clone());
                stream.wake();
            }
        }
    }

    /// Lets time pass.
    pub(crate) fn pass(&self, by: std::time::Duration) {
        self.clock.advance(by);
        self.run();
    }

    /// A request to the API.
    pub(crate) fn api(&self, subject: &str, body: &Value) -> Value {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        self.api_bytes(subject, b"", &body)
    }

    pub(crate) fn api_bytes(&self, subject: &str, header: &[u8], body: &[u8]) -> Value {
        let subject = format!("$JS.API.{subject}");
        let request = Request {
            subject: &subject,
            header,
            payload: body,
            reply: b"r",
            reader: None,
            share: None,
            client: Value::Null,
        };
        let answer = api::serve(&self.account, &request);
        self.run();
        answer.map_or(Value::Null, |answer| serde_json::from_slice(&answer).unwrap())
    }

    /// A request of another account or server: its answer, and the header of that.
    pub(crate) fn ask(&self, subject: &str, header: &[u8], body: &[u8]) -> (String, String) {
        let answered = self.ask_with(subject, header, body);
        self.run();
        answered
    }

    /// As [`Self::ask`], while another thread runs the bench.
    pub(crate) fn ask_only(&self, subject: &str, body: &[u8]) -> (String, String) {
        self.ask_with(subject, b"", body)
    }

    fn ask_with(&self, subject: &str, header: &[u8], body: &[u8]) -> (String, String) {
        let subject = format!("$JS.API.{subject}");
        let request = Request {
            subject: &subject,
            header,
            payload: body,
            reply: b"r",
            reader: None,
            share: None,
            client: Value::Null,
        };
        let answer = api::serve(&self.account, &request).unwrap_or_default();
        let header = api::answer_header(&self.account, &request);
        (String::from_utf8(answer).unwrap(), String::from_utf8(header).unwrap())
    }

    /// Something comes from a far origin: to whoever hears it.
    pub(crate) fn hear(&self, sent: &Sent) {
        let heard: Vec<_> = self.port.heard.lock().iter().filter(|(_, to, _)| *to == sent.to).cloned().collect();
        for (number, _, stream) in heard {
            let shown = if sent.shown.is_empty() { &sent.to } else { &sent.shown };
            let arrival = Arrival {
                kind: Kind::Origin(number),
                subject: shown.as_bytes(),
                reply: sent.reply.as_bytes(),
                header: sent.header.as_bytes(),
                payload: sent.payload.as_bytes(),
            };
            let stream = self.account.stream(&stream);
            assert!(stream.is_none_or(|stream| stream.take(&arrival) == Taken::Yes));
        }
    }

    /// The number of the error in an answer; 0 for none.
    pub(crate) fn refused(&self, subject: &str, body: &Value) -> u64 {
        error_of(&self.api(subject, body))
    }

    /// Makes a stream in memory that must come about.
    pub(crate) fn stream(&self, config: Value) {
        let mut config = config;
        config.as_object_mut().unwrap().entry("storage").or_insert(json!("memory"));
        let name = config["name"].as_str().unwrap().to_owned();
        let answer = self.api(&format!("STREAM.CREATE.{name}"), &config);
        assert_eq!(answer.get("error"), None, "{config}");
    }

    /// Changes some fields of a stream.
    pub(crate) fn update(&self, name: &str, fields: &Value) -> Value {
        let mut config = self.info(name)["config"].clone();
        for (field, value) in fields.as_object().unwrap() {
            config[field] = value.clone();
        }
        self.api(&format!("STREAM.UPDATE.{name}"), &config)
    }

    pub(crate) fn info(&self, name: &str) -> Value {
        self.api(&format!("STREAM.INFO.{name}"), &Value::Null)
    }

    pub(crate) fn state(&self, name: &str) -> Value {
        self.info(name)["state"].clone()
    }

    /// Publishes without waiting; false if nobody listens.
    pub(crate) fn publish_to(&self, subject: &str, reply: &str, headers: &[(&str, &str)], payload: &str) -> bool {
        let header = block(headers);
        let listening = self.host.listening.lock();
        let Some((_, stream)) = listening.iter().find(|(pattern, _)| pattern.matches(subject.as_bytes())) else {
            return false;
        };
        let stream = stream.clone();
        drop(listening);
        let arrival = Arrival {
            kind: Kind::Publish,
            subject: subject.as_bytes(),
            reply: reply.as_bytes(),
            header: header.as_bytes(),
            payload: payload.as_bytes(),
        };
        stream.take(&arrival) == Taken::Yes
    }

    /// Publishes; gives the answer as it is written.
    pub(crate) fn publish_raw(&self, subject: &str, headers: &[(&str, &str)], payload: &str) -> Option<String> {
        assert!(self.publish_to(subject, INBOX, headers, payload), "nobody listens to {subject}");
        self.run();
        self.take(INBOX).pop().map(|sent| sent.payload)
    }

    /// Publishes; gives the answer.
    pub(crate) fn publish(&self, subject: &str, headers: &[(&str, &str)], payload: &str) -> Value {
        self.publish_raw(subject, headers, payload).map_or(Value::Null, |text| serde_json::from_str(&text).unwrap())
    }

    /// Publishes what must be stored; gives its sequence.
    pub(crate) fn store(&self, subject: &str, headers: &[(&str, &str)], payload: &str) -> u64 {
        let answer = self.publish(subject, headers, payload);
        assert_eq!(answer.get("error"), None, "{subject} {headers:?}");
        answer["seq"].as_u64().unwrap()
    }

    /// What was sent to a subject since it was asked last.
    pub(crate) fn take(&self, to: &str) -> Vec<Sent> {
        let mut sent = self.port.sent.lock();
        let (taken, rest) = std::mem::take(&mut *sent).into_iter().partition(|one: &Sent| one.to == to);
        *sent = rest;
        taken
    }

    /// Somebody listens to these subjects.
    pub(crate) fn listen(&self, pattern: &str) {
        self.port.interest.lock().push(Pattern::parse(pattern).unwrap());
    }

    /// A pull request; gives what came.
    pub(crate) fn pull(&self, stream: &str, consumer: &str, body: &str) -> Vec<Sent> {
        self.listen("_INBOX.>");
        assert!(self.account.request((stream, consumer), b"_INBOX.pull", b"", body.as_bytes(), &mut Stream::begin));
        self.run();
        self.take("_INBOX.pull")
    }

    /// Acknowledges a message that was pulled.
    pub(crate) fn ack(&self, message: &Sent, body: &str) {
        assert!(self.account.acknowledge(message.reply.as_bytes(), b"", body.as_bytes(), &mut Stream::begin));
        self.run();
    }

    /// A direct read; gives what came.
    pub(crate) fn direct(&self, stream: &str, subject: Option<&str>, body: &str) -> Option<Vec<Sent>> {
        let stream = self.account.direct(stream)?;
        let (payload, reply) = (body.as_bytes(), b"_INBOX.direct");
        stream.direct_get(&DirectRequest { subject, header: b"", payload, reply, reader: None });
        Some(self.take("_INBOX.direct"))
    }

    /// The subjects and payloads of what is stored.
    pub(crate) fn messages(&self, name: &str) -> Vec<(u64, String, String)> {
        let stream = self.account.stream(name).unwrap();
        stream.look(|core| {
            let state = core.store().state();
            (state.first_seq..=state.last_seq)
                .filter_map(|seq| core.store().get(seq).unwrap())
                .map(|stored| {
                    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                    (stored.seq, text(stored.subject()), text(stored.payload()))
                })
                .collect()
        })
    }

    /// The header block of a stored message.
    pub(crate) fn header(&self, name: &str, seq: u64) -> String {
        let stored = self.account.stream(name).unwrap().look(|core| core.store().get(seq)).unwrap().unwrap();
        String::from_utf8_lossy(stored.header()).into_owned()
    }
}

/// The number of the error in an answer; 0 for none.
pub(crate) fn error_of(answer: &Value) -> u64 {
    answer["error"]["err_code"].as_u64().unwrap_or(0)
}

/// A header block; empty without headers.
pub(crate) fn block(headers: &[(&str, &str)]) -> String {
    if headers.is_empty() {
        return String::new();
    }
    let lines: Vec<String> = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("NATS/1.0\r\n{}\r\n", lines.concat())
}
