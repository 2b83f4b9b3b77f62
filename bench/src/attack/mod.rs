//! What a tenant feels while others attack the server: its requests are timed quiet, during each attack, and quiet again.
//!
//! Rule: its p99 during an attack is at most twice its quiet one, the server's memory grows by no more than the attack's
//! bound, and no message is lost. The attacker is a process of its own ([`assault`]) with a fixed rate, on a processor
//! that the tenant does not use ([`apart`]), and gives way to the server there: in truth it is another machine.
//!
//! To add an attack: say in [`all`] what it does and how much it may cost, and in `assault` how it is done.

mod apart;
pub(crate) mod assault;
mod episode;
mod ground;
mod report;

use std::io::Write as _;

use anyhow::{Result, bail};

use self::assault::Kind;
pub(crate) use self::episode::How;
use self::ground::Ground;
pub(crate) use self::report::{Row, markdown, save};
use crate::contender::Contender;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
/// Whatever happens: 10,000 remembered connections, 65,536 remembered events, tables of addresses, pools of the allocator.
const REMEMBERED: u64 = 48 * MIB;
/// A plain connection that has proved nothing, of Cordon's `limits.rs`: `FIRST_READ` and `MAX_CONTROL_LINE` of input,
/// `SMALL_CHUNK` of output, and as much for its task.
const UNPROVED: u64 = 20 * KIB;
/// What TLS adds: a handshake's messages and keys.
const HANDSHAKE: u64 = 64 * KIB;
/// The memory of one argon2id comparison; half as many run at once as there are cores.
const HASHING: u64 = 19 * MIB;
/// `MAX_PENDING`: what may wait for one receiver.
const PENDING: u64 = 64 * MIB;

/// One attack.
#[derive(Clone, Copy)]
pub(crate) struct Attack {
    /// What `--attack` calls it.
    pub(crate) name: &'static str,
    /// What the table calls it.
    pub(crate) title: &'static str,
    /// What it does.
    kind: Kind,
    /// What it is done to.
    ground: Ground,
    /// Attempts a second.
    per_second: u32,
    /// Attempts under way at once, at most.
    at_once: usize,
    /// Loopback addresses that it comes from.
    addresses: u16,
    /// Bytes by which the server may grow.
    bound: u64,
    /// Whether nats-server can be attacked in the same way.
    with_nats: bool,
}

/// All attacks, in the order of the table.
pub(crate) fn all() -> Vec<Attack> {
    let before = |name, title, kind, per_second, at_once: usize, each: u64| Attack {
        name,
        title,
        kind,
        ground: Ground::Jwt,
        per_second,
        at_once,
        addresses: 250,
        bound: REMEMBERED + at_once as u64 * each,
        with_nats: true,
    };
    let tls = |attack: Attack| Attack {
        ground: Ground::JwtTls,
        bound: attack.bound + attack.at_once as u64 * HANDSHAKE,
        ..attack
    };
    let hashed = |attack: Attack, ground, with_nats| Attack {
        ground,
        with_nats,
        bound: attack.bound + (crate::setup::cores() as u64 / 2).max(1) * HASHING,
        ..attack
    };
    let tenant = |name, title, kind, per_second, bound| Attack {
        bound: REMEMBERED + bound,
        ..before(name, title, kind, per_second, 1, 0)
    };
    vec![
        before("silent", "connections that say nothing", Kind::Silent, 2_000, 10_000, UNPROVED),
        tls(before("slow_hello", "TLS, a ClientHello byte by byte", Kind::SlowHello, 500, 1_000, UNPROVED)),
        before("slow_connect", "CONNECT byte by byte", Kind::SlowConnect, 500, 1_000, UNPROVED),
        before("oversized", "lines of 64 KiB before CONNECT", Kind::Oversized, 500, 64, UNPROVED),
        before("signatures", "users' JWTs with wrong signatures", Kind::Signature, 1_000, 64, UNPROVED),
        Attack {
            addresses: 4,
            ..before("few_addresses", "the same from four addresses", Kind::Signature, 2_000, 64, UNPROVED)
        },
        hashed(
            before("passwords_bcrypt", "wrong passwords, bcrypt (cost 11)", Kind::Password, 200, 512, UNPROVED),
            Ground::Bcrypt,
            true,
        ),
        hashed(
            before("passwords_argon2id", "wrong passwords, argon2id", Kind::Password, 200, 512, UNPROVED),
            Ground::Argon2id,
            false,
        ),
        tls(before("handshakes", "TLS handshakes that end at once", Kind::Handshake, 500, 64, UNPROVED)),
        tenant("fan_out", "a tenant: 200/s to each of 1,000 of its subscriptions", Kind::FanOut, 200, PENDING),
        tenant("churn", "a tenant: 20,000/s SUB and UNSUB", Kind::Churn, 20_000, 16 * MIB),
        tenant("slow_reader", "a tenant: 32 MB/s to one that reads nothing", Kind::SlowReader, 2_000, 2 * PENDING),
    ]
}

/// The attacks of `names`, or all when there are none.
///
/// # Errors
///
/// When a name is unknown; with those that exist.
pub(crate) fn chosen(names: &[String]) -> Result<Vec<Attack>> {
    let all = all();
    if let Some(unknown) = names.iter().find(|name| all.iter().all(|attack| attack.name != name.as_str())) {
        let known: Vec<_> = all.iter().map(|attack| attack.name).collect();
        bail!("there is no attack `{unknown}`; there are {}", known.join(", "));
    }
    Ok(all.into_iter().filter(|attack| names.is_empty() || names.iter().any(|name| name == attack.name)).collect())
}

/// Makes every attack on every contender in every round; the rows, and what failed.
pub(crate) fn measure(
    contenders: &[Contender],
    attacks: &[Attack],
    rounds: usize,
    how: How,
) -> (Vec<Row>, Vec<String>) {
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for attack in attacks {
            for (position, contender) in contenders.iter().enumerate() {
                if position > 0 && !attack.with_nats {
                    continue;
                }
                match episode::run(contender, attack, round, how) {
                    Ok(row) => rows.push(row),
                    Err(error) => failures.push(format!("{}, {}: {error:#}", attack.name, contender.name)),
                }
                let _ =
                    writeln!(std::io::stderr(), "round {}/{rounds}: {}, {}", round + 1, attack.name, contender.name);
            }
        }
    }
    (rows, failures)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_unknown_ones_refused() {
        let mut names: Vec<_> = all().iter().map(|attack| attack.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().len());
        assert!(chosen(&["no_such".to_owned()]).is_err());
        assert_eq!(chosen(&[names[0].to_owned()]).unwrap().len(), 1);
        assert_eq!(chosen(&[]).unwrap().len(), all().len());
    }
}
