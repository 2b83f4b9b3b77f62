//! A scene: two users, their accounts, and a message from the one to the other on some way.

use cordon_accounts::claims::{
    AccountClaims, Activation, Claims, Export, ExportKind, Import, Mapping, ResponseClaim, SigningKey, UserTemplate,
};
use cordon_accounts::key::{AccountKey, Role, Seed};
use rand::rngs::OsRng;

use super::way::Way;
use crate::wait::now;

/// What a responder subscribes to.
pub const HELP: &str = "help.me";

/// Seconds before now at which the users of a scene are issued.
pub const ISSUED_AGO: i64 = 100;

/// Everything about one message and those who send and get it.
#[derive(Debug)]
pub struct Scene {
    /// The way it takes.
    pub way: Way,
    /// The sender's account.
    pub home: Place,
    /// The receiver's account, when it is another.
    pub away: Option<Place>,
    /// Who publishes.
    pub sender: Person,
    /// Who subscribes.
    pub receiver: Person,
    /// What the sender publishes to; a responder learns it from the request.
    pub subject: String,
    /// What publish permissions are asked about.
    pub judged: String,
    /// The reply subject of what the sender publishes.
    pub reply: Option<String>,
    /// Header lines of it.
    pub header: Option<String>,
    /// The size that the sender announces, when it is not the true one.
    pub announced: Option<usize>,
    /// What the receiver subscribes to.
    pub listen: String,
    /// A wildcard that covers it.
    pub wide: String,
    /// The receiver's queue group.
    pub queue: Option<&'static str>,
    /// After how many messages the receiver's subscription ends.
    pub maximum: Option<u64>,
    /// Where answers go.
    pub inbox: String,
    /// A subject that the receiver gets in any case.
    pub witness: String,
    /// Whether the sender answers a request of the receiver.
    pub answers: bool,
    /// Whether another user of the sender's account is connected before the sender.
    pub occupied: bool,
    /// In how many seconds expires what is to expire when a message has passed.
    pub lifetime: i64,
}

/// An account.
#[derive(Debug)]
pub struct Place {
    /// Its key.
    pub seed: Seed,
    /// Its claims.
    pub claims: AccountClaims,
}

/// A user.
#[derive(Debug)]
pub struct Person {
    /// By what it is who it is.
    pub way: Way,
    /// Its key.
    pub seed: Seed,
    /// The signing key of its account that signed it, for those who have one.
    pub signer: Option<Seed>,
    /// What it may and how.
    pub template: UserTemplate,
    /// When it is issued, in Unix seconds.
    pub issued: i64,
    /// When it expires; 0 for never.
    pub expires: i64,
    /// When it begins; 0 for at once.
    pub not_before: i64,
    /// Whether its proof is another's.
    pub forged: bool,
    /// Whether its CONNECT names an account.
    pub names_account: bool,
}

/// A new key.
pub fn seed(role: Role) -> Seed {
    Seed::generate(role, &mut OsRng)
}

impl Place {
    /// A new account without limits.
    pub fn new(name: &str) -> Self {
        let seed = seed(Role::Account);
        let mut claims = AccountClaims::new(AccountKey::try_from(seed.public()).unwrap());
        name.clone_into(&mut claims.name);
        Self { seed, claims }
    }

    /// Its key.
    pub fn key(&self) -> AccountKey {
        AccountKey::try_from(self.seed.public()).unwrap()
    }

    fn export(&mut self, kind: ExportKind, subject: &str) {
        self.claims.nats.exports.push(Export::new(kind, subject));
    }

    fn import(&mut self, kind: ExportKind, from: AccountKey, subject: &str, local: &str) {
        let mut import = Import::new(kind, from, subject);
        local.clone_into(&mut import.local_subject);
        self.claims.nats.imports.push(import);
    }
}

impl Person {
    /// A user that may do everything.
    pub fn new(way: Way) -> Self {
        Self {
            way,
            seed: seed(Role::User),
            signer: None,
            template: UserTemplate::unlimited(),
            issued: now() - ISSUED_AGO,
            expires: 0,
            not_before: 0,
            forged: false,
            names_account: false,
        }
    }

    /// Has a signing key of the account sign it.
    pub fn signed_by_key(&mut self, place: &mut Place) {
        let signer = seed(Role::Account);
        place.claims.nats.signing_keys.push(SigningKey::Plain(AccountKey::try_from(signer.public()).unwrap()));
        self.signer = Some(signer);
    }
}

impl Scene {
    /// The scene of a way, with nothing in its way.
    pub fn of(way: Way) -> Self {
        let mut scene = Self {
            way,
            home: Place::new("home"),
            away: None,
            sender: Person::new(way),
            receiver: Person::new(way),
            subject: "in.orders".to_owned(),
            judged: "in.orders".to_owned(),
            reply: None,
            header: None,
            announced: None,
            listen: "in.orders".to_owned(),
            wide: "in.*".to_owned(),
            queue: None,
            maximum: None,
            inbox: "_INBOX.r".to_owned(),
            witness: "witness.r".to_owned(),
            answers: false,
            occupied: false,
            lifetime: 3,
        };
        scene.shape(way);
        scene
    }

    fn shape(&mut self, way: Way) {
        match way {
            Way::Headers => self.header = Some("A: 1".to_owned()),
            Way::WithReply => self.reply = Some(self.inbox.clone()),
            Way::ForgedHeaders => self.header = Some("Nats-Request-Info: {\"acc\":\"SYS\"}\r\nA: 1".to_owned()),
            Way::Queue => self.queue = Some("red"),
            Way::Wildcard => self.listen.clone_from(&self.wide),
            Way::AutoUnsubscribe => self.maximum = Some(2),
            Way::AccountMapping => self.map_to("mapped.orders"),
            Way::ServiceImport => self.import_service("in.orders"),
            Way::MappedServiceImport => self.import_service("my.orders"),
            Way::StreamImport => self.import_stream("in.orders", "in.*"),
            Way::MappedStreamImport => self.import_stream("news.orders", "news.*"),
            Way::ServiceReply => {
                let mut away = Place::new("away");
                self.home.export(ExportKind::Service, HELP);
                away.import(ExportKind::Service, self.home.key(), HELP, HELP);
                self.away = Some(away);
                self.answer();
                "_R_.>".clone_into(&mut self.judged);
            }
            Way::ResponsePermission => self.grant(1, 0),
            Way::TracedMessage => self.header = Some("Nats-Trace-Dest: trace.to".to_owned()),
            Way::TraceDestination => self.trace_to("trace.to", ""),
            Way::TraceOnly => self.trace_to("trace.to", "\r\nNats-Trace-Only: true"),
            Way::TenantSystemRequest => self.ask("$SYS.REQ.USER.INFO"),
            Way::SystemRequest => {
                // All scenes share the account.
                let key = self.receiver.seed.public();
                (self.inbox, self.witness) = (format!("_INBOX.{key}.r"), format!("witness.{key}"));
                self.ask("$SYS.REQ.SERVER.PING");
                self.wide = format!("_INBOX.{key}.*");
            }
            _ => {}
        }
    }

    /// The account's mappings send the message to `to`.
    pub fn map_to(&mut self, to: &str) {
        let mapping = Mapping { subject: to.to_owned(), ..Mapping::default() };
        self.home.claims.nats.mappings.insert(self.subject.clone(), vec![mapping]);
        to.clone_into(&mut self.judged);
        to.clone_into(&mut self.listen);
        "mapped.*".clone_into(&mut self.wide);
    }

    /// The sender asks by `local` for a service of the receiver's account.
    pub fn import_service(&mut self, local: &str) {
        let mut away = Place::new("away");
        away.export(ExportKind::Service, "in.orders");
        self.home.claims.nats.imports.clear();
        self.home.import(ExportKind::Service, away.key(), "in.orders", local);
        self.away = Some(away);
        self.publish_to(local);
        self.reply = Some(self.inbox.clone());
    }

    /// The receiver gets by `local` what the sender's account publishes.
    pub fn import_stream(&mut self, local: &str, wide: &str) {
        let mut away = Place::new("away");
        self.home.claims.nats.exports.clear();
        self.home.export(ExportKind::Stream, &self.subject);
        away.import(ExportKind::Stream, self.home.key(), &self.subject, local);
        self.away = Some(away);
        local.clone_into(&mut self.listen);
        wide.clone_into(&mut self.wide);
    }

    /// The sender publishes there, and its permissions are asked about that.
    pub fn publish_to(&mut self, subject: &str) {
        subject.clone_into(&mut self.subject);
        subject.clone_into(&mut self.judged);
    }

    /// The message is the report that goes to `destination`.
    pub fn trace_to(&mut self, destination: &str, more: &str) {
        self.header = Some(format!("Nats-Trace-Dest: {destination}{more}"));
        "traced.orders".clone_into(&mut self.subject);
        destination.clone_into(&mut self.judged);
        destination.clone_into(&mut self.listen);
        "trace.*".clone_into(&mut self.wide);
    }

    /// The sender answers requests of the receiver.
    pub fn answer(&mut self) {
        self.answers = true;
        self.listen.clone_from(&self.inbox);
        "_INBOX.*".clone_into(&mut self.wide);
        self.judged.clone_from(&self.inbox);
    }

    /// The sender answers by a response permission: so often, and for so many nanoseconds.
    pub fn grant(&mut self, max: i64, ttl: i64) {
        self.answer();
        self.sender.template.permissions.response = Some(ResponseClaim { max, ttl });
    }

    fn ask(&mut self, subject: &str) {
        self.publish_to(subject);
        self.reply = Some(self.inbox.clone());
        self.listen.clone_from(&self.inbox);
        "_INBOX.*".clone_into(&mut self.wide);
    }

    /// The account that imports, and the one that exports.
    pub fn parties(&mut self) -> (&mut Place, &mut Place) {
        let away = self.away.as_mut().expect("a scene of two accounts");
        if away.claims.nats.imports.is_empty() { (&mut self.home, away) } else { (away, &mut self.home) }
    }

    /// Makes the export private; the importer gets an activation if it is to have one.
    pub fn make_private(&mut self, activated: bool) {
        let (importer, exporter) = self.parties();
        exporter.claims.nats.exports[0].token_req = true;
        if activated {
            let (kind, subject) =
                (exporter.claims.nats.exports[0].kind, exporter.claims.nats.exports[0].subject.clone());
            let activation: Claims<Activation> = Claims::<Activation>::new(importer.key(), kind, subject);
            importer.claims.nats.imports[0].token = activation.encode(&exporter.seed, now() - ISSUED_AGO).unwrap();
        }
    }
}
