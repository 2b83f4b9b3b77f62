//! `STREAM.SNAPSHOT`: a stream is sent to whoever listens (jetstream.md 2.13).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use cordon_accounts::subject::Pattern;
use serde::Deserialize;
use serde_json::{Value, json};

use super::picture::{self, PictureError};
use super::send::{Chunks, Flow, Pace, Stop};
use super::{Packer, Turn, token};
use crate::account::Account;
use crate::api::{Answer, ApiError, find, json as body};
use crate::config::Moment;
use crate::port::Outgoing;
use crate::stream::Stream;
use crate::stream::advisory::{About, publish};
use crate::stream::archived::Picture;

/// Subjects that only servers send to: a snapshot there would be a request with a server's rights.
const RESERVED: [&str; 4] = ["$JS", "$SYS", "$NRG", "$JSC"];

/// What a request says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Request {
    deliver_subject: String,
    no_consumers: bool,
    chunk_size: i64,
    window_size: i64,
    jsck: bool,
}

struct Job {
    account: Arc<Account>,
    stream: Arc<Stream>,
    picture: Picture,
    request: Request,
    client: Value,
    _turn: Turn,
}

/// Answers the request; the snapshot begins once the answer was sent.
///
/// # Errors
///
/// 10003, 10015, 10025, 10059, 10064.
pub(crate) fn request(account: &Arc<Account>, name: &str, asked: &[u8], client: &Value) -> Result<Answer, ApiError> {
    if body::is_empty(asked) {
        return Err(ApiError::bad_request());
    }
    let request: Request = body::request(asked, account.settings().strict)?;
    let stream = find(account, name)?;
    check_subject(account, &request.deliver_subject)?;
    let busy = || ApiError::stream_snapshot("too many snapshots and restores of the account run already");
    let turn = account.archives.begin().ok_or_else(busy)?;
    let picture = stream.change(|core, _| core.picture(!request.no_consumers));
    let content = json!({"config": picture.config, "state": picture.state});
    let (go, gate) = channel();
    let (account, client) = (account.clone(), client.clone());
    let host = account.setup.host.clone();
    let job = Job { account, stream, picture, request, client, _turn: turn };
    if !host.begin(Box::new(move || job.run(&gate))) {
        return Err(busy());
    }
    Ok(Answer::of("stream_snapshot_response", &content).and_then(go))
}

/// It is a literal subject that no stream takes and no server listens to.
fn check_subject(account: &Account, subject: &str) -> Result<(), ApiError> {
    let invalid = ApiError::snapshot_deliver_subject_invalid;
    let literal = Pattern::parse(subject).ok().filter(Pattern::is_literal).ok_or_else(invalid)?;
    let is_reserved = subject.split('.').next().is_some_and(|first| RESERVED.contains(&first));
    if is_reserved || account.takes(&literal) { Err(invalid()) } else { Ok(()) }
}

impl Job {
    fn run(self, gate: &Receiver<()>) {
        if gate.recv().is_err() {
            return;
        }
        let (account, name) = (&self.account, self.stream.name().clone());
        let start = account.setup.clock.unix_nanos();
        self.tell("SNAPSHOT_CREATE", "snapshot_create", || json!({"state": self.picture.state}));
        let outcome = self.send();
        let error = outcome.as_ref().err().map(ToString::to_string);
        if let Some(error) = &error {
            tracing::warn!(account = %account.name(), stream = %name, %error, "a snapshot was not sent to its end");
        }
        let status = outcome.err().map(|error| format!("NATS/1.0 {}\r\n\r\n", error.status()));
        let header = status.unwrap_or_default();
        let to = self.request.deliver_subject.as_bytes();
        account.setup.port.send(&Outgoing { to, header: header.as_bytes(), ..Outgoing::default() });
        self.tell("SNAPSHOT_COMPLETE", "snapshot_complete", || {
            let end = account.setup.clock.unix_nanos();
            let mut about = json!({"start": Moment(start), "end": Moment(end)});
            if let (Value::Object(fields), Some(error)) = (&mut about, error) {
                fields.insert("error".to_owned(), error.into());
            }
            about
        });
        account.setup.port.flush();
    }

    fn tell(&self, event: &str, kind: &str, more: impl FnOnce() -> Value) {
        let settings = self.account.settings();
        let about = About { domain: settings.domain.as_deref(), now: self.account.setup.clock.unix_nanos() };
        let name = self.stream.name();
        publish(&about, &*self.account.setup.port, &format!("ADVISORY.STREAM.{event}.{name}"), kind, || {
            let mut fields = json!({"stream": &**name, "client": self.client});
            if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more()) {
                fields.extend(more);
            }
            fields
        });
    }

    fn send(&self) -> Result<(), Failure> {
        if self.request.jsck {
            picture::check(&self.stream, &self.picture)?;
        }
        let exactly = self.wait_for_interest()?;
        let flow = Arc::new(Flow::default());
        let acks = format!("$JS.SNAPSHOT.ACK.{}.{}", self.stream.name(), token());
        let _hearing = self.account.setup.host.hear(&format!("{acks}.>"), flow.clone());
        let chunks = Chunks {
            account: &self.account,
            flow: &flow,
            pace: Pace::of(self.request.chunk_size, self.request.window_size),
            to: &self.request.deliver_subject,
            acks: &acks,
            exactly,
            buffer: Vec::new(),
            index: 0,
        };
        let mut packer = Packer::new(chunks);
        picture::write(&self.stream, &self.picture, self.account.setup.clock.unix_nanos(), &mut packer)?;
        packer.finish()?.finish();
        Ok(())
    }

    /// Clients subscribe once they have the answer, to a subject that a wildcard of theirs has matched all along: what
    /// came before would be lost. So it waits for exactly this subject; whoever has a wildcard alone waits longer. Gives
    /// whether somebody has it exactly.
    fn wait_for_interest(&self) -> Result<bool, Stop> {
        let (since, port) = (Instant::now(), &self.account.setup.port);
        let to = self.request.deliver_subject.as_bytes();
        while !port.is_subscribed(to, None) {
            if self.account.has_ended() {
                return Err(Stop::Ended);
            }
            if since.elapsed() >= self.account.settings().archives.interest {
                return if port.has_interest(to, None) { Ok(false) } else { Err(Stop::NoInterest) };
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(true)
    }
}

/// Why a snapshot was not sent to its end.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{0}")]
    Stop(#[from] Stop),
    #[error("{0}")]
    Picture(PictureError),
}

impl Failure {
    fn status(&self) -> String {
        match self {
            Self::Stop(Stop::NoFlow) => "408 No Flow Response".to_owned(),
            Self::Stop(Stop::NoInterest) => "408 No Interest".to_owned(),
            other => format!("500 {other}"),
        }
    }
}

impl From<PictureError> for Failure {
    fn from(error: PictureError) -> Self {
        match error {
            PictureError::Io(error) => error.into(),
            other => Self::Picture(other),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let stop = error.get_ref().and_then(|inner| inner.downcast_ref::<Stop>()).copied();
        stop.map_or_else(|| Self::Picture(PictureError::Io(error)), Self::Stop)
    }
}
