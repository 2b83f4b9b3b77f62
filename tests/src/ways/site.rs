//! Brokers to drive scenes through.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use cordon_accounts::claims::{AccountClaims, GenericClaims, OperatorClaims, Scope, SigningKey, UserClaims};
use cordon_accounts::key::{AccountKey, OperatorKey, Role, Seed, UserKey};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Mutex;

use super::check::Check;
use super::configuration;
use super::desk::Desk;
use super::hall::Hall;
use super::scene::{Person, Place, Scene, seed};
use super::way::Way;
use crate::peer::Peer;
use crate::process::Process;
use crate::wait::{now, until};

/// A running broker.
#[derive(Debug)]
pub struct Site {
    /// Where clients connect.
    pub address: SocketAddr,
    /// Where they connect by WebSocket.
    websocket: Option<SocketAddr>,
    rule: Rule,
}

/// Who says who its users are.
#[derive(Debug)]
enum Rule {
    Operator(Box<Office>),
    Configuration { process: Box<Process>, folder: TempDir },
    Api(Box<Desk>),
}

/// An operator that pushes accounts.
#[derive(Debug)]
struct Office {
    process: Process,
    _folder: TempDir,
    operator: Seed,
    system: Place,
    lobby: Place,
    hall: Hall,
    registrar: Option<Mutex<Peer>>,
    issued: AtomicI64,
}

/// What an operator's broker is started with besides.
#[derive(Debug, Default)]
pub struct Extra {
    /// The system account.
    pub system: Option<Place>,
    /// The JWT of `default_sentinel`.
    pub sentinel: Option<String>,
    /// Whether nobody is connected to push accounts.
    pub silent: bool,
}

impl Site {
    /// A broker that trusts an operator, who can push accounts and delete them.
    pub async fn operator(extra: Extra) -> Self {
        let folder = folder();
        let operator = seed(Role::Operator);
        let system = extra.system.unwrap_or_else(|| Place::new("SYS"));
        let mut claims = OperatorClaims::new(OperatorKey::try_from(operator.public()).unwrap());
        "ways".clone_into(&mut claims.name);
        claims.nats.system_account = Some(system.key());
        let begun = now() - 2000;
        let operator_jwt = claims.encode(&operator, begun).unwrap();
        let key = system.key();
        let system_jwt = system.claims.encode(&operator, begun).unwrap();
        let mut config = format!(
            "listen: \"127.0.0.1:-1\"\nwebsocket {{ listen: \"127.0.0.1:-1\", no_tls: true }}\noperator: {operator_jwt}\nsystem_account: {key}\n\
             resolver {{ type: full, dir: './jwt', allow_delete: true }}\nresolver_preload: {{ {key}: {system_jwt} }}\n"
        );
        if let Some(sentinel) = extra.sentinel {
            writeln!(config, "default_sentinel: {sentinel}").unwrap();
        }
        let (process, address) = launch(&folder, &config).await;
        let registrar = if extra.silent { None } else { Some(Mutex::new(registrar(address, &system).await)) };
        let websocket = listening(&process.log(), "websocket clients on ws://");
        let issued = AtomicI64::new(begun + 1);
        let (lobby, hall) = (Place::new("lobby"), Hall::new());
        let mut office = Office { process, _folder: folder, operator, system, lobby, hall, registrar, issued };
        if !extra.silent {
            office.push(&office.lobby.claims).await;
            office.push(&office.hall.place.claims).await;
            office.hall.begin(Peer::open_plain(address).await).await;
        }
        Self { address, websocket, rule: Rule::Operator(Box::new(office)) }
    }

    /// A broker whose configuration names the users of these scenes.
    pub async fn configured(scenes: &[&Scene]) -> Self {
        let folder = folder();
        let config = configuration::of(scenes, folder.path());
        let (process, address) = launch(&folder, &config).await;
        Self { address, websocket: None, rule: Rule::Configuration { process: Box::new(process), folder } }
    }

    /// `cordon serve`, whose admin API makes the users.
    pub async fn api() -> Self {
        let desk = Desk::open().await;
        Self { address: desk.serve.client_address, websocket: None, rule: Rule::Api(Box::new(desk)) }
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        match &self.rule {
            Rule::Operator(office) => office.process.log(),
            Rule::Configuration { process, .. } => process.log(),
            Rule::Api(desk) => desk.serve.process.log(),
        }
    }

    /// The system account, as a scene's place.
    pub fn system(&self) -> Place {
        match &self.rule {
            Rule::Operator(office) => {
                Place { seed: office.system.seed.duplicate(), claims: office.system.claims.clone() }
            }
            Rule::Configuration { .. } | Rule::Api(_) => Place::new("SYS"),
        }
    }

    /// Puts the accounts of a scene in force.
    pub async fn push(&self, scene: &Scene) {
        match &self.rule {
            Rule::Operator(office) => {
                for place in scene.away.iter().chain([&scene.home]) {
                    office.push(&place.claims).await;
                }
            }
            Rule::Api(desk) => desk.establish(scene).await,
            Rule::Configuration { .. } => {}
        }
    }

    /// Has what a check changes come about by the API.
    pub async fn strike(&self, scene: &Scene, check: Check) {
        match &self.rule {
            Rule::Api(desk) => desk.strike(scene, check).await,
            Rule::Operator(_) if check == Check::AccountDeleted => self.delete(&scene.home).await,
            _ => self.push(scene).await,
        }
    }

    async fn delete(&self, place: &Place) {
        let Rule::Operator(office) = &self.rule else { return };
        let mut claims = GenericClaims::new(office.operator.public());
        claims.nats.members.insert("accounts".to_owned(), json!([place.key()]));
        let request = claims.encode(&office.operator, now()).unwrap();
        office.ask("$SYS.REQ.CLAIMS.DELETE", &request).await;
    }

    /// Connects as a user of a scene.
    ///
    /// # Errors
    ///
    /// What the broker says when it lets the user not in.
    pub async fn connect(&self, scene: &Scene, person: &Person, place: &Place) -> Result<Peer, String> {
        // A machine may be too busy to be in time, which says nothing about the user.
        for _ in 0..5 {
            match self.try_connect(scene, person, place).await {
                Err(told) if told == "-ERR 'Authentication Timeout'\r\n" => {}
                decided => return decided,
            }
        }
        Err("never in time to authenticate".to_owned())
    }

    async fn try_connect(&self, scene: &Scene, person: &Person, place: &Place) -> Result<Peer, String> {
        let config = match &self.rule {
            Rule::Configuration { folder, .. } => configuration::tls(person, folder.path()),
            Rule::Api(desk) => Some(crate::tls::trusting(&desk.serve.ca())),
            Rule::Operator(_) => None,
        };
        let mut peer = match config {
            Some(config) => self.over_tls(config).await?,
            None if person.way == Way::WebSocket => Peer::open_websocket(self.websocket.expect("it listens")).await,
            None => Peer::open_plain(self.address).await,
        };
        if person.way == Way::SecondConnect
            && let Rule::Operator(office) = &self.rule
        {
            let first = Person::new(Way::Creds);
            let connect = connect_line(&peer.info, &first, &user_jwt(&first, &office.lobby), false, false);
            peer.send(connect).await;
            // A subscription of whom it was must not outlive that.
            let own = first.seed.public();
            peer.send(format!("SUB {own}.> 1\r\nPUB {own}.orders 0\r\n\r\n")).await;
            assert_eq!(peer.fence().await, format!("MSG {own}.orders 1 0\r\n\r\n"));
        }
        if person.way == Way::Callout
            && let Rule::Operator(office) = &self.rule
        {
            let (told, ended) = office.hall.admit(&mut peer, person, place).await;
            return if ended { Err(told) } else { Ok(peer) };
        }
        let (verbose, pedantic) = (scene.way == Way::Verbose, scene.way == Way::Pedantic);
        let connect = match &self.rule {
            Rule::Operator(_) => connect_line(&peer.info, person, &user_jwt(person, place), verbose, pedantic),
            Rule::Configuration { .. } => configuration::connect_line(&peer.info, person),
            Rule::Api(desk) => connect_line(&peer.info, person, &desk.jwt(scene, person).await, verbose, pedantic),
        };
        if person.way != Way::NoConnect {
            peer.try_send(connect).await;
        }
        let (told, ended) = peer.fence_or_end().await;
        if ended { Err(told) } else { Ok(peer) }
    }

    async fn over_tls(&self, config: Arc<ClientConfig>) -> Result<Peer, String> {
        Peer::try_open(self.address, config).await.map_err(|error| error.to_string())
    }
}

impl Office {
    async fn push(&self, claims: &AccountClaims) {
        let token = claims.encode(&self.operator, self.issued.fetch_add(1, Ordering::Relaxed)).unwrap();
        self.ask("$SYS.REQ.CLAIMS.UPDATE", &token).await;
    }

    async fn ask(&self, subject: &str, body: &str) {
        let mut registrar = self.registrar.as_ref().expect("accounts of this site stay").lock().await;
        registrar.send(format!("PUB {subject} office.answer {}\r\n{body}\r\n", body.len())).await;
        registrar.through("MSG office.answer ").await;
        registrar.through("\r\n").await;
        let answer = registrar.through("\r\n").await;
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["data"]["code"], 200, "{answer}");
    }
}

/// Somebody in the system account who pushes what changes.
async fn registrar(address: SocketAddr, system: &Place) -> Peer {
    let mut registrar = Peer::open_plain(address).await;
    let clerk = Person { issued: now(), ..Person::new(Way::Creds) };
    let connect = connect_line(&registrar.info, &clerk, &user_jwt(&clerk, system), false, false);
    registrar.send(connect).await;
    registrar.send("SUB office.answer 1\r\n").await;
    assert_eq!(registrar.fence().await, "");
    registrar
}

/// A folder, in memory where there is one: brokers sync each account that is pushed, and a table pushes many.
fn folder() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Starts a broker, and waits until it says where it listens.
pub async fn launch(folder: &TempDir, config: &str) -> (Process, SocketAddr) {
    std::fs::write(folder.path().join("broker.conf"), config).unwrap();
    let mut process = Process::start(folder.path(), "broker.log", ["broker", "-c", "broker.conf"], false);
    let address = until("the broker is ready", async || {
        let log = process.log();
        assert!(process.ended().is_none(), "{log}");
        let address = listening(&log, "client connections on ")?;
        log.contains("Server is ready").then_some(address)
    })
    .await;
    (process, address)
}

/// Where a log says that it listens for these.
fn listening(log: &str, clients: &str) -> Option<SocketAddr> {
    let line = log.lines().find_map(|line| line.split_once(&format!("Listening for {clients}")))?;
    line.1.trim_end().parse().ok()
}

/// Adds to an account's claims what its user needs there: a signing key, or a scope.
pub fn enrol(person: &mut Person, place: &mut Place) {
    match person.way {
        Way::SigningKey => person.signed_by_key(place),
        Way::ScopedKey => {
            let signer = seed(Role::Account);
            let mut scope = Scope::new(AccountKey::try_from(signer.public()).unwrap(), "scope");
            scope.template = person.template.clone();
            place.claims.nats.signing_keys.push(SigningKey::Scoped(Box::new(scope)));
            person.signer = Some(signer);
        }
        Way::Bearer | Way::Sentinel => person.template.bearer_token = true,
        _ => {}
    }
}

/// The JWT of a user that is enrolled.
pub fn user_jwt(person: &Person, place: &Place) -> String {
    let key = UserKey::try_from(person.seed.public()).unwrap();
    let mut claims = if person.way == Way::ScopedKey { UserClaims::scoped(key) } else { UserClaims::new(key) };
    if person.way != Way::ScopedKey {
        claims.nats.template = person.template.clone();
    }
    claims.expires = person.expires;
    claims.not_before = person.not_before;
    if person.signer.is_some() {
        claims.nats.issuer_account = Some(place.key());
    }
    claims.encode(person.signer.as_ref().unwrap_or(&place.seed), person.issued).unwrap()
}

fn connect_line(info: &Value, person: &Person, jwt: &str, verbose: bool, pedantic: bool) -> String {
    let mut fields = options(person);
    fields["verbose"] = json!(verbose);
    fields["pedantic"] = json!(pedantic);
    if person.way != Way::Sentinel {
        fields["jwt"] = json!(jwt);
        if person.way != Way::Bearer {
            fields["sig"] = json!(signature(info, person));
        }
    }
    format!("CONNECT {fields}\r\n")
}

/// What every CONNECT of these tests says.
pub fn options(person: &Person) -> Value {
    let mut fields = json!({"verbose": false, "pedantic": false, "headers": true, "no_responders": true, "protocol": 1,
        "lang": "ways", "version": "1"});
    if person.names_account {
        fields["account"] = json!("SYS");
    }
    fields
}

/// A person's signature of the nonce; another's when it is forged.
pub fn signature(info: &Value, person: &Person) -> String {
    let nonce = info["nonce"].as_str().unwrap_or_default().as_bytes();
    let other = seed(Role::User);
    let signer = if person.forged { &other } else { &person.seed };
    data_encoding::BASE64URL_NOPAD.encode(&signer.sign(nonce).unwrap())
}
