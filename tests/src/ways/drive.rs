//! Drives a scene through a broker, and says what came of it.

use super::cell::{Refused, When};
use super::check::{Check, Side};
use super::scene::{HELP, Person, Scene};
use super::site::{Extra, Site, enrol, user_jwt};
use super::way::Way;
use crate::peer::Peer;
use crate::wait::until;

/// The body of every message: what a request of the system account may hold too.
const BODY: &str = "{}                              ";

/// Stands for the subject of an answer in what is told of it.
const ANSWER: &str = "{reply}";

/// What came of a message, or of the attempt to send it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The sender was not let in.
    Connect(String),
    /// The receiver's subscription was answered so.
    Subscribe(String),
    /// It was sent.
    Sent {
        /// What the sender was told, `+OK` apart.
        told: String,
        /// Whether its connection ended.
        ended: bool,
        /// Whether the receiver got it.
        arrived: bool,
    },
}

impl Outcome {
    /// The message passed.
    pub fn passed() -> Self {
        Self::Sent { told: String::new(), ended: false, arrived: true }
    }
}

/// The two who are connected.
struct Stage {
    sender: Peer,
    receiver: Peer,
    /// Where the sender's answers go.
    reply: Option<String>,
}

/// The site of a scene that needs one of its own.
pub async fn own_site(scene: &mut Scene, check: Check) -> Site {
    let silent = check.when() == When::Before && scene.way == Way::SystemRequest;
    let mut extra = Extra { silent, ..Extra::default() };
    if scene.way == Way::SystemRequest {
        extra.system =
            Some(super::scene::Place { seed: scene.home.seed.duplicate(), claims: scene.home.claims.clone() });
    }
    for person in [&scene.sender, &scene.receiver] {
        if person.way == Way::Sentinel {
            extra.sentinel = Some(user_jwt(person, &scene.home));
        }
    }
    Site::operator(extra).await
}

/// Gives a scene's users their places in their accounts. Where only one can be who it is by the scene's way,
/// the other is somebody ordinary.
pub fn cast(scene: &mut Scene, check: Option<Check>, ordinary: Way) {
    if matches!(scene.way, Way::Sentinel | Way::NoAuthUser | Way::NoConnect) {
        match check.map_or(Side::Sender, Check::side) {
            Side::Sender => scene.receiver.way = ordinary,
            Side::Receiver => scene.sender.way = ordinary,
        }
    }
    enrol(&mut scene.sender, &mut scene.home);
    enrol(&mut scene.receiver, scene.away.as_mut().unwrap_or(&mut scene.home));
}

/// Sends one message of a scene whose accounts are in force.
pub async fn once(site: &Site, scene: &Scene, passes: bool) -> Outcome {
    match open(site, scene).await {
        Ok(mut stage) => {
            stage.ask(scene).await;
            stage.send(scene, passes).await
        }
        Err(outcome) => outcome,
    }
}

/// Sends one message, has the check come, and says what came of it and what should have.
///
/// # Errors
///
/// What went otherwise before the check came, or after.
pub async fn live(site: &Site, scene: &mut Scene, check: Check) -> Result<(Outcome, Refused), String> {
    let mut stage = open(site, scene).await.map_err(|outcome| format!("before the check came: {outcome:?}"))?;
    stage.ask(scene).await;
    let before = stage.send(scene, true).await;
    if before != Outcome::passed() {
        return Err(format!("before the check came: {before:?}"));
    }
    if check != Check::ResponseCount {
        // Answered, or not, when the check has come.
        stage.ask(scene).await;
    }
    let refused =
        if check.when() == When::Live { check.bar(scene) } else { Refused::SenderEnds("User Authentication Expired") };
    match check {
        Check::Expires | Check::ResponseCount => {}
        _ => site.strike(scene, check).await,
    }
    let outcome = match refused {
        Refused::SenderEnds(_) => {
            let told = stage.sender.end().await;
            again(site, scene, &scene.sender, true).await?;
            Outcome::Sent { told, ended: true, arrived: stage.arrived(scene, false, false).await }
        }
        Refused::ReceiverEnds(_) => {
            let told = stage.receiver.end().await;
            again(site, scene, &scene.receiver, false).await?;
            let (said, ended) = stage.say(scene).await;
            if !said.replace("+OK\r\n", "").is_empty() || ended {
                return Err(format!("the sender was told {said:?}"));
            }
            Outcome::Sent { told, ended: true, arrived: false }
        }
        _ => stage.send(scene, false).await,
    };
    Ok((outcome, refused))
}

/// Requires that somebody whose connection has ended is not let in again.
async fn again(site: &Site, scene: &Scene, person: &Person, sends: bool) -> Result<(), String> {
    let place = if sends { &scene.home } else { scene.away.as_ref().unwrap_or(&scene.home) };
    // The second in which something expires still counts as before it: whoever comes back in it is let go again.
    until("it is not let in again", async || match site.connect(scene, person, place).await {
        Ok(mut peer) => {
            peer.end().await;
            None
        }
        Err(told) if told.ends_with(" Authentication Expired'\r\n") => None,
        Err(told) if told == "-ERR 'Authorization Violation'\r\n" => Some(Ok(())),
        Err(told) => Some(Err(format!("on its return it was told {told:?}"))),
    })
    .await
}

/// Connects the two.
async fn open(site: &Site, scene: &Scene) -> Result<Stage, Outcome> {
    let away = scene.away.as_ref().unwrap_or(&scene.home);
    let receiver = site.connect(scene, &scene.receiver, away).await;
    let mut receiver = receiver.map_err(|told| Outcome::Subscribe(format!("the receiver cannot connect: {told}")))?;
    let queue = scene.queue.map(|queue| format!(" {queue}")).unwrap_or_default();
    receiver.send(format!("SUB {} 7\r\nSUB {}{queue} 9\r\n", scene.witness, scene.listen)).await;
    if let Some(maximum) = scene.maximum {
        receiver.send(format!("UNSUB 9 {maximum}\r\n")).await;
    }
    let (told, _) = receiver.fence_or_end().await;
    let told = told.replace("+OK\r\n", "");
    if !told.is_empty() {
        return Err(Outcome::Subscribe(told));
    }
    let _occupant = if scene.occupied {
        let mut occupant = Person::new(Way::Creds);
        occupant.template = cordon_accounts::claims::UserTemplate::unlimited();
        Some(site.connect(scene, &occupant, &scene.home).await.expect("there is a place"))
    } else {
        None
    };
    let mut sender = site.connect(scene, &scene.sender, &scene.home).await.map_err(Outcome::Connect)?;
    if scene.answers {
        sender.send(format!("SUB {HELP} 5\r\n")).await;
        let (told, _) = sender.fence_or_end().await;
        assert_eq!(told.replace("+OK\r\n", ""), "", "the responder subscribes");
    }
    Ok(Stage { sender, receiver, reply: None })
}

impl Stage {
    /// Where the sender answers: the receiver asks, and the sender reads where the answer goes.
    async fn ask(&mut self, scene: &Scene) {
        if !scene.answers {
            return;
        }
        self.receiver.send(format!("PUB {HELP} {} 1\r\n?\r\n", scene.inbox)).await;
        self.sender.through(&format!("MSG {HELP} 5 ")).await;
        let rest = self.sender.through("\r\n?\r\n").await;
        self.reply = rest.split(' ').next().map(str::to_owned);
    }

    /// Publishes; what the sender is told, and whether that is the end of its connection.
    async fn say(&mut self, scene: &Scene) -> (String, bool) {
        let subject = self.reply.as_deref().unwrap_or(&scene.subject);
        let bytes = frame(subject, scene.reply.as_deref(), scene);
        self.sender.try_send(bytes).await;
        self.sender.fence_or_end().await
    }

    async fn send(&mut self, scene: &Scene, passes: bool) -> Outcome {
        let (told, ended) = self.say(scene).await;
        let mut bare = told.replace("+OK\r\n", "");
        if let Some(reply) = &self.reply {
            bare = bare.replace(reply, ANSWER);
        }
        if scene.way == Way::Verbose {
            assert_eq!(told.contains("+OK"), bare.is_empty(), "+OK says that it was taken: {told:?}");
        }
        let arrived = self.arrived(scene, passes, bare.is_empty()).await;
        Outcome::Sent { told: bare, ended, arrived }
    }

    /// Whether the receiver got it. `hoped` says that it must come, and is waited for; `taken` that the broker took it.
    async fn arrived(&mut self, scene: &Scene, hoped: bool, taken: bool) -> bool {
        if hoped && taken {
            self.receiver.through(" 9 ").await;
            let _rest = self.receiver.fence().await;
            return true;
        }
        let asynchronous = matches!(scene.way, Way::TenantSystemRequest | Way::SystemRequest);
        if asynchronous && taken && self.sender.try_send(frame(&scene.subject, Some(&scene.witness), scene)).await {
            let (_, ended) = self.sender.fence_or_end().await;
            if !ended {
                let seen = self.receiver.through(" 7 ").await;
                return seen.contains(" 9 ");
            }
        }
        self.receiver.fence_or_end().await.0.contains(" 9 ")
    }
}

fn frame(subject: &str, reply: Option<&str>, scene: &Scene) -> String {
    let reply = reply.map(|reply| format!(" {reply}")).unwrap_or_default();
    let block = scene.header.as_ref().map(|lines| format!("NATS/1.0\r\n{lines}\r\n\r\n")).unwrap_or_default();
    let size = scene.announced.unwrap_or(block.len() + BODY.len());
    let verb = if block.is_empty() {
        format!("PUB {subject}{reply}")
    } else {
        format!("HPUB {subject}{reply} {}", block.len())
    };
    format!("{verb} {size}\r\n{block}{BODY}\r\n")
}

/// What a refusal looks like.
pub fn expected(scene: &Scene, refused: &Refused) -> Outcome {
    let error = |text: &str| if text.is_empty() { String::new() } else { format!("-ERR '{text}'\r\n") };
    let sent = |told: String, ended: bool| Outcome::Sent { told, ended, arrived: false };
    match refused {
        Refused::Connect(text) => Outcome::Connect(error(text)),
        Refused::Subscribe(text) => Outcome::Subscribe(error(text)),
        Refused::Publish => {
            let subject = if scene.answers { ANSWER } else { &scene.judged };
            sent(error(&format!("Permissions Violation for Publish to \"{subject}\"")), false)
        }
        Refused::Told(text) => sent(error(text), false),
        Refused::Silently => sent(String::new(), false),
        Refused::PublishEnds(text) | Refused::SenderEnds(text) | Refused::ReceiverEnds(text) => sent(error(text), true),
    }
}
