//! `STREAM.RESTORE`: an archive that is uploaded becomes a stream (jetstream.md 2.13).

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use serde::Deserialize;
use serde_json::{Value, json};

use super::entry::EntryError;
use super::receive::{Upload, Uploaded};
use super::staging::Staging;
use super::{Turn, Unpacker, token};
use crate::account::{Account, Hearing};
use crate::api::{Answer, ApiError, json as body};
use crate::config::{Moment, StreamConfig, has_path_separator};
use crate::store::StoreError;
use crate::stream::advisory::{About, publish};
use crate::stream::{Stream, StreamState};

/// Why an archive does not become a stream.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// It is no archive, or did not come to its end.
    #[error(transparent)]
    Entry(#[from] EntryError),
    /// What is there is not in its place.
    #[error("the archive is not in order: {0}")]
    Order(&'static str),
    /// The stream's state.
    #[error("the state in the archive is wrong: {0}")]
    State(&'static str),
    /// A consumer.
    #[error("the consumer `{0}` in the archive is wrong: {1}")]
    Consumer(String, String),
    /// A message.
    #[error("the message {0} in the archive is wrong: {1}")]
    Message(u64, &'static str),
    /// It cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The account may not have it.
    #[error(transparent)]
    Refused(#[from] ApiError),
}

impl RestoreError {
    fn answer(self) -> ApiError {
        match self {
            Self::Refused(error) if error.err_code == 10130 => error,
            other => ApiError::stream_restore(other),
        }
    }
}

/// What a request says.
#[derive(Debug, Deserialize)]
struct Request {
    config: StreamConfig,
    #[serde(default)]
    state: StreamState,
}

struct Job {
    account: Arc<Account>,
    config: StreamConfig,
    upload: Arc<Upload>,
    client: Value,
    _hearing: Hearing,
    _turn: Turn,
}

/// Answers the request; from then on chunks are taken.
///
/// # Errors
///
/// 10003, 10025, 10056, 10130, those of a stream that is made, 10062.
pub(crate) fn request(account: &Arc<Account>, name: &str, asked: &[u8], client: &Value) -> Result<Answer, ApiError> {
    if body::is_empty(asked) {
        return Err(ApiError::bad_request());
    }
    let Request { mut config, state } = body::request(asked, account.settings().strict)?;
    if config.name.is_empty() {
        name.clone_into(&mut config.name);
    }
    if config.name != name {
        return Err(ApiError::stream_mismatch());
    }
    if has_path_separator(name) {
        return Err(ApiError::stream_name_contains_path_separators());
    }
    let config = account.may_adopt(config)?;
    account.ledger().room(config.storage, state.bytes)?;
    let busy = || ApiError::stream_restore("too many snapshots and restores of the account run already");
    let turn = account.archives.begin().ok_or_else(busy)?;
    let subject = format!("$JS.SNAPSHOT.RESTORE.{name}.{}", token());
    let upload = Arc::new(Upload::default());
    let host = account.setup.host.clone();
    let hearing = host.hear(&subject, upload.clone());
    let (go, gate) = channel();
    let (account, client) = (account.clone(), client.clone());
    let job = Job { account, config, upload, client, _hearing: hearing, _turn: turn };
    if !host.begin(Box::new(move || job.run(&gate))) {
        return Err(busy());
    }
    Ok(Answer::of("stream_restore_response", &json!({"deliver_subject": subject})).and_then(go))
}

impl Job {
    fn run(self, gate: &Receiver<()>) {
        if gate.recv().is_err() {
            return;
        }
        let (account, name) = (&self.account, self.config.name.clone());
        let start = account.setup.clock.unix_nanos();
        self.tell("RESTORE_CREATE", "restore_create", || json!({}));
        tracing::info!(account = %account.name(), stream = %name, "a stream is being restored");
        let mut uploaded = Uploaded::new(&self.upload, account);
        let staged = Staging::read(account, self.config.clone(), &mut Unpacker::new(&mut uploaded));
        let installed = staged.and_then(|staged| Ok(staged.install()?));
        match &installed {
            Ok(_) => tracing::info!(account = %account.name(), stream = %name, "a stream was restored"),
            Err(error) => {
                tracing::warn!(account = %account.name(), stream = %name, %error, "a stream was not restored");
            }
        }
        let answer = match installed {
            Ok(stream) => shown(account, &stream),
            Err(error) => Answer::failed("io.nats.jetstream.api.v1.stream_create_response", &error.answer()),
        };
        uploaded.answer(&answer.bytes());
        let bytes = uploaded.bytes;
        self.tell("RESTORE_COMPLETE", "restore_complete", || {
            let end = account.setup.clock.unix_nanos();
            json!({"start": Moment(start), "end": Moment(end), "bytes": bytes})
        });
        account.setup.port.flush();
    }

    fn tell(&self, event: &str, kind: &str, more: impl FnOnce() -> Value) {
        let settings = self.account.settings();
        let about = About { domain: settings.domain.as_deref(), now: self.account.setup.clock.unix_nanos() };
        let name = &self.config.name;
        publish(&about, &*self.account.setup.port, &format!("ADVISORY.STREAM.{event}.{name}"), kind, || {
            let mut fields = json!({"stream": name, "client": self.client});
            if let (Value::Object(fields), Value::Object(more)) = (&mut fields, more()) {
                fields.extend(more);
            }
            fields
        });
    }
}

fn shown(account: &Account, stream: &Stream) -> Answer {
    let mut info = stream.look(|core| core.info(account.setup.clock.unix_nanos(), true));
    info.domain = None;
    Answer::of("stream_create_response", &info)
}
