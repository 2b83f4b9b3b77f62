//! Containment without a model, and while claims change: a message names its account, and turns up in another one
//! only if an import that covers it was in force at some moment of its flight.
//!
//! The accounts stand in a ring. Each may import a stream and a service of the next one, so that every account has
//! neighbours it may meet and others that it never may. One thread pushes claims that give up and take back exports
//! and imports; one thread for each account publishes and collects.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::isolation::sign::{Keys, connect_line};
use crate::isolation::site::Site;
use crate::isolation::wire::{Item, Wire};
use crate::model::account::Scope;
use crate::model::{Account, Export, Import, Kind, Signer, User};

/// Accounts in the ring.
const ACCOUNTS: usize = 4;
/// Messages between two fences.
const BATCH: usize = 6;

/// What came of a race.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Messages published.
    pub published: usize,
    /// Messages that passed a border.
    pub crossed: usize,
    /// Messages that did not pass a border that was closed all the while.
    pub held: usize,
    /// Messages that passed where nothing let them, or did not pass where something did all the while.
    pub faults: Vec<String>,
}

/// From when until when something may have been.
type Span = (Instant, Instant);

/// A switch that is turned while others look: when it surely was on, and when it surely was off.
#[derive(Debug, Default)]
struct Switch {
    on: Vec<Span>,
    off: Vec<Span>,
}

impl Switch {
    fn surely(spans: &[Span], within: Span) -> bool {
        spans.iter().any(|(from, until)| *from <= within.0 && within.1 <= *until)
    }
}

/// One account's exports and imports, each all or none.
#[derive(Debug)]
struct Sharing {
    exports: bool,
    imports: bool,
    since: Instant,
    exporting: Switch,
    importing: Switch,
}

impl Sharing {
    /// The state until now has surely been since the last change.
    fn close_spans(&mut self, now: Instant) {
        let span = (self.since, now);
        for (is_on, switch) in [(self.exports, &mut self.exporting), (self.imports, &mut self.importing)] {
            if is_on { switch.on.push(span) } else { switch.off.push(span) }
        }
    }
}

/// What one account published and got.
#[derive(Debug, Default)]
struct Log {
    sent: Vec<Span>,
    /// Account and number of messages, and the subject they came on.
    got: BTreeSet<(usize, usize, String)>,
    faults: Vec<String>,
}

/// Races so many pushes against messages.
pub fn race(site: &mut Site, seed: u64, pushes: usize) -> Outcome {
    let mut random = StdRng::seed_from_u64(seed);
    let mut keys = Keys::new(ACCOUNTS);
    let mut sharing: Vec<Sharing> = (0..ACCOUNTS).map(|index| publish_claims(site, &mut keys, index)).collect();
    let mut pairs: Vec<[Wire; 2]> =
        (0..ACCOUNTS).map(|index| [0, 1].map(|_| connect(site, &mut keys, index))).collect();
    for [_, collector] in &mut pairs {
        collector.send("SUB > 1\r\n");
        assert_eq!(collector.fence(), []);
    }
    let over = AtomicBool::new(false);
    let mut logs: Vec<Log> = std::thread::scope(|scope| {
        let over = &over;
        let threads: Vec<_> =
            pairs.iter_mut().enumerate().map(|(index, pair)| scope.spawn(move || talk(index, pair, over))).collect();
        for _ in 0..pushes {
            let index = random.gen_range(0..ACCOUNTS);
            let (exports, imports) = (random.gen_bool(0.6), random.gen_bool(0.6));
            let begun = Instant::now();
            sharing[index].close_spans(begun);
            (sharing[index].exports, sharing[index].imports) = (exports, imports);
            push(site, &mut keys, index, exports, imports);
            sharing[index].since = Instant::now();
        }
        over.store(true, Ordering::Release);
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    // The others may have gone on when a collector last looked.
    for (index, (log, [_, collector])) in logs.iter_mut().zip(&mut pairs).enumerate() {
        collector.fence().into_iter().for_each(|item| log.take(index, item));
    }
    let now = Instant::now();
    for one in &mut sharing {
        one.close_spans(now);
    }
    let mut outcome = Outcome::default();
    for log in &mut logs {
        outcome.faults.append(&mut log.faults);
    }
    judge(&logs, &sharing, &mut outcome);
    site.delete(&keys.names());
    outcome
}

fn publish_claims(site: &mut Site, keys: &mut Keys, index: usize) -> Sharing {
    push(site, keys, index, true, true);
    let since = Instant::now();
    Sharing { exports: true, imports: true, since, exporting: Switch::default(), importing: Switch::default() }
}

fn push(site: &mut Site, keys: &mut Keys, index: usize, exports: bool, imports: bool) {
    let mut account = Account { name: keys.names()[index].clone(), ..Account::default() };
    if exports {
        account.exports = vec![Export::public(Kind::Stream, "t.>"), Export::public(Kind::Service, "s.>")];
    }
    if imports {
        let from = (index + 1) % ACCOUNTS;
        let import = |kind, remote: &str, local: &str| {
            let (remote, local) = (remote.to_owned(), local.to_owned());
            Import { kind, from, remote, local, legacy: false, activation: None }
        };
        account.imports = vec![import(Kind::Stream, "t.>", "in.t.>"), import(Kind::Service, "s.>", "out.s.>")];
    }
    let issued_at = site.tick();
    let token = keys.account(index, &account, &site.operator, issued_at);
    assert!(site.push(&token), "{}", site.log());
}

fn connect(site: &Site, keys: &mut Keys, account: usize) -> Wire {
    let own = Some(Scope::default());
    let user = User {
        id: account,
        name: String::new(),
        account,
        signer: Signer::Identity,
        own,
        issued_at: 1_700_000_000,
        expires: 0,
        bearer: false,
    };
    let (jwt, seed) = keys.user(&user);
    let mut wire = Wire::open(site.address);
    let line = connect_line(&wire.nonce, &jwt, Some(&seed), true, false);
    wire.send(line);
    assert_eq!(wire.fence(), []);
    wire
}

/// Publishes and collects until the race is over.
fn talk(index: usize, [publisher, collector]: &mut [Wire; 2], over: &AtomicBool) -> Log {
    let mut log = Log::default();
    loop {
        let last = over.load(Ordering::Acquire);
        let mut text = String::new();
        let first = log.sent.len();
        for number in first..first + BATCH {
            let subject = ["t.x", "out.s.x", "u.x"][number % 3];
            let payload = format!("{index}.{number}");
            write!(text, "PUB {subject} {}\r\n{payload}\r\n", payload.len()).unwrap();
        }
        let begun = Instant::now();
        publisher.send(text);
        let items = publisher.fence();
        let span = (begun, Instant::now());
        log.sent.extend([span; BATCH]);
        log.faults.extend(items.iter().map(|item| format!("publisher {index} is told {item:?}")));
        for item in collector.fence() {
            log.take(index, item);
        }
        if last {
            return log;
        }
    }
}

impl Log {
    fn take(&mut self, index: usize, item: Item) {
        match item {
            Item::Message { subject, .. } if subject.starts_with("$SYS.") => {}
            Item::Message { subject, payload, .. } => {
                let read =
                    payload.split_once('.').and_then(|(from, number)| Some((from.parse().ok()?, number.parse().ok()?)));
                match read {
                    Some((from, number)) if self.got.insert((from, number, subject.clone())) => {}
                    _ => {
                        self.faults.push(format!("account {index} gets `{payload}` on {subject} twice or from nobody"));
                    }
                }
            }
            other => self.faults.push(format!("collector {index} is told {other:?}")),
        }
    }
}

/// Holds what each account got against when it may have.
fn judge(logs: &[Log], sharing: &[Sharing], outcome: &mut Outcome) {
    for (from, log) in logs.iter().enumerate() {
        outcome.published += log.sent.len();
        // Whoever takes a stream stands before its exporter in the ring, whoever serves stands behind.
        let (before, behind) = ((from + ACCOUNTS - 1) % ACCOUNTS, (from + 1) % ACCOUNTS);
        for (number, span) in log.sent.iter().enumerate() {
            let (way, subject) = match number % 3 {
                0 => (Some((from, before, before)), "in.t.x"),
                1 => (Some((behind, from, behind)), "s.x"),
                _ => (None, ""),
            };
            for (to, other) in logs.iter().enumerate().filter(|(to, _)| *to != from) {
                let seen: Vec<_> =
                    other.got.range((from, number, String::new())..(from, number + 1, String::new())).collect();
                let Some((exporter, importer, _)) = way.filter(|(_, _, receiver)| *receiver == to) else {
                    outcome.fault(!seen.is_empty(), || format!("{from} never reaches {to}, but {seen:?}"));
                    continue;
                };
                let (exporting, importing) = (&sharing[exporter].exporting, &sharing[importer].importing);
                let closed = Switch::surely(&exporting.off, *span) || Switch::surely(&importing.off, *span);
                let open = Switch::surely(&exporting.on, *span) && Switch::surely(&importing.on, *span);
                outcome.crossed += usize::from(!seen.is_empty());
                outcome.held += usize::from(closed && seen.is_empty());
                outcome.fault(closed && !seen.is_empty(), || {
                    format!("the border was closed, but {seen:?} of {from} is in {to}")
                });
                outcome.fault(open && seen.is_empty(), || {
                    format!("the border was open, but {number} of {from} is not in {to}")
                });
                outcome
                    .fault(seen.iter().any(|(_, _, on)| on != subject), || format!("{seen:?} is on another subject"));
            }
        }
    }
}

impl Outcome {
    fn fault(&mut self, is_fault: bool, what: impl FnOnce() -> String) {
        if is_fault {
            self.faults.push(what());
        }
    }
}
