//! One cell of the table: a scene, what stands in its way, and what must come of it.

use cordon_accounts::claims::revocation::Revoked;
use cordon_accounts::claims::{SubjectsClaim, TimeRange};
use cordon_accounts::limits::Limit;

use super::check::Check;
use super::scene::Scene;
use super::way::{Group, Way};
use crate::wait::now;

/// Announced sizes over it are refused by every broker of these tests: the default of `max_payload`.
const MAX_PAYLOAD: usize = 1024 * 1024;

/// What becomes of an attempt that a check refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// The sender's CONNECT is answered by this error, and the connection ends.
    Connect(&'static str),
    /// The sender is told that it may not publish there.
    Publish,
    /// The sender is told exactly this.
    Told(String),
    /// The sender is told this, and its connection ends.
    PublishEnds(&'static str),
    /// The receiver's subscription is answered by this.
    Subscribe(String),
    /// Nobody is told.
    Silently,
    /// The sender's open connection ends with this, and it cannot come back.
    SenderEnds(&'static str),
    /// The receiver's open connection ends with this, and it cannot come back.
    ReceiverEnds(&'static str),
}

/// Forms of scene. Checks of the same form and side need one control between them: the same scene, without any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Form {
    /// As the way makes it.
    Plain,
    /// The receiver has a wildcard subscription.
    Wide,
    /// The receiver is in a queue group.
    Queue,
    /// Both.
    WideQueue,
    /// The sender answers by a response permission.
    Granted,
    /// Another user of the sender's account is connected.
    Occupied,
    /// A signing key signed the sender.
    SignedByKey,
    /// The export is private.
    Private,
}

/// Whether the check stands there before anybody connects, or comes when a message has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// Before.
    Before,
    /// When a message has passed.
    Live,
    /// When a message has passed, by itself: nobody changes anything.
    ByItself,
}

const VIOLATION: &str = "Authorization Violation";

fn only(subjects: &[&str]) -> SubjectsClaim {
    SubjectsClaim { allow: subjects.iter().map(|subject| (*subject).to_owned()).collect(), deny: Vec::new() }
}

fn never(subject: impl Into<String>) -> SubjectsClaim {
    SubjectsClaim { allow: Vec::new(), deny: vec![subject.into()] }
}

impl Check {
    /// When it stands in the way.
    pub const fn when(self) -> When {
        match self {
            Self::Expires => When::ByItself,
            Self::DefaultPermissions
            | Self::UserRevoked
            | Self::EverybodyRevoked
            | Self::ReceiverRevoked
            | Self::SigningKeyRemoved
            | Self::AccountExpires
            | Self::AccountDeleted
            | Self::ActivationRevoked
            | Self::ImportNarrowed
            | Self::ExportNarrowed
            | Self::BearerForbidden
            | Self::ResponseCount => When::Live,
            _ => When::Before,
        }
    }

    /// The form of scene in which it can be tried.
    pub const fn form(self) -> Form {
        match self {
            Self::SubscribeOverlap => Form::Wide,
            Self::QueueAllow | Self::QueueDeny => Form::Queue,
            Self::QueueOverlap => Form::WideQueue,
            Self::ResponseCount | Self::ResponseTime => Form::Granted,
            Self::AccountConnections => Form::Occupied,
            Self::SigningKeyRemoved => Form::SignedByKey,
            Self::ActivationMissing | Self::ActivationRevoked => Form::Private,
            _ => Form::Plain,
        }
    }

    /// A scene of that form: the message passes, and only what [`Check::bar`] adds keeps it back.
    pub fn scene(self, way: Way) -> Scene {
        let mut scene = Scene::of(way);
        match self.form() {
            Form::Wide => scene.listen.clone_from(&scene.wide),
            Form::Queue => scene.queue = Some("red"),
            Form::WideQueue => {
                scene.queue = Some("red");
                scene.listen.clone_from(&scene.wide);
            }
            Form::Granted if way == Way::ServiceReply => {
                scene.grant(1, 0);
                "_R_.>".clone_into(&mut scene.judged);
            }
            Form::Granted => scene.grant(1, 0),
            Form::Occupied => scene.occupied = true,
            Form::SignedByKey if way.group() == Group::Message => scene.sender.signed_by_key(&mut scene.home),
            Form::Private => scene.make_private(true),
            Form::Plain | Form::SignedByKey => {}
        }
        scene
    }

    /// Puts the check in the way of a scene of its form; what must come of it.
    pub fn bar(self, scene: &mut Scene) -> Refused {
        match self {
            Self::PublishAllow
            | Self::PublishDeny
            | Self::SubscribeAllow
            | Self::SubscribeDeny
            | Self::SubscribeOverlap
            | Self::QueueAllow
            | Self::QueueDeny
            | Self::QueueOverlap
            | Self::ResponseCount
            | Self::ResponseTime => self.forbid(scene),
            Self::ServerPayload
            | Self::AccountPayload
            | Self::UserPayload
            | Self::AccountSubscriptions
            | Self::UserSubscriptions
            | Self::AccountConnections => self.limit(scene),
            Self::ConnectionType
            | Self::Network
            | Self::TimeOfDay
            | Self::NotBefore
            | Self::Expired
            | Self::Expires
            | Self::Proof
            | Self::AccountNamed => self.lock_out(scene),
            Self::ReservedSubject
            | Self::ReservedReply
            | Self::ReservedQueue
            | Self::InvalidSubject
            | Self::TooManyTokens => self.misuse(scene),
            Self::ActivationMissing => {
                let (importer, _) = scene.parties();
                importer.claims.nats.imports[0].token = String::new();
                Refused::Silently
            }
            _ => self.change(scene),
        }
    }

    fn forbid(self, scene: &mut Scene) -> Refused {
        let listen = scene.listen.clone();
        let queued = format!("{listen} red");
        match self {
            Self::PublishAllow => {
                scene.sender.template.permissions.response = None;
                scene.sender.template.permissions.publish = only(&["elsewhere", "trace.to"]);
                if scene.judged == "trace.to" {
                    scene.sender.template.permissions.publish = only(&["elsewhere", "traced.orders"]);
                }
                return Refused::Publish;
            }
            Self::PublishDeny => {
                scene.sender.template.permissions.publish = never(scene.judged.clone());
                return Refused::Publish;
            }
            // The second answer to one request.
            Self::ResponseCount => return Refused::Publish,
            Self::ResponseTime => {
                scene.sender.template.permissions.response.as_mut().expect("the form grants it").ttl = 1;
                return Refused::Publish;
            }
            Self::SubscribeOverlap => {
                scene.receiver.template.permissions.subscribe = never(scene.narrow());
                return Refused::Silently;
            }
            Self::QueueOverlap => {
                scene.receiver.template.permissions.subscribe = never(format!("{} red", scene.narrow()));
                return Refused::Silently;
            }
            Self::SubscribeAllow => scene.receiver.template.permissions.subscribe = only(&[&scene.witness]),
            Self::SubscribeDeny => scene.receiver.template.permissions.subscribe = never(listen),
            Self::QueueAllow => {
                let other = format!("{listen} blue");
                scene.receiver.template.permissions.subscribe = only(&[&scene.witness, &listen, &other]);
            }
            _ => scene.receiver.template.permissions.subscribe = never(queued),
        }
        Refused::Subscribe(scene.subscription_violation())
    }

    fn limit(self, scene: &mut Scene) -> Refused {
        const TOO_LARGE: &str = "Maximum Payload Violation";
        let away = scene.away.as_mut().unwrap_or(&mut scene.home);
        match self {
            Self::ServerPayload => scene.announced = Some(MAX_PAYLOAD + 1),
            Self::AccountPayload => scene.home.claims.nats.limits.payload = Limit(4),
            Self::UserPayload => scene.sender.template.limits.payload = Limit(4),
            Self::AccountSubscriptions => away.claims.nats.limits.subs = Limit(1),
            Self::UserSubscriptions => scene.receiver.template.limits.subs = Limit(1),
            _ => {
                let before = 1 + i64::from(scene.away.is_none());
                scene.home.claims.nats.limits.conn = Limit(before);
                return Refused::Connect("maximum account active connections exceeded");
            }
        }
        match self {
            Self::AccountSubscriptions | Self::UserSubscriptions => {
                Refused::Subscribe("maximum subscriptions exceeded".to_owned())
            }
            _ => Refused::PublishEnds(TOO_LARGE),
        }
    }

    fn lock_out(self, scene: &mut Scene) -> Refused {
        let sender = &mut scene.sender;
        match self {
            Self::ConnectionType => {
                let other = if sender.way == Way::WebSocket { "STANDARD" } else { "WEBSOCKET" };
                sender.template.allowed_connection_types = vec![other.to_owned()];
            }
            Self::Network => sender.template.src = vec!["192.0.2.0/24".to_owned()],
            Self::TimeOfDay => {
                let hour = |ahead: i64| format!("{:02}:00:00", (now() / 3600 + ahead).rem_euclid(24));
                sender.template.times = vec![TimeRange { start: hour(6), end: hour(7) }];
                "UTC".clone_into(&mut sender.template.times_location);
            }
            Self::NotBefore => sender.not_before = now() + 3600,
            Self::Expired => sender.expires = now() - 1,
            Self::Expires => {
                sender.expires = now() + scene.lifetime;
                return Refused::SenderEnds("User Authentication Expired");
            }
            Self::Proof => sender.forged = true,
            _ => sender.names_account = true,
        }
        Refused::Connect(VIOLATION)
    }

    fn misuse(self, scene: &mut Scene) -> Refused {
        const RESERVED: &str = "_GR_.in.orders";
        match self {
            Self::ReservedReply => {
                scene.reply = Some("_R_.abc.def".to_owned());
                return Refused::Told("Permissions Violation for Publish with Reply of \"_R_.abc.def\"".to_owned());
            }
            Self::ReservedQueue => {
                scene.queue = Some("_sys_");
                return Refused::Subscribe(scene.subscription_violation());
            }
            Self::InvalidSubject => {
                "in..orders".clone_into(&mut scene.listen);
                return Refused::Subscribe("Invalid Subject".to_owned());
            }
            Self::TooManyTokens => {
                scene.queue = None;
                scene.listen = vec!["a"; 1025].join(".");
                return Refused::Subscribe(format!("{}, too many tokens", scene.subscription_violation()));
            }
            _ => {}
        }
        match scene.way {
            Way::AccountMapping => scene.map_to(RESERVED),
            Way::ServiceImport | Way::MappedServiceImport => scene.import_service(RESERVED),
            Way::TraceDestination => scene.trace_to(RESERVED, ""),
            Way::TraceOnly => scene.trace_to(RESERVED, "\r\nNats-Trace-Only: true"),
            Way::StreamImport | Way::MappedStreamImport => {
                scene.publish_to(RESERVED);
                scene.import_stream("in.orders", "in.*");
            }
            _ => {
                scene.publish_to(RESERVED);
                RESERVED.clone_into(&mut scene.listen);
            }
        }
        Refused::Publish
    }

    /// What changes in the claims of a scene that has carried a message.
    fn change(self, scene: &mut Scene) -> Refused {
        let past = now() - 50;
        match self {
            Self::DefaultPermissions => {
                scene.home.claims.nats.default_permissions.publish = never(scene.judged.clone());
                return Refused::Publish;
            }
            Self::UserRevoked => {
                scene.home.claims.nats.revocations.revoke(scene.sender.seed.public(), past);
                return Refused::SenderEnds("User Authentication Revoked");
            }
            Self::EverybodyRevoked => {
                scene.home.claims.nats.revocations.revoke(Revoked::All, past);
                return Refused::SenderEnds("User Authentication Revoked");
            }
            Self::ReceiverRevoked => {
                let place = scene.away.as_mut().unwrap_or(&mut scene.home);
                place.claims.nats.revocations.revoke(scene.receiver.seed.public(), past);
                return Refused::ReceiverEnds("User Authentication Revoked");
            }
            Self::SigningKeyRemoved => scene.home.claims.nats.signing_keys.clear(),
            Self::AccountExpires => {
                scene.home.claims.expires = now() + 2;
                return Refused::SenderEnds("Account Authentication Expired");
            }
            Self::BearerForbidden => {
                scene.home.claims.nats.limits.disallow_bearer = true;
                return Refused::SenderEnds(VIOLATION);
            }
            Self::ActivationRevoked => {
                let (importer, exporter) = scene.parties();
                exporter.claims.nats.exports[0].revocations.revoke(importer.seed.public(), past);
                return Refused::Silently;
            }
            Self::ImportNarrowed => {
                scene.parties().0.claims.nats.imports.clear();
                return Refused::Silently;
            }
            Self::ExportNarrowed => {
                "in.other".clone_into(&mut scene.parties().1.claims.nats.exports[0].subject);
                return Refused::Silently;
            }
            // The account is deleted by who drives the scene. The API takes its connections first.
            Self::AccountDeleted if scene.way.group() == Group::Api => {
                return Refused::SenderEnds("maximum account active connections exceeded");
            }
            Self::AccountDeleted => return Refused::SenderEnds("Account Authentication Expired"),
            _ => {}
        }
        Refused::SenderEnds("")
    }
}

impl Scene {
    /// The subject at which the receiver gets the message, with a wildcard subscription too.
    fn narrow(&self) -> String {
        match self.way {
            Way::AccountMapping => "mapped.orders".to_owned(),
            Way::MappedStreamImport => "news.orders".to_owned(),
            Way::TraceDestination | Way::TraceOnly => "trace.to".to_owned(),
            _ if self.wide.starts_with("_INBOX.") => self.inbox.clone(),
            _ => "in.orders".to_owned(),
        }
    }

    fn subscription_violation(&self) -> String {
        let queue = self.queue.map(|queue| format!(" using queue \"{queue}\"")).unwrap_or_default();
        format!("Permissions Violation for Subscription to \"{}\"{queue}", self.listen)
    }
}
