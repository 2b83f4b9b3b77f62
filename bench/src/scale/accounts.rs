//! Ten thousand accounts pushed to a running server, one after the other in place; then users of a thousand of them
//! connect and talk; then the server is killed and started again, until users of random accounts can talk.
//!
//! A server learns of a user only when it connects: each account has ten, of which the sample uses two.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};

use super::stage::{Meter, Stage, with_output};
use super::{Measure, Scale};
use crate::contender::Running;
use crate::histogram::Histogram;
use crate::inbox::Inbox;
use crate::link::{Dialer, Link, PATIENCE, Received};
use crate::process::rss_kib;
use crate::realm::Realm;
use crate::security::{Own, Security};
use crate::tenancy::Identity;
use crate::wire::Frame;

pub(super) const SCALE: Scale = Scale {
    name: "accounts_10k",
    title: "10,000 accounts of ten users each, pushed over `$SYS.REQ.CLAIMS.UPDATE`",
    run,
};

const ACCOUNTS: usize = 10_000;
const USERS: usize = 10;
const SAMPLE: usize = 1_000;
/// Accounts that are tried after the restart.
const AFTERWARDS: usize = 20;
/// The same accounts are chosen in every run.
const CHOICE: u64 = 11;
/// Nobody takes longer to come back.
const RETURN_MAX: Duration = Duration::from_mins(1);

fn run(stage: &Stage<'_>) -> Result<Vec<Measure>> {
    let realm = Realm::create(stage.size(ACCOUNTS, 200), stage.folder())?;
    let security = Security::Own(Own { lines: realm.pushed(), tls: None, users: vec![realm.system_user()?] });
    let mut server = stage.start(&security)?;
    let measured = measure(stage, &mut server, &security, &realm);
    with_output(&mut server, measured)
}

fn measure(stage: &Stage<'_>, server: &mut Running, security: &Security, realm: &Realm) -> Result<Vec<Measure>> {
    let accounts = stage.size(ACCOUNTS, 200);
    let mut random = StdRng::seed_from_u64(CHOICE);
    let mut system = security.dialer(server.address(), 0).connect("")?;
    let meter = Meter::start(server)?;
    realm.push_all(&mut system)?;
    let mut rows = vec![
        Measure::more("accounts pushed per second", accounts as f64 / meter.seconds()),
        Measure::less("server CPU per push, µs", meter.cpu()? / accounts as f64 * 1e6),
        Measure::less("memory per pushed account, bytes", meter.memory()? / accounts as f64),
    ];

    let sample = stage.size(SAMPLE, 50);
    let pairs = pairs(realm, accounts, sample, &mut random)?;
    let meter = Meter::start(server)?;
    let mut first_connects = Histogram::default();
    let mut open = Vec::new();
    for [listener, speaker] in &pairs {
        let start = Instant::now();
        let links = talk(server, listener, speaker)?;
        first_connects.record(start.elapsed());
        open.push(links);
    }
    rows.extend([
        Measure::less("two users of an account connect and talk, p50, ms", first_connects.percentile_us(0.5) / 1e3),
        Measure::less("the same, p99, ms", first_connects.percentile_us(0.99) / 1e3),
        Measure::less("server CPU for it, ms", meter.cpu()? / sample as f64 * 1e3),
        Measure::less("memory per account in use with two connections, KiB", meter.memory()? / sample as f64 / 1024.0),
        Measure::less("memory then, MiB", rss_kib(server.pid())? / 1024.0),
    ]);
    drop(open);

    let chosen = self::pairs(realm, accounts, AFTERWARDS, &mut random)?;
    let start = Instant::now();
    server.restart(security)?;
    let mut first = None;
    for [listener, speaker] in &chosen {
        let links = until(start + RETURN_MAX, || talk(server, listener, speaker))?;
        first.get_or_insert_with(|| start.elapsed());
        drop(links);
    }
    rows.push(Measure::less(
        "killed, started, a user of a random account talks, ms",
        first.unwrap_or_default().as_secs_f64() * 1e3,
    ));
    rows.push(Measure::less("memory after the restart, MiB", rss_kib(server.pid())? / 1024.0));
    Ok(rows)
}

/// Two different users of each of `count` random accounts.
fn pairs(realm: &Realm, accounts: usize, count: usize, random: &mut StdRng) -> Result<Vec<[Arc<Identity>; 2]>> {
    (0..count)
        .map(|_| {
            let account = random.gen_range(0..accounts);
            let users = (0..USERS).map(|_| realm.user(account)).collect::<Result<Vec<_>>>()?;
            let mut chosen =
                rand::seq::index::sample(random, USERS, 2).into_iter().filter_map(|index| users.get(index));
            chosen.next().cloned().zip(chosen.next().cloned()).map(|(one, other)| [one, other]).context("too few users")
        })
        .collect()
}

/// One user subscribes, another of the same account publishes, and the message must come.
fn talk(server: &Running, listener: &Arc<Identity>, speaker: &Arc<Identity>) -> Result<(Link, Link)> {
    let dialer =
        |user: &Arc<Identity>| Dialer { address: server.address(), tls: None, identity: Some(Arc::clone(user)) };
    let mut listener = dialer(listener).connect_idle("SUB bench.talk 1\r\n")?;
    let speaker = dialer(speaker).connect_idle("PUB bench.talk 5\r\nhello\r\n")?;
    let mut inbox = Inbox::new();
    inbox.load(&listener.take_pending());
    let mut came = false;
    while !came {
        inbox.frames(|frame| {
            match frame {
                Frame::Message(message) if message.payload == b"hello" && !came => came = true,
                Frame::Message(_) => bail!("a user got what was not sent to it"),
                _ => {}
            }
            Ok(())
        })?;
        if !came && !matches!(inbox.fill(&mut listener)?, Received::Bytes(_)) {
            bail!("a message did not come within {} s", PATIENCE.as_secs());
        }
    }
    Ok((listener, speaker))
}

/// Tries again and again, with little pauses.
fn until<T>(end: Instant, attempt: impl Fn() -> Result<T>) -> Result<T> {
    loop {
        match attempt() {
            Ok(done) => return Ok(done),
            Err(error) if Instant::now() > end => return Err(error.context("the server did not come back in time")),
            Err(_) => thread::sleep(Duration::from_millis(2)),
        }
    }
}
