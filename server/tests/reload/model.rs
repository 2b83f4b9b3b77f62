//! After a reload a broker answers as one that was freshly started with the new file, and keeps exactly those whose
//! credentials still lead where they led before.

use std::fmt::Write as _;

use cordon_accounts::name::AccountName;
use cordon_server::config;
use proptest::prelude::*;

use crate::site::{OPEN, Site};
use crate::support::{Peer, QUIET};

const USERS: usize = 3;
const PASSWORDS: u8 = 2;
const SUBJECTS: [&str; 4] = ["", "x", "y", "\">\""];

/// A user of one of two accounts, with a choice of subjects.
#[derive(Clone, Debug)]
struct User {
    password: u8,
    account: usize,
    publish: usize,
    subscribe: usize,
}

/// What a configuration says.
#[derive(Clone, Debug)]
enum Model {
    /// Nobody is asked.
    Open,
    /// A token.
    Token(u8),
    /// Two accounts, of which one imports from the other.
    Accounts { users: Vec<Option<User>>, stand_in: Option<usize>, exports: [bool; 2], imports: [bool; 2] },
}

fn user() -> impl Strategy<Value = User> {
    (0..PASSWORDS, 0..2usize, 0..SUBJECTS.len(), 0..SUBJECTS.len())
        .prop_map(|(password, account, publish, subscribe)| User { password, account, publish, subscribe })
}

fn model() -> impl Strategy<Value = Model> {
    let users = prop::collection::vec(prop::option::weighted(0.8, user()), USERS);
    let accounts = (users, prop::option::weighted(0.3, 0..USERS), any::<[bool; 2]>(), any::<[bool; 2]>());
    prop_oneof![
        1 => Just(Model::Open),
        1 => (0..PASSWORDS).prop_map(Model::Token),
        8 => accounts.prop_map(|(users, stand_in, exports, imports)| Model::Accounts { users, stand_in, exports, imports }),
    ]
}

impl User {
    fn text(&self, place: usize) -> String {
        let mut permissions = String::new();
        for (what, choice) in [("publish", self.publish), ("subscribe", self.subscribe)] {
            if choice > 0 {
                write!(permissions, " {what}: {}", SUBJECTS[choice]).unwrap();
            }
        }
        let permissions =
            if permissions.is_empty() { permissions } else { format!(", permissions {{{permissions} }}") };
        format!("{{user: u{place}, password: p{}{permissions}}}, ", self.password)
    }
}

impl Model {
    /// The file, which may be wrong: what is not exported may be imported, and who is not there may stand in.
    fn text(&self) -> String {
        let (users, stand_in, exports, imports) = match self {
            Self::Open => return OPEN.to_owned(),
            Self::Token(token) => return format!("authorization {{ token: t{token} }}\n"),
            Self::Accounts { users, stand_in, exports, imports } => (users, stand_in, exports, imports),
        };
        let of = |account: usize| -> String {
            let those = users.iter().enumerate().filter_map(|(place, user)| Some((place, user.as_ref()?)));
            those
                .filter(|(_, user)| user.account == account)
                .fold(String::new(), |text, (place, user)| text + &user.text(place))
        };
        let shared = |wanted: &[bool; 2], items: [&str; 2]| -> String {
            let wanted = items.into_iter().zip(wanted).filter(|(_, wanted)| **wanted);
            wanted.map(|(item, _)| item).collect::<Vec<_>>().join(", ")
        };
        let exports = shared(exports, ["{service: svc}", "{stream: str}"]);
        let imports =
            shared(imports, ["{service: {account: A, subject: svc}}", "{stream: {account: A, subject: str}}"]);
        let mut text = format!(
            "accounts {{ A {{ users: [{}{{user: fixed, password: fixed}}], exports: [{exports}] }}, \
             B {{ users: [{}{{user: other, password: other}}], imports: [{imports}] }} }}\n",
            of(0),
            of(1)
        );
        if let Some(stand_in) = stand_in {
            writeln!(text, "no_auth_user: u{stand_in}").unwrap();
        }
        text
    }

    fn asks(&self) -> bool {
        !matches!(self, Self::Open)
    }
}

/// Everything that somebody might present.
fn proofs() -> Vec<String> {
    let mut all = vec![String::new()];
    for password in 0..PASSWORDS {
        all.push(format!(",\"auth_token\":\"t{password}\""));
        all.extend((0..USERS).map(|user| format!(",\"user\":\"u{user}\",\"pass\":\"p{password}\"")));
    }
    all.push(",\"user\":\"fixed\",\"pass\":\"fixed\"".to_owned());
    all
}

/// A connection that was accepted with a proof.
struct Joined {
    peer: Peer,
    account: AccountName,
}

fn join(site: &Site, proof: &str) -> Option<Joined> {
    let mut peer = site.broker.raw();
    peer.send(format!("CONNECT {}{proof}}}\r\nPING\r\n", QUIET.trim_end_matches('}')));
    let told = peer.line();
    if told != "PONG" {
        assert_eq!(told, "-ERR 'Authorization Violation'", "{proof}");
        return None;
    }
    let cid = peer.info()["client_id"].as_u64().unwrap();
    let connection = site.broker.running.broker.connections.find(cid).unwrap();
    Some(Joined { account: connection.tenant().name.clone(), peer })
}

/// What a connection may do, as it is told.
fn transcript(peer: &mut Peer) -> String {
    peer.send("SUB x 1\r\nSUB y 2\r\nPUB x 1\r\na\r\nPUB y 1\r\nb\r\nUNSUB 1\r\nUNSUB 2\r\n");
    String::from_utf8(peer.fenced()).unwrap().replace("PING\r\n", "")
}

/// What crosses the border, as far as accounts are there.
fn crossings(site: &Site) -> Vec<String> {
    let tenants = &site.broker.running.broker.tenants;
    let all = ["$G", "A", "B"].into_iter().filter_map(|name| tenants.find(&AccountName::new(name)));
    let mut found: Vec<String> = all
        .flat_map(|tenant| {
            let (name, list) = (tenant.name.clone(), tenant.crossings.list());
            list.into_iter().map(move |one| format!("{name} {:?} {} {}", one.kind, one.exporter, one.export.as_str()))
        })
        .collect();
    found.sort_unstable();
    found
}

fn check(old: &Model, new: &Model) {
    let site = Site::start(&old.text());
    let mut before: Vec<(String, Joined)> =
        proofs().into_iter().filter_map(|proof| Some((proof.clone(), join(&site, &proof)?))).collect();
    let valid = config::load_text(&format!("listen: \"127.0.0.1:-1\"\n{}", new.text()), "model").is_ok();
    assert_eq!(
        site.reload(&new.text()).is_ok(),
        valid,
        "what cannot be started with cannot be reloaded, and only that"
    );
    let now = if valid { new } else { old };
    let fresh = Site::start(&now.text());

    assert_eq!(crossings(&site), crossings(&fresh));
    for proof in proofs() {
        let both = [join(&site, &proof), join(&fresh, &proof)];
        assert_eq!(both[0].is_some(), both[1].is_some(), "login with {proof:?}");
        let [Some(mut one), Some(mut other)] = both else { continue };
        assert_eq!(one.account, other.account, "account of {proof:?}");
        assert_eq!(transcript(&mut one.peer), transcript(&mut other.peer), "rights of {proof:?}");
    }
    for (proof, joined) in &mut before {
        let expected = join(&fresh, proof).filter(|fresh| fresh.account == joined.account);
        // What was sent where nobody was asked is not known any more, and where nobody is asked names mean nothing.
        let certain = old.asks() && now.asks();
        joined.peer.try_send("PING\r\n");
        match expected {
            Some(mut expected) if certain || joined.peer.is_open() => {
                joined.peer.expect("PONG\r\n");
                assert_eq!(transcript(&mut joined.peer), transcript(&mut expected.peer), "rights of {proof:?}");
            }
            Some(_) => {}
            None => assert!(!joined.peer.is_open(), "{proof:?} would not be let in here any more"),
        }
    }
}

fn cases() -> u32 {
    std::env::var("CORDON_RELOAD_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_reloaded_broker_is_like_a_fresh_one((old, new) in (model(), model())) {
        if config::load_text(&format!("listen: \"127.0.0.1:-1\"\n{}", old.text()), "model").is_ok() {
            check(&old, &new);
        }
    }
}
