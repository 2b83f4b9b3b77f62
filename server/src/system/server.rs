//! Requests to servers: views of this one, and what operators do to its connections.

use std::sync::Arc;

use cordon_accounts::reason::Reason;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::broker::Broker;
use crate::connection::close::Closing;
use crate::monitoring::connz::{self, ConnzOptions};
use crate::monitoring::jsz::{self, HealthOptions};
use crate::monitoring::leafz::{self, LeafzOptions};
use crate::monitoring::subsz::{self, SubszOptions};
use crate::monitoring::{Fault, absent, accounts, healthz, varz};
use crate::protocol::info::Info;
use crate::reload::{self, Asker};
use crate::system::ask::ServerAsk;
use crate::system::desk::Request;
use crate::system::envelope;
use crate::system::security::SecurityEvent;

/// Security events in one answer, at most.
const EVENTS_MAX: usize = 4096;
/// Bytes of security events in one answer, at most: clients have bounds of their own.
const EVENTS_BYTES_MAX: usize = 512 * 1024;

/// Which servers a request is for; the others stay silent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Filter {
    /// Part of the server's name.
    pub server_name: String,
    /// Part of the cluster's name.
    pub cluster: String,
    /// Part of the host.
    pub host: String,
    /// Tags, all of which the server must have.
    pub tags: Vec<String>,
    /// The JetStream domain.
    pub domain: String,
    /// Parts are wholes.
    pub exact_match: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct One {
    cid: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct EventRange {
    after: u64,
    limit: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct OneAccount {
    account: String,
}

impl Filter {
    /// Whether this server is meant.
    pub fn admits(&self, broker: &Broker) -> bool {
        let host = broker.client_address().ip().to_string();
        let tags = &broker.options.load().tags;
        let is = |own: &str, asked: &str| {
            asked.is_empty() || if self.exact_match { own == asked } else { own.contains(asked) }
        };
        is(&broker.name, &self.server_name)
            && is(&host, &self.host)
            // No cluster here: who asks for one means another server.
            && self.cluster.is_empty()
            && self.tags.iter().all(|asked| tags.iter().any(|own| own.eq_ignore_ascii_case(asked)))
            && (self.domain.is_empty() || broker.domain().is_some_and(|domain| is(&domain, &self.domain)))
    }
}

/// Answers a request to servers.
pub fn answer(broker: &Broker, request: &Request, kind: ServerAsk) {
    if kind == ServerAsk::Idz {
        let host = broker.client_address().ip().to_string();
        return request.answer(broker, &json!({"name": &*broker.name, "host": host, "id": &*broker.id}));
    }
    match request.options::<Filter>() {
        Ok(filter) if !filter.admits(broker) => return,
        Ok(_) => {}
        Err(error) => return request.fail(broker, 400, &error),
    }
    match view(broker, request, kind) {
        Ok(Ok(answer)) => request.answer(broker, &answer),
        Ok(Err(fault)) => request.fail(broker, 500, &fault.to_string()),
        Err(error) => request.fail(broker, 400, &error),
    }
}

/// Reads the configuration again. Whoever is of another account has no business with it, whatever is exported.
pub async fn reload(broker: &Arc<Broker>, request: &Request) {
    match request.options::<Filter>() {
        Ok(filter) if !filter.admits(broker) => return,
        Ok(_) => {}
        Err(error) => return request.fail(broker, 400, &error),
    }
    let Some(connection) = request.asker.and_then(|cid| broker.connections.find(cid)) else { return };
    match reload::reload(broker, &Asker::of(&connection)).await {
        Ok(_) => request.answer(broker, &json!({"server": envelope::server_info(broker)})),
        Err(refusal) => request.fail(broker, 500, &refusal.to_string()),
    }
}

/// The outer error is one of the request's body, the inner one of what it asks.
type View = Result<Result<Value, Fault>, String>;

fn view(broker: &Broker, request: &Request, kind: ServerAsk) -> View {
    let data = match kind {
        // Answered elsewhere: Reload takes its time.
        ServerAsk::Statsz | ServerAsk::Idz | ServerAsk::Reload => {
            let (server, statsz) = (envelope::server_info(broker), varz::statsz(broker));
            return Ok(Ok(json!({"server": server, "statsz": statsz})));
        }
        ServerAsk::Kick => return act(broker, request, kick),
        ServerAsk::LameDuck => return act(broker, request, send_away),
        ServerAsk::Accountz => accounts::accountz(broker, &request.options::<OneAccount>()?.account, true),
        ServerAsk::Connz => connz::connz(broker, &request.options::<ConnzOptions>()?, None),
        ServerAsk::Events => Ok(events(broker, &request.options()?)),
        ServerAsk::Gatewayz => Ok(absent::gatewayz(broker)),
        ServerAsk::Healthz => Ok(health(broker, &request.options()?)),
        ServerAsk::Jsz => jsz::jsz(broker, &request.options()?),
        ServerAsk::Leafz => Ok(leafz::leafz(broker, &request.options::<LeafzOptions>()?, None)),
        ServerAsk::Routez => Ok(absent::routez(broker)),
        ServerAsk::Subsz => subsz::subsz(broker, &request.options::<SubszOptions>()?, None),
        ServerAsk::Varz => Ok(varz::varz(broker, json!({}))),
    };
    Ok(data.map(|data| envelope::data(broker, data)))
}

/// Does something to one connection; success is an answer with the server alone.
fn act(broker: &Broker, request: &Request, deed: fn(&Broker, u64) -> Result<(), Fault>) -> View {
    let Some(cid) = request.options::<One>()?.cid else {
        return Err("the request needs a body like {\"cid\":5}".to_owned());
    };
    Ok(deed(broker, cid).map(|()| json!({"server": envelope::server_info(broker)})))
}

fn kick(broker: &Broker, cid: u64) -> Result<(), Fault> {
    let connection = broker.connection(cid).ok_or_else(unknown)?;
    broker.security.note(SecurityEvent::of(&connection, Reason::KickedByOperator));
    connection.close(Closing::silent("Kicked", Some(Reason::KickedByOperator)));
    Ok(())
}

fn send_away(broker: &Broker, cid: u64) -> Result<(), Fault> {
    let connection = broker.connections.find(cid).ok_or_else(unknown)?;
    if !connection.wants_info() {
        return Err(Fault::new("client does not support Lame Duck Mode or is not ready to receive the notification"));
    }
    let info = Info {
        ldm: true,
        connect_info: false,
        remote_account: "".into(),
        acc_is_sys: false,
        ..broker.info_after_connect(&connection)
    };
    connection.send_line(&info.line());
    Ok(())
}

fn unknown() -> Fault {
    Fault::new("no such client or leafnode id")
}

fn health(broker: &Broker, options: &HealthOptions) -> Value {
    let (code, mut health) = healthz::healthz(broker, options);
    if let Value::Object(fields) = &mut health {
        fields.insert("status_code".to_owned(), json!(code));
    }
    health
}

/// The kept security events after a number; `first` and `last` tell what is kept.
fn events(broker: &Broker, range: &EventRange) -> Value {
    let limit = range.limit.unwrap_or(EVENTS_MAX).min(EVENTS_MAX);
    let kept = broker.security.after(range.after, limit, EVENTS_BYTES_MAX);
    json!({"broker": broker.security.broker_id(), "first": kept.first, "last": kept.last, "events": kept.events})
}
