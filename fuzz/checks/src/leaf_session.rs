//! A leaf connection, accepted or dialled: any operations in any order, before the account is joined and after it.
//!
//! The first byte chooses which end the peer plays (a leaf node of an open broker, of one with users, of one where
//! connections are compressed, or the hub that this broker dials), the size of the pieces, and whether the handshake is
//! done before; the rest is what the peer says, byte for byte, and under compression as it is or in blocks. In the same account is a client that hears everything and publishes while the peer is there.

use std::cell::OnceCell;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use cordon_accounts::claims::{PermissionsClaim, SubjectsClaim};
use cordon_accounts::name::AccountName;
use cordon_accounts::permissions::Permissions;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, ConfiguredUsersBuilder, Credential};
use cordon_server::BrokerOptions;
use cordon_server::leaf::compression::Compression;
use cordon_server::leaf::info::{self, LeafConnect, LeafInfo};
use cordon_server::leaf::options::{LeafListen, LeafOptions, RemoteOptions, RemoteUrl};
use cordon_server::leaf::parser::{self, Frame, Rules, Step};
use cordon_server::leaf::{accept, remote};
use cordon_server::s2::{self, incoming::Incoming};
use cordon_server::tracing_messages::Wish;

use crate::input::Input;
use crate::naive;
use crate::peer::{Client, Rig, stranger};
use crate::s2_stream::Gathered;

/// Bounds that are reached soon.
const CONTROL_LINE: usize = 256;
const PAYLOAD: usize = 256;
const SUBSCRIPTIONS: usize = 32;
/// What the client in the same account publishes.
const BODY: &[u8] = b"of the client";
const PUBLISHED: [&[u8]; 4] = [b"open.a", b"open.b.c", b"closed.d", b"open.work"];
/// How a peer gets past the handshake.
const CONNECT: &[u8] = b"CONNECT {\"name\":\"n\",\"cluster\":\"c\",\"headers\":true,\"user\":\"a\",\"pass\":\"a\"}\r\n";
const ASK: &[u8] = b"INFO {\"client_id\":1,\"compression\":\"s2_fast\"}\r\n";
const GREETING: &[u8] = b"INFO {\"server_id\":\"H\",\"headers\":true,\"max_payload\":1024,\"client_id\":5,\
    \"nonce\":\"AAAAAAAAAAAAAAA\",\"info_on_connect\":true,\"leafnode_urls\":[]}\r\n\
    INFO {\"connect_info\":true,\"headers\":true,\"client_id\":5,\"remote_account\":\"A\",\"leafnode_urls\":[]}\r\n";

thread_local! {
    static OPEN: OnceCell<Site> = const { OnceCell::new() };
    static CLOSED: OnceCell<Site> = const { OnceCell::new() };
    static COMPRESSED: OnceCell<Site> = const { OnceCell::new() };
    static DIALLED: OnceCell<Site> = const { OnceCell::new() };
}

/// A broker and those who are connected to it all the time.
struct Site {
    rig: Rig,
    kind: Kind,
    /// In the account that the peer joins.
    client: Client,
    /// In another one.
    stranger: Option<Client>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Open,
    Closed,
    Compressed,
    Dialled,
}

/// Panics when a leaf connection says something that it must not, or leaves something behind.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let size = [1, 7, 64, 1024][usize::from(choice >> 2 & 3)];
    let joined = choice & 16 != 0;
    let packed = choice & 32 != 0;
    match choice & 3 {
        0 => OPEN.with(|site| run(site.get_or_init(|| site_of(Kind::Open)), joined, false, input.rest(), size)),
        1 => CLOSED.with(|site| run(site.get_or_init(|| site_of(Kind::Closed)), joined, false, input.rest(), size)),
        2 => DIALLED.with(|site| run(site.get_or_init(|| site_of(Kind::Dialled)), joined, false, input.rest(), size)),
        _ => COMPRESSED.with(|site| {
            run(site.get_or_init(|| site_of(Kind::Compressed)), joined, packed, input.rest(), size);
        }),
    }
}

fn remote() -> RemoteOptions {
    RemoteOptions {
        account: AccountName::new("ACC-a"),
        deny_imports: vec!["denied.>".to_owned()],
        deny_exports: vec!["closed.>".to_owned()],
        compression: Compression::OFF,
        // Its task would dial; here each input is a connection of its own.
        disabled: true,
        ..RemoteOptions::new(vec![RemoteUrl::parse("nats-leaf://127.0.0.1:1").unwrap()])
    }
}

fn site_of(kind: Kind) -> Site {
    let leaf = if kind == Kind::Dialled {
        LeafOptions { listen: None, remotes: vec![Arc::new(remote())], write_deadline: None, write_timeout: None }
    } else {
        let mut listen = LeafListen::new(([127, 0, 0, 1], 0).into());
        if kind != Kind::Compressed {
            listen.compression = Compression::OFF;
        }
        LeafOptions { listen: Some(listen), remotes: Vec::new(), write_deadline: None, write_timeout: None }
    };
    let options = BrokerOptions {
        server_name: "own".to_owned(),
        max_control_line: CONTROL_LINE,
        max_payload: PAYLOAD,
        max_subscriptions: Some(SUBSCRIPTIONS),
        ping_interval: std::time::Duration::from_hours(1000),
        leaf: Arc::new(leaf),
        ..BrokerOptions::default()
    };
    let users = ["a", "w", "b"].map(|name| {
        let account = AccountName::new(if name == "b" { "ACC-b" } else { "ACC-a" });
        let mut user = ConfiguredUser::new(name, Credential::Password(name.to_owned().into()), account);
        if name == "a" {
            let open = || SubjectsClaim { allow: vec!["open.>".to_owned()], deny: vec!["open.no.>".to_owned()] };
            let claim = PermissionsClaim { publish: open(), subscribe: open(), ..PermissionsClaim::default() };
            user.permissions = Arc::new(Permissions::compile(&claim).unwrap());
        }
        user
    });
    let builder = ConfiguredUsers::builder();
    let users =
        if kind == Kind::Open { builder } else { users.into_iter().fold(builder, ConfiguredUsersBuilder::user) };
    let rig = Rig::new(options, users.build().unwrap());
    let client = rig.client("w", "SUB > 1\r\nSUB open.work q 2\r\n");
    let stranger = (kind != Kind::Open).then(|| rig.client("b", "SUB > 1\r\nSUB secret.of.b 2\r\n"));
    Site { rig, kind, client, stranger }
}

fn run(site: &Site, joined: bool, packed: bool, bytes: &[u8], size: usize) {
    let greeting = match (joined, site.kind) {
        (false, _) => b"".as_slice(),
        (true, Kind::Dialled) => GREETING,
        (true, _) => CONNECT,
    };
    let said = [greeting, bytes].concat();
    let script = match site.kind {
        Kind::Compressed if packed => [ASK, &pack(&said)].concat(),
        Kind::Compressed => [ASK, bytes].concat(),
        _ => said.clone(),
    };
    let mut heard_there = Vec::new();
    let published: Vec<u8> =
        PUBLISHED.iter().flat_map(|subject| [b"PUB ", *subject, b" 13\r\n", BODY, b"\r\n"].concat()).collect();
    let meanwhile = async || heard_there = site.client.exchange(&published).await;
    let dialled = site.kind == Kind::Dialled;
    let serve = move |stream, broker: Arc<cordon_server::Broker>| async move {
        if dialled {
            let ends = (stranger(), IpAddr::from(Ipv4Addr::LOCALHOST));
            let options = Arc::new(remote());
            let url = options.urls[0].clone();
            drop(remote::join_over(stream, ends, &broker, &options, url, &broker.stopping).await);
        } else {
            accept::serve(stream, stranger(), broker).await;
        }
    };
    let got = site.rig.talk_with(serve, script.chunks(size), meanwhile);
    let mut asked = Asked::of(&said);
    asked.infos += usize::from(site.kind == Kind::Compressed);
    let got = if site.kind == Kind::Compressed { unpacked(got) } else { got };
    heard_by_peer(site, &got, &asked);
    heard_there.extend(site.rig.block_on(site.client.exchange(b"")));
    heard_by_client(site, &heard_there, &asked);
    nothing_is_left(site);
}

/// Text as a stream of S2.
fn pack(text: &[u8]) -> Vec<u8> {
    let mut stream = snap::write::FrameEncoder::new(Vec::new());
    stream.write_all(text).unwrap();
    stream.into_inner().unwrap()
}

/// What was said before compression began, and after it.
fn unpacked(mut got: Vec<u8>) -> Vec<u8> {
    let Some(at) = got.windows(s2::MAGIC.len()).position(|window| window == s2::MAGIC) else { return got };
    let stream = got.split_off(at);
    let mut text = Gathered::default();
    let mut incoming = Incoming::new(None);
    incoming.feed(&stream, &mut text);
    while incoming.has_left() {
        incoming.resume(&mut text);
    }
    assert_eq!(incoming.error(), None, "what is said compressed can be read");
    got.extend(text.bytes);
    got
}

/// What the peer said, as far as it can have been read.
#[derive(Default)]
struct Asked {
    wanted: Vec<Vec<u8>>,
    sent: Vec<Vec<u8>>,
    /// Where reports about what it sent may go.
    reported: Vec<Vec<u8>>,
    pings: usize,
    infos: usize,
    /// A CONNECT had the right name and password.
    proved: bool,
}

impl Asked {
    fn of(script: &[u8]) -> Self {
        let mut asked = Self::default();
        // The widest rules that hold at any time.
        let rules = Rules { max_control_line: CONTROL_LINE * 16, max_payload: PAYLOAD };
        let mut rest = script;
        while let Ok(Step::Frame(frame, length)) = parser::next(rest, &rules) {
            match frame {
                Frame::Subscribe(subject, _) => asked.wanted.push(subject.to_vec()),
                Frame::Message(message) => {
                    asked.sent.push(message.subject.to_vec());
                    // A report is a publication of its own, on the subject that the header names.
                    let wish = message.body.get(..message.header_len).and_then(Wish::of).filter(Wish::is_valid);
                    asked.reported.extend(wish.map(|wish| wish.destination.to_vec()));
                }
                Frame::Ping => asked.pings += 1,
                Frame::Info(json) => asked.infos += usize::from(info::read::<LeafInfo>(json).is_ok()),
                Frame::Connect(json) => {
                    let connect = info::read::<LeafConnect>(json);
                    asked.proved |= connect.is_ok_and(|connect| connect.user == "a" && connect.password.is_some());
                }
                _ => {}
            }
            rest = &rest[length..];
        }
        asked
    }

    fn wants(&self, subject: &[u8]) -> bool {
        let subject = naive::tokens(subject);
        self.wanted.iter().any(|pattern| naive::matches(&naive::tokens(pattern), &subject))
    }
}

fn heard_by_peer(site: &Site, got: &[u8], asked: &Asked) {
    let (mut infos, mut connects, mut pongs, mut joined) = (0, 0, 0, 0);
    let mut rest = got;
    while !rest.is_empty() {
        let (line, after) = cut(rest).expect("every line ends");
        rest = after;
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        match words[0] {
            b"INFO" => {
                info::read::<LeafInfo>(&line[5..]).expect("INFO is JSON");
                infos += 1;
            }
            b"CONNECT" => {
                info::read::<LeafConnect>(&line[8..]).expect("CONNECT is JSON");
                connects += 1;
            }
            b"PONG" => pongs += 1,
            b"PING" => joined += 1,
            b"-ERR" => assert!(words[1].starts_with(b"'") && line.ends_with(b"'"), "an error is in quotes"),
            b"LS+" | b"LS-" => {
                assert!(matches!(words.len(), 2..=4), "interest has a form");
                assert_ne!(words[1], b"secret.of.b", "interest of another account");
                joined += 1;
            }
            b"LMSG" | b"HMSG" => {
                let (subject, body, after) = message(&words, rest);
                rest = after;
                joined += 1;
                // What is refused to the peer is told in the account that it joined.
                let reported = asked.reported.iter().any(|to| to == subject);
                assert!(body == BODY || is_told(subject) || reported, "only what the client published comes");
                assert!(asked.wants(subject), "`{}` was not asked for", String::from_utf8_lossy(subject));
                let allowed = match site.kind {
                    Kind::Open => true,
                    Kind::Closed | Kind::Compressed => {
                        subject.starts_with(b"open.") && !subject.starts_with(b"open.no.")
                    }
                    Kind::Dialled => !subject.starts_with(b"closed."),
                };
                // Answers of service imports pass whatever the lists say, as with nats-server.
                let passes = allowed || is_told(subject) || subject.starts_with(b"_R_.");
                assert!(passes, "`{}` may not pass", String::from_utf8_lossy(subject));
            }
            _ => panic!("an unknown line: {}", String::from_utf8_lossy(line)),
        }
    }
    assert!(pongs <= asked.pings, "a PONG without a PING");
    if site.kind == Kind::Dialled {
        assert!(infos == 0 && connects <= 1 && (asked.infos > 0 || joined + connects == 0));
    } else {
        assert!(connects == 0 && infos >= 1);
        let refused = site.kind != Kind::Open && !asked.proved;
        let least = 1 + usize::from(site.kind == Kind::Compressed);
        assert!(!refused || (infos <= least && joined + pongs == 0), "served without credentials");
    }
}

/// What a line announces: its subject, and the body that follows it.
fn message<'a>(words: &[&'a [u8]], rest: &'a [u8]) -> (&'a [u8], &'a [u8], &'a [u8]) {
    let size = words.last().and_then(|size| std::str::from_utf8(size).ok()).and_then(|size| size.parse().ok());
    let size: usize = size.expect("a message has a size");
    assert_eq!(rest.get(size..size + 2), Some(b"\r\n".as_slice()), "a message has the size that it says");
    (words[1], &rest[..size], &rest[size + 2..])
}

fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    Some((&bytes[..end], &bytes[end + 2..]))
}

/// Every message that a client got: its subject.
fn messages(got: &[u8]) -> Vec<&[u8]> {
    let (mut all, mut rest) = (Vec::new(), got);
    while let Some((line, after)) = cut(rest) {
        rest = after;
        let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
        if matches!(words[0], b"MSG" | b"HMSG") {
            let (subject, _, after) = message(&words, rest);
            all.push(subject);
            rest = after;
        }
    }
    all
}

/// What is refused to its own users a tenant is told, and nothing else.
fn is_told(subject: &[u8]) -> bool {
    subject == b"$SYS.ACCOUNT.SECURITY"
}

fn heard_by_client(site: &Site, got: &[u8], asked: &Asked) {
    for subject in messages(got) {
        let shown = String::from_utf8_lossy(subject);
        // Answers of service imports pass whatever the lists say, as with nats-server.
        if PUBLISHED.contains(&subject) || is_told(subject) || subject.starts_with(b"_R_.") {
            continue;
        }
        let sent = asked.sent.iter().chain(&asked.reported).any(|sent| sent == subject);
        assert!(sent, "`{shown}` was sent by nobody");
        let allowed = match site.kind {
            Kind::Open => true,
            Kind::Closed | Kind::Compressed => {
                asked.proved && subject.starts_with(b"open.") && !subject.starts_with(b"open.no.")
            }
            Kind::Dialled => !subject.starts_with(b"denied."),
        };
        assert!(allowed, "`{shown}` may not come in");
    }
    if let Some(stranger) = &site.stranger {
        let got = site.rig.block_on(stranger.exchange(b""));
        assert!(messages(&got).into_iter().all(is_told), "another account hears {}", String::from_utf8_lossy(&got));
    }
}

/// No connection and no interest outlives its session.
fn nothing_is_left(site: &Site) {
    let broker = site.rig.broker();
    assert!(broker.leafs.open.is_empty(), "a leaf connection is left");
    for tenant in broker.tenants.all() {
        assert!(tenant.leaf_connections().is_empty(), "a leaf connection of `{}` is left", tenant.name);
        if !tenant.is_system() {
            let held = [&site.client].into_iter().chain(&site.stranger);
            let expected = held.filter(|client| client.account == tenant.name.as_str()).count() * 2;
            assert_eq!(tenant.interest.len(), expected, "interest of `{}` is left", tenant.name);
        }
    }
}
