//! A client's session: any operations in any order, before CONNECT and after it, twice and under a lame duck.
//!
//! The first byte chooses the broker (open, with users, lame duck) and the size of the pieces; the rest is what the
//! client sends, byte for byte. What comes back is read frame by frame and held against what was asked for.

use std::cell::OnceCell;

use cordon_accounts::name::AccountName;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, Credential};
use cordon_server::BrokerOptions;
use cordon_server::connection::{Transport, handshake};
use cordon_server::protocol::Frame;
use cordon_server::protocol::connect::{ConnectOptions, Introduction};
use cordon_server::protocol::parser::{self, Rules, Step};
use tokio::net::UnixStream;

use crate::input::Input;
use crate::naive;
use crate::peer::{Rig, as_tcp, stranger};

/// Bounds that are reached soon.
const CONTROL_LINE: usize = 512;
const PAYLOAD: usize = 256;
const SUBSCRIPTIONS: usize = 16;

thread_local! {
    static OPEN: OnceCell<Rig> = const { OnceCell::new() };
    static CLOSED: OnceCell<(Rig, UnixStream)> = const { OnceCell::new() };
    static LAME: OnceCell<Rig> = const { OnceCell::new() };
}

/// Panics when a session says something that it must not, or leaves something behind.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let size = [1, 7, 64, 1024][usize::from(choice >> 2 & 3)];
    let bytes = input.rest();
    let asked = asked(bytes);
    match choice & 3 {
        0 | 1 => OPEN.with(|rig| open(rig.get_or_init(opened), bytes, size, &asked)),
        2 => CLOSED.with(|rig| closed(rig.get_or_init(with_users), bytes, size, &asked)),
        _ => LAME.with(|rig| open(rig.get_or_init(lame), bytes, size, &asked)),
    }
}

fn bounds() -> BrokerOptions {
    BrokerOptions {
        max_control_line: CONTROL_LINE,
        max_payload: PAYLOAD,
        max_subscriptions: Some(SUBSCRIPTIONS),
        // Those who only listen are not asked for life.
        ping_interval: std::time::Duration::from_hours(1000),
        ..BrokerOptions::default()
    }
}

fn opened() -> Rig {
    Rig::new(bounds(), ConfiguredUsers::builder().build().unwrap())
}

/// A broker that has said goodbye and goes on serving those who are there.
fn lame() -> Rig {
    let day = std::time::Duration::from_hours(24);
    let rig = Rig::new(
        BrokerOptions { lame_duck_grace: day, lame_duck_duration: 2 * day, ..bounds() },
        ConfiguredUsers::builder().build().unwrap(),
    );
    // Somebody is connected, so that it waits for a day; both are there as long as the thread.
    let (near, far) = rig.block_on(async { UnixStream::pair().unwrap() });
    let broker = rig.running.broker.clone();
    rig.block_on(async {
        tokio::spawn(handshake::serve(as_tcp(far), stranger(), Transport::Tcp, broker));
        read_until(&near, b"\r\n").await;
        // It stays on its way for longer than this waits.
        let quacking = rig.running.lame_duck();
        tokio::select! {
            biased;
            () = quacking => panic!("a lame duck waits"),
            () = tokio::task::yield_now() => {}
        }
    });
    std::mem::forget(near);
    rig
}

/// A broker with one user in each of two accounts, and a witness in the second.
fn with_users() -> (Rig, UnixStream) {
    let user = |name: &str| {
        let password = Credential::Password(name.to_owned().into());
        ConfiguredUser::new(name, password, AccountName::new(format!("ACC-{name}")))
    };
    let users = ConfiguredUsers::builder().user(user("a")).user(user("b")).build().unwrap();
    let rig = Rig::new(bounds(), users);
    let broker = rig.running.broker.clone();
    let near = rig.block_on(async {
        let (near, far) = UnixStream::pair().unwrap();
        tokio::spawn(handshake::serve(as_tcp(far), stranger(), Transport::Tcp, broker));
        let hello = b"CONNECT {\"user\":\"b\",\"pass\":\"b\",\"verbose\":false}\r\nSUB > 1\r\nPING\r\n";
        near.writable().await.unwrap();
        assert_eq!(near.try_write(hello).unwrap(), hello.len());
        read_until(&near, b"PONG\r\n").await;
        near
    });
    (rig, near)
}

async fn read_until(stream: &UnixStream, end: &[u8]) {
    let mut got = Vec::new();
    while !got.ends_with(end) {
        stream.readable().await.unwrap();
        drop(stream.try_read_buf(&mut got));
    }
}

/// What the client asked for, as far as it can have been read.
#[derive(Default)]
struct Asked<'a> {
    pings: usize,
    subscriptions: Vec<(&'a [u8], &'a [u8])>,
    /// A CONNECT had a right name and a password.
    proved: bool,
    /// It was the name of the witness, who then hears what is its own account's.
    as_witness: bool,
    /// Everything is well formed and accepted by a broker that asks for nothing.
    clean: bool,
}

fn asked(bytes: &[u8]) -> Asked<'_> {
    let mut asked = Asked { clean: true, ..Asked::default() };
    let mut rules = Rules { max_control_line: CONTROL_LINE, max_payload: PAYLOAD, headers: false };
    let mut options = ConnectOptions::default();
    let mut at = 0;
    loop {
        let (frame, length) = match parser::next(&bytes[at..], &rules) {
            Ok(Step::Frame(frame, length)) => (frame, length),
            Ok(Step::Incomplete(_)) => return asked,
            Err(_) => break,
        };
        at += length;
        match frame {
            Frame::Ping => asked.pings += 1,
            Frame::Subscribe(subscribe) => asked.subscriptions.push((subscribe.sid, subscribe.subject)),
            Frame::Connect(json) => {
                if !accepted(&mut options, json, &mut asked) {
                    break;
                }
                rules.headers = options.headers;
            }
            Frame::Info(json) if serde_json::from_slice::<serde::de::IgnoredAny>(json).is_err() => break,
            Frame::PeerError(_) => break,
            _ => {}
        }
    }
    asked.clean = false;
    asked
}

fn accepted(options: &mut ConnectOptions, json: &[u8], asked: &mut Asked<'_>) -> bool {
    let mut introduction = Introduction::default();
    if options.merge(json, &mut introduction).is_err() {
        return false;
    }
    let credentials = &introduction.credentials;
    let shown = String::from_utf8_lossy(json).to_ascii_lowercase();
    let user = credentials.user.as_deref().filter(|_| credentials.pass.is_some() && shown.contains("pass"));
    asked.proved |= matches!(user, Some("a" | "b"));
    asked.as_witness |= user == Some("b");
    let good = (0..=1).contains(&options.protocol) && (options.headers || !options.no_responders);
    // What a broker makes of other credentials is not the matter here.
    let plain = credentials.jwt.is_none() && credentials.nkey.is_none() && credentials.sig.is_none();
    asked.clean &= plain && credentials.proxy_sig.is_none();
    good && !credentials.account
}

fn open(rig: &Rig, bytes: &[u8], size: usize, asked: &Asked<'_>) {
    let before = rig.broker().connections.open().len();
    let got = rig.talk(bytes.chunks(size));
    let heard = heard(&got);
    assert!(heard.infos >= 1, "INFO comes first");
    delivered(&heard, asked);
    if asked.clean && !heard.fatal {
        assert_eq!(heard.pongs, asked.pings, "each PING has its PONG");
    } else {
        assert!(heard.pongs <= asked.pings, "a PONG without a PING");
    }
    nothing_is_left(rig, before);
}

fn closed(rig: &(Rig, UnixStream), bytes: &[u8], size: usize, asked: &Asked<'_>) {
    let (rig, witness) = rig;
    let got = rig.talk(bytes.chunks(size));
    let heard = heard(&got);
    delivered(&heard, asked);
    assert!(heard.pongs <= asked.pings, "a PONG without a PING");
    if !asked.proved {
        assert!(heard.pongs == 0 && heard.messages.is_empty() && heard.oks == 0, "served without credentials");
    }
    nothing_is_left(rig, 1);
    if asked.as_witness {
        // A PONG comes behind all that was queued, so nothing is left for the next round.
        return rig.block_on(async {
            witness.writable().await.unwrap();
            assert_eq!(witness.try_write(b"PING\r\n").unwrap(), 6);
            read_until(witness, b"PONG\r\n").await;
        });
    }
    let mut other = Vec::with_capacity(1 << 18);
    drop(witness.try_read_buf(&mut other));
    // What is refused to its own users a tenant is told, and nothing else.
    let told = |(_, subject): &(&[u8], &[u8])| *subject == b"$SYS.ACCOUNT.SECURITY";
    assert!(self::heard(&other).messages.iter().all(told), "another account hears {}", String::from_utf8_lossy(&other));
}

/// What came back, read frame by frame.
#[derive(Default)]
struct Heard<'a> {
    infos: usize,
    pongs: usize,
    oks: usize,
    /// An error that ends a connection, or one that may.
    fatal: bool,
    /// Subscription id and subject.
    messages: Vec<(&'a [u8], &'a [u8])>,
}

fn heard(got: &[u8]) -> Heard<'_> {
    let mut heard = Heard::default();
    let mut rest = got;
    while !rest.is_empty() {
        let end = rest.windows(2).position(|pair| pair == b"\r\n").expect("every line ends");
        let (line, after) = (&rest[..end], &rest[end + 2..]);
        rest = after;
        if let Some(json) = line.strip_prefix(b"INFO ") {
            serde_json::from_slice::<serde_json::Value>(json).expect("INFO is JSON");
            heard.infos += 1;
        } else if line == b"PONG" {
            heard.pongs += 1;
        } else if line == b"+OK" {
            heard.oks += 1;
        } else if let Some(text) = line.strip_prefix(b"-ERR ") {
            assert!(text.starts_with(b"'") && text.ends_with(b"'"), "an error is in quotes");
            heard.fatal |= !text.starts_with(b"'Permissions Violation") && !text.starts_with(b"'Invalid");
        } else if line != b"PING" {
            rest = message(line, rest, &mut heard);
        }
    }
    heard
}

fn message<'a>(line: &'a [u8], rest: &'a [u8], heard: &mut Heard<'a>) -> &'a [u8] {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let known = matches!((words.first(), words.len()), (Some(&b"MSG"), 4 | 5) | (Some(&b"HMSG"), 5 | 6));
    assert!(known, "an unknown line: {}", String::from_utf8_lossy(line));
    let size = words.last().and_then(|size| std::str::from_utf8(size).ok()).and_then(|size| size.parse().ok());
    let size: usize = size.expect("a message has a size");
    assert_eq!(rest.get(size..size + 2), Some(b"\r\n".as_slice()), "a message has the size that it says");
    heard.messages.push((words[2], words[1]));
    &rest[size + 2..]
}

fn delivered(heard: &Heard<'_>, asked: &Asked<'_>) {
    for (sid, subject) in &heard.messages {
        let wanted = asked
            .subscriptions
            .iter()
            .any(|(own, pattern)| own == sid && naive::matches(&naive::tokens(pattern), &naive::tokens(subject)));
        assert!(wanted, "`{}` came without a subscription", String::from_utf8_lossy(subject));
    }
}

/// No connection and no subscription outlives its session.
fn nothing_is_left(rig: &Rig, connections: usize) {
    let broker = rig.broker();
    assert_eq!(broker.connections.open().len(), connections, "a connection is left");
    for tenant in broker.tenants.all() {
        if !tenant.is_system() {
            let expected = usize::from(tenant.name.as_str() == "ACC-b");
            assert_eq!(tenant.interest.len(), expected, "a subscription of `{}` is left", tenant.name);
        }
    }
}
