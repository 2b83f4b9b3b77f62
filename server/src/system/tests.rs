//! Requests and events of the system account, as clients see them on the wire.

use std::collections::VecDeque;
use std::path::Path;

use cordon_accounts::claims::{AccountClaims, GenericClaims, OperatorClaims, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use cordon_auth::clock::Clock;
use cordon_auth::resolver::{DeleteMode, DirectoryOptions};
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::broker::RunningBroker;
use crate::config::resolver::ResolverConfig;
use crate::config::{Identities, LoadedConfig, OperatorConfig, start};
use crate::options::BrokerOptions;

fn seed(role: Role) -> Seed {
    Seed::generate(role, &mut rand::rngs::OsRng)
}

fn key(seed: &Seed) -> AccountKey {
    AccountKey::try_from(seed.public()).unwrap()
}

/// An operator with a system account and one tenant, and a broker that trusts it.
struct House {
    operator: Seed,
    system: Seed,
    tenant: Seed,
    running: RunningBroker,
}

impl House {
    async fn new(folder: &Path) -> Self {
        let (operator, system, tenant) = (seed(Role::Operator), seed(Role::Account), seed(Role::Account));
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        claims.nats.system_account = Some(key(&system));
        let now = Clock::system().unix_seconds();
        let token = |seed: &Seed, at| AccountClaims::new(key(seed)).encode(&operator, at).unwrap();
        let broker = BrokerOptions {
            listen: ([127, 0, 0, 1], 0).into(),
            server_name: "n1".to_owned(),
            tags: vec!["Zone:a".to_owned(), "ssd".to_owned()],
            security_dir: Some(folder.join("security")),
            ..BrokerOptions::default()
        };
        let identities = Identities::Operator(OperatorConfig {
            operators: vec![claims.encode(&operator, now).unwrap()],
            resolver: ResolverConfig::Directory(
                folder.join("jwt"),
                DirectoryOptions { delete: DeleteMode::Rename, ..DirectoryOptions::default() },
                crate::config::resolver::ASK_WITHIN,
            ),
            preload: vec![(key(&system), token(&system, now - 100)), (key(&tenant), token(&tenant, now - 100))],
            ..OperatorConfig::default()
        });
        let config = LoadedConfig::new(broker, identities);
        let running = start(config, Clock::system()).await.unwrap();
        Self { operator, system, tenant, running }
    }

    fn account_token(&self, account: &Seed, change: impl FnOnce(&mut AccountClaims)) -> String {
        let mut claims = AccountClaims::new(key(account));
        change(&mut claims);
        claims.encode(&self.operator, Clock::system().unix_seconds()).unwrap()
    }

    async fn join(&self, account: &Seed) -> Peer {
        let peer = self.present(account, |_| {}).await;
        let mut peer = peer.unwrap();
        peer.fence().await;
        peer
    }

    async fn present(&self, account: &Seed, change: impl FnOnce(&mut UserClaims)) -> std::io::Result<Peer> {
        let user = seed(Role::User);
        let mut claims = UserClaims::new(UserKey::try_from(user.public()).unwrap());
        claims.name = "someone".to_owned();
        change(&mut claims);
        let jwt = claims.encode(account, Clock::system().unix_seconds() - 10).unwrap();
        Peer::connect(&self.running, &jwt, &user).await
    }

    async fn system(&self) -> Peer {
        self.join(&self.system).await
    }

    fn id(&self) -> &str {
        &self.running.broker.id
    }
}

/// A client that knows just enough of the protocol.
struct Peer {
    stream: BufReader<TcpStream>,
    cid: u64,
    messages: VecDeque<(String, Vec<u8>)>,
    next: u64,
}

impl Peer {
    async fn connect(running: &RunningBroker, jwt: &str, user: &Seed) -> std::io::Result<Self> {
        let mut stream = BufReader::new(TcpStream::connect(running.client_address).await?);
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let info: Value = serde_json::from_str(line.strip_prefix("INFO ").unwrap()).unwrap();
        let signature = user.sign(info["nonce"].as_str().unwrap().as_bytes()).unwrap();
        let connect = json!({
            "jwt": jwt, "sig": BASE64URL_NOPAD.encode(&signature), "headers": true, "no_responders": true,
            "verbose": false, "protocol": 1, "lang": "test", "name": "tester",
        });
        stream.write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await?;
        let mut peer = Self { stream, cid: info["client_id"].as_u64().unwrap(), messages: VecDeque::new(), next: 0 };
        while peer.line().await? != "PONG" {}
        Ok(peer)
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// The next line that is no message; messages are kept.
    async fn line(&mut self) -> std::io::Result<String> {
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).await? == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            let line = line.trim_end().to_owned();
            let parts: Vec<&str> = line.split(' ').collect();
            if !matches!(parts[0], "MSG" | "HMSG") {
                if !line.starts_with("INFO") {
                    return Ok(line);
                }
                continue;
            }
            let header = if parts[0] == "HMSG" { parts[parts.len() - 2].parse().unwrap() } else { 0 };
            let mut body = vec![0; parts[parts.len() - 1].parse::<usize>().unwrap() + 2];
            self.stream.read_exact(&mut body).await?;
            body.truncate(body.len() - 2);
            if header > 0 && body.starts_with(b"NATS/1.0 503") {
                body = b"503".to_vec();
            } else {
                body.drain(..header);
            }
            self.messages.push_back((parts[1].to_owned(), body));
        }
    }

    async fn fence(&mut self) {
        self.send("PING\r\n").await;
        while self.line().await.unwrap() != "PONG" {}
    }

    /// The next message: subject and body.
    async fn message(&mut self) -> (String, Vec<u8>) {
        while self.messages.is_empty() {
            // What comes may lie behind a PONG.
            self.fence().await;
        }
        self.messages.pop_front().unwrap()
    }

    async fn event(&mut self) -> (String, Value) {
        let (subject, body) = self.message().await;
        (subject, serde_json::from_slice(&body).unwrap())
    }

    async fn request_raw(&mut self, subject: &str, body: &str) -> Vec<u8> {
        self.next += 1;
        let (inbox, sid) = (format!("_INBOX.{}", self.next), self.next + 1000);
        self.send(&format!("SUB {inbox} {sid}\r\nPUB {subject} {inbox} {}\r\n{body}\r\n", body.len())).await;
        loop {
            let (subject, body) = self.message().await;
            if subject == inbox {
                return body;
            }
        }
    }

    async fn request(&mut self, subject: &str, body: &str) -> Value {
        let answer = self.request_raw(subject, body).await;
        serde_json::from_slice(&answer).unwrap_or_else(|_| panic!("{subject}: {}", String::from_utf8_lossy(&answer)))
    }
}

#[tokio::test]
async fn servers_answer_pings_and_views() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut peer = house.system().await;
    let ping = peer.request("$SYS.REQ.SERVER.PING", "").await;
    assert_eq!((ping["server"]["name"].as_str(), ping["server"]["id"].as_str()), (Some("n1"), Some(house.id())));
    assert_eq!(ping["statsz"]["active_servers"], 1);
    assert!(ping.get("data").is_none());
    let again = peer.request("$SYS.REQ.SERVER.PING", "{}").await;
    assert!(again["server"]["seq"].as_u64() > ping["server"]["seq"].as_u64());
    let varz = peer.request(&format!("$SYS.REQ.SERVER.{}.VARZ", house.id()), "").await;
    assert!(varz.get("error").is_none() && varz["data"]["cores"].as_u64() >= Some(1));
    for part in ["cluster", "gateway", "leaf", "mqtt", "websocket", "jetstream"] {
        assert!(varz["data"][part].is_object(), "{part}");
    }
    for kind in ["CONNZ", "SUBSZ", "ROUTEZ", "GATEWAYZ", "LEAFZ", "ACCOUNTZ", "JSZ", "HEALTHZ", "VARZ"] {
        let answer = peer.request(&format!("$SYS.REQ.SERVER.PING.{kind}"), "{}").await;
        assert!(answer["data"].is_object() && answer.get("error").is_none(), "{kind}: {answer}");
    }
    assert_eq!(peer.request("$SYS.REQ.SERVER.PING.IDZ", "").await["id"], house.id());
    let health = peer.request("$SYS.REQ.SERVER.PING.HEALTHZ", "").await;
    assert_eq!((health["data"]["status"].as_str(), health["data"]["status_code"].as_u64()), (Some("ok"), Some(200)));
}

#[tokio::test]
async fn bad_requests_get_an_error_and_unknown_ones_no_responders() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut peer = house.system().await;
    assert_eq!(peer.request("$SYS.REQ.SERVER.PING.CONNZ", "{").await["error"]["code"], 400);
    assert_eq!(peer.request("$SYS.REQ.SERVER.PING.CONNZ", "{\"cid\":\"x\"}").await["error"]["code"], 400);
    assert_eq!(peer.request("$SYS.REQ.SERVER.PING.CONNZ", "{\"sort\":\"bogus\"}").await["error"]["code"], 500);
    let kick = format!("$SYS.REQ.SERVER.{}.KICK", house.id());
    assert_eq!(peer.request(&kick, "").await["error"]["code"], 400);
    let unknown = peer.request(&kick, "{\"cid\":99999}").await;
    assert_eq!(
        (unknown["error"]["code"].as_u64(), unknown["error"]["description"].as_str()),
        (Some(500), Some("no such client or leafnode id"))
    );
    for subject in ["$SYS.REQ.SERVER.PING.NONSENSE", "$SYS.REQ.SERVER.NOBODY.VARZ", "$SYS.REQ.CLAIMS.NONSENSE"] {
        assert_eq!(peer.request_raw(subject, "").await, b"503", "{subject}");
    }
}

#[tokio::test]
async fn a_filter_that_means_others_is_answered_by_silence() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut peer = house.system().await;
    peer.send(
        "SUB in 1\r\nPUB $SYS.REQ.SERVER.PING in 21\r\n{\"server_name\":\"other\"}\r\n".replace("21", "23").as_str(),
    )
    .await;
    peer.send("PUB $SYS.REQ.SERVER.PING.IDZ in 0\r\n\r\n").await;
    let (_, answer) = peer.event().await;
    assert!(answer["name"] == "n1" && answer.get("server").is_none(), "{answer}");
    // All tags that are asked for must be there, in any case.
    for (tags, is_meant) in [("[\"ssd\",\"other\"]", false), ("[\"zone:A\",\"SSD\"]", true)] {
        let body = format!("{{\"tags\":{tags}}}");
        peer.send(&format!("PUB $SYS.REQ.SERVER.PING.VARZ in {}\r\n{body}\r\n", body.len())).await;
        peer.send("PUB $SYS.REQ.SERVER.PING.IDZ in 0\r\n\r\n").await;
        let (_, answer) = peer.event().await;
        assert_eq!(answer.get("data").is_some(), is_meant, "{tags}: {answer}");
        if is_meant {
            peer.event().await;
        }
    }
    let exact = peer.request("$SYS.REQ.SERVER.PING", "{\"server_name\":\"n1\",\"exact_match\":true}").await;
    assert_eq!(exact["server"]["name"], "n1");
}

#[tokio::test]
async fn connections_are_announced_and_kicked() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    let account = key(&house.tenant);
    system.send(&format!("SUB $SYS.ACCOUNT.{account}.> 1\r\nSUB $SYS.SERVER.ACCOUNT.*.CONNS 2\r\n")).await;
    system.fence().await;
    let mut tenant = house.join(&house.tenant).await;
    let (subject, event) = system.event().await;
    assert_eq!(subject, format!("$SYS.ACCOUNT.{account}.CONNECT"));
    assert_eq!(event["type"], "io.nats.server.advisory.v1.client_connect");
    assert_eq!(
        (event["client"]["id"].as_u64(), event["client"]["acc"].as_str()),
        (Some(tenant.cid), Some(account.to_string().as_str()))
    );
    assert!(!event.to_string().contains("eyJ"), "no JWT in events");
    let (first, conns) = system.event().await;
    let (second, same) = system.event().await;
    assert_eq!(first, format!("$SYS.ACCOUNT.{account}.SERVER.CONNS"));
    assert_eq!(second, format!("$SYS.SERVER.ACCOUNT.{account}.CONNS"));
    assert_eq!((conns["conns"].as_u64(), &conns["id"]), (Some(1), &same["id"]));
    let answer =
        system.request(&format!("$SYS.REQ.SERVER.{}.KICK", house.id()), &format!("{{\"cid\":{}}}", tenant.cid)).await;
    assert!(answer["server"].is_object() && answer.get("error").is_none());
    assert!(tenant.line().await.is_err(), "kicked");
    let closed = system.request("$SYS.REQ.SERVER.PING.CONNZ", &format!("{{\"cid\":{},\"state\":1}}", tenant.cid)).await;
    assert_eq!(closed["data"]["connections"][0]["reason"], "Kicked");
}

#[tokio::test]
async fn disconnects_tell_the_reason_and_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    system.send("SUB $SYS.ACCOUNT.*.DISCONNECT 1\r\n").await;
    system.fence().await;
    let mut tenant = house.join(&house.tenant).await;
    tenant.send("PUB a 3\r\nabc\r\n").await;
    tenant.fence().await;
    drop(tenant);
    let (_, event) = system.event().await;
    assert_eq!(
        (event["reason"].as_str(), event["sent"]["msgs"].as_u64(), event["sent"]["bytes"].as_u64()),
        (Some("Client Closed"), Some(1), Some(3))
    );
    assert_eq!(event["type"], "io.nats.server.advisory.v1.client_disconnect");
}

#[tokio::test]
async fn refused_logins_are_events_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    system
        .send(&format!("SUB $SYS.SERVER.{}.CLIENT.AUTH.ERR 1\r\nSUB $SYS.SERVER.*.CORDON.SECURITY 2\r\n", house.id()))
        .await;
    system.fence().await;
    let stranger = seed(Role::Account);
    assert!(house.present(&stranger, |_| {}).await.is_err());
    let (mut refused, mut security) = (None, None);
    while refused.is_none() || security.is_none() {
        let (subject, event) = system.event().await;
        assert!(!event.to_string().contains("eyJ"), "no JWT in events: {event}");
        if subject.ends_with("AUTH.ERR") { refused = Some(event) } else { security = Some(event) }
    }
    assert_eq!(refused.unwrap()["reason"], "Authentication Failure");
    let security = security.unwrap();
    assert_eq!((security["type"].as_str(), security["seq"].as_u64()), (Some("io.cordon.security.v1"), Some(1)));
    assert!(security["reason"].is_string() && security["broker"].is_string());
    let replay = system.request(&format!("$SYS.REQ.SERVER.{}.CORDON.EVENTS", house.id()), "{\"after\":0}").await;
    assert_eq!((replay["data"]["first"].as_u64(), replay["data"]["last"].as_u64()), (Some(1), Some(1)));
    assert_eq!(replay["data"]["events"][0], security);
}

#[tokio::test]
async fn a_tenant_hears_of_its_own_denials_and_of_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut owner = house.join(&house.tenant).await;
    owner.send("SUB $SYS.> 1\r\n").await;
    owner.fence().await;
    let limited = house
        .present(&house.tenant, |claims| claims.nats.template.permissions.publish.deny.push("secret.>".to_owned()))
        .await;
    let mut limited = limited.unwrap();
    limited.send("PUB secret.x 0\r\n\r\n").await;
    let (subject, event) = owner.event().await;
    assert_eq!(subject, "$SYS.ACCOUNT.SECURITY");
    assert_eq!((event["subject"].as_str(), event["cid"].as_u64()), (Some("secret.x"), Some(limited.cid)));
    assert!(event["rule"].as_str().unwrap().contains("secret.>"), "{event}");
    assert_eq!(event["account"], key(&house.tenant).to_string());
}

#[tokio::test]
async fn users_ask_who_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let expires = Clock::system().unix_seconds() + 1000;
    let change = |claims: &mut UserClaims| {
        claims.expires = expires;
        claims.nats.template.permissions.publish.allow.push("$SYS.REQ.USER.INFO".to_owned());
    };
    let mut tenant = house.present(&house.tenant, change).await.unwrap();
    let info = tenant.request("$SYS.REQ.USER.INFO", "").await;
    assert_eq!(info["data"]["account"], key(&house.tenant).to_string());
    assert_eq!(info["data"]["permissions"]["publish"]["allow"][0], "$SYS.REQ.USER.INFO");
    let left = info["data"]["expires"].as_i64().unwrap() / 1_000_000_000;
    assert!((980..=1000).contains(&left), "{left}");
    let mut system = house.system().await;
    let own = system.request("$SYS.REQ.USER.INFO", "").await;
    assert_eq!(own["data"]["account"], key(&house.system).to_string());
}

#[tokio::test]
async fn a_tenant_sees_only_its_own_connections_whatever_it_asks_for() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let system = house.system().await;
    let mut tenant = house.join(&house.tenant).await;
    let own = key(&house.tenant).to_string();
    let other = key(&house.system).to_string();
    let bodies = [
        String::new(),
        format!("{{\"acc\":\"{other}\",\"auth\":true}}"),
        format!("{{\"cid\":{},\"auth\":true,\"subscriptions\":true}}", system.cid),
        "{\"state\":2,\"sort\":\"bytes_to\",\"auth\":true}".to_owned(),
        format!("{{\"acc\":\"{other}\",\"filter_subject\":\"$SYS.>\"}}"),
    ];
    for body in bodies {
        for subject in ["$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.SERVER.PING.CONNZ"] {
            let answer = tenant.request(subject, &body).await;
            let rows = answer["data"]["connections"].as_array().unwrap();
            assert!(rows.iter().all(|row| row["cid"].as_u64() == Some(tenant.cid)), "{subject} {body}: {answer}");
            assert_eq!(answer["server"]["host"], "n1", "{answer}");
        }
    }
    let statz = tenant.request("$SYS.REQ.ACCOUNT.PING.STATZ", &format!("{{\"accounts\":[\"{other}\"]}}")).await;
    assert_eq!(statz["data"]["account_statz"].as_array().unwrap().len(), 1);
    assert_eq!(statz["data"]["account_statz"][0]["acc"], own);
    for subject in [
        "$SYS.REQ.SERVER.PING.VARZ",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.CLAIMS.LIST",
        &format!("$SYS.REQ.ACCOUNT.{other}.CONNZ"),
    ] {
        assert_eq!(tenant.request_raw(subject, "").await, b"503", "{subject}");
    }
}

#[tokio::test]
async fn pushed_claims_are_verified_stored_and_in_force_before_the_answer() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    let (fresh, stranger) = (seed(Role::Account), seed(Role::Operator));
    let account = key(&fresh).to_string();
    assert_eq!(system.request_raw(&format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"), "").await, b"");
    let token = house.account_token(&fresh, |claims| claims.name = "fresh".to_owned());
    let answer = system.request("$SYS.REQ.CLAIMS.UPDATE", &token).await;
    assert_eq!(answer["data"], json!({"code": 200, "message": "jwt updated", "account": account}));
    assert_eq!(answer["server"]["name"], "n1");
    assert_eq!(system.request_raw(&format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.LOOKUP"), "").await, token.as_bytes());
    house.join(&fresh).await;
    let forged = AccountClaims::new(key(&fresh)).encode(&stranger, Clock::system().unix_seconds() + 5).unwrap();
    for subject in [
        format!("$SYS.REQ.ACCOUNT.{account}.CLAIMS.UPDATE"),
        format!("$SYS.ACCOUNT.{account}.CLAIMS.UPDATE"),
        "$SYS.REQ.CLAIMS.UPDATE".to_owned(),
    ] {
        let answer = system.request(&subject, &forged).await;
        assert_eq!(answer["error"]["code"], 500, "{answer}");
        assert!(
            answer["error"]["description"].as_str().unwrap().starts_with("jwt update resulted in error"),
            "{answer}"
        );
    }
    let other = format!("$SYS.REQ.ACCOUNT.{}.CLAIMS.UPDATE", key(&house.tenant));
    assert!(
        system.request(&other, &token).await["error"]["description"]
            .as_str()
            .unwrap()
            .contains("subject does not match jwt content")
    );
    for body in ["", "nonsense", "a.b.c"] {
        assert_eq!(system.request("$SYS.REQ.CLAIMS.UPDATE", body).await["error"]["code"], 500, "{body}");
    }
    assert_eq!(std::fs::read_to_string(folder.path().join(format!("jwt/{account}.jwt"))).unwrap(), token);
    let listed = system.request("$SYS.REQ.CLAIMS.LIST", "").await;
    assert_eq!(listed["data"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn accounts_are_deleted_by_the_operator_alone() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    let mut tenant = house.join(&house.tenant).await;
    let request = |signer: &Seed, accounts: &[AccountKey]| {
        let mut claims = GenericClaims::new(signer.public());
        let accounts: Vec<String> = accounts.iter().map(ToString::to_string).collect();
        claims.nats.members.insert("accounts".to_owned(), json!(accounts));
        claims.encode(signer, Clock::system().unix_seconds()).unwrap()
    };
    let by_account = request(&house.system, &[key(&house.tenant)]);
    let answer = system.request("$SYS.REQ.CLAIMS.DELETE", &by_account).await;
    assert!(answer["error"]["description"].as_str().unwrap().contains("not trusted"), "{answer}");
    let of_system = request(&house.operator, &[key(&house.system)]);
    let answer = system.request("$SYS.REQ.CLAIMS.DELETE", &of_system).await;
    assert!(
        answer["error"]["description"].as_str().unwrap().contains("not allowed to delete system account"),
        "{answer}"
    );
    let good = request(&house.operator, &[key(&house.tenant)]);
    let answer = system.request("$SYS.REQ.CLAIMS.DELETE", &good).await;
    assert_eq!(answer["data"], json!({"code": 200, "message": "deleted 1 accounts"}));
    while tenant.line().await.is_ok() {}
    assert!(house.present(&house.tenant, |_| {}).await.is_err());
}

#[tokio::test]
async fn a_pack_is_one_message_for_each_account_and_an_empty_one() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    system.send("SUB in 1\r\nPUB $SYS.REQ.CLAIMS.PACK in 0\r\n\r\n").await;
    let mut found = Vec::new();
    loop {
        let (_, body) = system.message().await;
        if body.is_empty() {
            break;
        }
        let text = String::from_utf8(body).unwrap();
        let parts: Vec<String> = text.split('|').map(str::to_owned).collect();
        assert_eq!(parts.len(), 2);
        found.push(parts[0].clone());
    }
    found.sort();
    let mut expected = vec![key(&house.system).to_string(), key(&house.tenant).to_string()];
    expected.sort();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn numbers_of_security_events_go_on_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    system.send("SUB $SYS.SERVER.*.CORDON.SECURITY 2\r\n").await;
    system.fence().await;
    assert!(house.present(&seed(Role::Account), |_| {}).await.is_err());
    let (_, first) = system.event().await;
    house.running.shutdown().await;
    drop(house);
    let security = loop {
        // The lock goes with the last task of the stopped broker.
        match crate::system::security::Security::open(Some(&folder.path().join("security")), Clock::system()) {
            Ok(security) => break security,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(security.broker_id(), first["broker"].as_str().unwrap());
    assert!(security.after(0, 10, usize::MAX).last >= 1);
}

#[tokio::test]
async fn the_end_is_announced_to_the_last_listener() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    system.send("SUB $SYS.SERVER.*.SHUTDOWN 1\r\n").await;
    system.fence().await;
    house.running.shutdown().await;
    assert!(system.line().await.is_err());
    let (subject, body) = system.messages.pop_front().unwrap();
    assert_eq!(subject, format!("$SYS.SERVER.{}.SHUTDOWN", house.id()));
    assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["name"], "n1");
}

#[tokio::test]
async fn a_tenant_that_asks_too_much_is_turned_away_long_before_the_operators_are() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let (mut tenant, mut system) = (house.join(&house.tenant).await, house.system().await);
    let requests = 1000;
    // On one thread the answering task does not run while one read is worked on.
    for (peer, subject, all) in
        [(&mut tenant, "$SYS.REQ.USER.INFO", false), (&mut system, "$SYS.REQ.SERVER.PING.IDZ", true)]
    {
        peer.send("SUB in 1\r\n").await;
        peer.send(&format!("PUB {subject} in 0\r\n\r\n").repeat(requests)).await;
        let mut answered = 0;
        for _ in 0..requests {
            answered += usize::from(peer.message().await.1 != b"503");
        }
        assert_eq!(answered == requests, all, "{subject}: {answered}");
        assert!(answered > 0, "{subject}");
    }
}

#[tokio::test]
async fn more_requests_than_may_wait_are_turned_away_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let house = House::new(folder.path()).await;
    let mut system = house.system().await;
    // On one thread the answering task does not run while one read is worked on.
    let requests = 5000;
    system.send("SUB in 1\r\n").await;
    system.send(&"PUB $SYS.REQ.SERVER.PING.IDZ in 0\r\n\r\n".repeat(requests)).await;
    system.fence().await;
    let (mut answered, mut refused) = (0, 0);
    while answered + refused < requests {
        match system.message().await.1.as_slice() {
            b"503" => refused += 1,
            _ => answered += 1,
        }
    }
    let (taken, turned_away) = house.running.broker.system.requests();
    assert_eq!((taken, turned_away), (answered as u64, refused as u64));
    assert!(refused > 0 && answered > 0, "{answered} {refused}");
}
