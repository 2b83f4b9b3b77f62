//! `$SYS.REQ.SERVER.<id>.RELOAD`, and what is written down of it.

use cordon_accounts::claims::OperatorClaims;
use cordon_accounts::key::{OperatorKey, Role, Seed};
use cordon_auth::clock::Clock;
use serde_json::Value;

use crate::house::{Account, Got, ask, connect_of, is_nobody};
use crate::site::Site;
use crate::support::Peer;

struct Parts {
    site: Site,
    text: String,
    system: Account,
    tenant: Account,
}

fn parts() -> Parts {
    let operator = Seed::generate(Role::Operator, &mut rand::rngs::OsRng);
    let (system, tenant) = (Account::new("SYS"), Account::new("A"));
    let now = Clock::system().unix_seconds();
    let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
    claims.nats.system_account = Some(system.key());
    let jwt = claims.encode(&operator, now - 100).unwrap();
    let preload = [&system, &tenant]
        .map(|account| format!("{}: {}\n", account.key(), account.claims.encode(&operator, now - 50).unwrap()));
    let text = format!("operator: {jwt}\nresolver: MEMORY\nresolver_preload {{\n{}}}\n", preload.concat());
    Parts { site: Site::start(&text), text, system, tenant }
}

impl Parts {
    fn join(&self, account: &Account) -> Peer {
        let mut peer = self.site.broker.raw();
        let connect = connect_of(&peer, &account.user(|_| {}));
        peer.send(format!("{connect}PING\r\n"));
        peer.expect("PONG\r\n");
        peer
    }

    fn subject(&self) -> String {
        format!("$SYS.REQ.SERVER.{}.RELOAD", self.site.broker.running.broker.id)
    }
}

/// The next security event that a member of the system account hears.
fn event(peer: &mut Peer) -> Value {
    Got::next(peer).json()
}

#[test]
fn a_member_of_the_system_account_has_the_file_read_again() {
    let parts = parts();
    let mut root = parts.join(&parts.system);
    let mut witness = parts.join(&parts.system);
    witness.exchange_only("SUB $SYS.SERVER.*.CORDON.SECURITY 1\r\n", "");
    parts.site.write(&format!("{}max_payload: 500\n", parts.text));
    let answer = ask(&mut root, &parts.subject(), "").json();
    let id = &*parts.site.broker.running.broker.id;
    assert_eq!(answer["server"]["id"], id);
    assert_eq!(answer.as_object().unwrap().keys().collect::<Vec<_>>(), ["server"]);
    assert_eq!(parts.site.broker.raw().info()["max_payload"], 500);

    let event = event(&mut witness);
    assert_eq!(event["reason"], "configuration_reloaded");
    assert_eq!(event["account"], parts.system.key().to_string());
    assert_eq!(event["cid"], root.info()["client_id"]);
    assert_eq!(event["detail"], "by request: max_payload: 1048576 -> 500");
}

#[test]
fn a_refusal_is_answered_with_its_text_and_written_down() {
    let parts = parts();
    let mut root = parts.join(&parts.system);
    let mut witness = parts.join(&parts.system);
    witness.exchange_only("SUB $SYS.SERVER.*.CORDON.SECURITY 1\r\n", "");
    parts.site.write(&format!("{}max_payload: 500\nport: 4333\n", parts.text));
    let answer = ask(&mut root, &parts.subject(), "{}").json();
    assert_eq!(answer["error"]["code"], 500);
    let text = answer["error"]["description"].as_str().unwrap();
    assert!(text.starts_with("config reload not supported for Port: old=0, new=4333"), "{text}");
    assert!(answer["data"].is_null());
    assert_eq!(parts.site.broker.raw().info()["max_payload"], 1_048_576);
    let event = event(&mut witness);
    assert_eq!(event["reason"], "configuration_refused");
    assert!(event["detail"].as_str().unwrap().starts_with("by request: config reload not supported for Port"));
}

#[test]
fn a_signal_is_written_down_as_one() {
    let parts = parts();
    let mut witness = parts.join(&parts.system);
    witness.exchange_only("SUB $SYS.SERVER.*.CORDON.SECURITY 1\r\n", "");
    parts.site.reloaded(&format!("{}ping_max: 7\n", parts.text));
    let event = event(&mut witness);
    assert_eq!(event["detail"], "by signal: ping_max: 2 -> 7");
    assert!(event.get("account").is_none() && event.get("user").is_none());
}

#[test]
fn nobody_else_has_the_file_read() {
    let parts = parts();
    parts.site.write(&format!("{}max_payload: 500\n", parts.text));
    let mut tenant = parts.join(&parts.tenant);
    assert!(is_nobody(&ask(&mut tenant, &parts.subject(), "")));
    let mut root = parts.join(&parts.system);
    // One server at a time, by its name.
    assert!(is_nobody(&ask(&mut root, "$SYS.REQ.SERVER.PING.RELOAD", "")));
    let other = ask(&mut root, &parts.subject(), "not json").json();
    assert_eq!(other["error"]["code"], 400);
    assert_eq!(parts.site.broker.raw().info()["max_payload"], 1_048_576);
}
