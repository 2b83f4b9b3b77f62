//! The attacker: a process that does one thing at a fixed rate for a fixed time to a server on this machine, and then says
//! what it has done.

mod flood;
mod hostile;
mod trickle;

use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use cordon_accounts::key::Seed;
use serde::{Deserialize, Serialize};

use crate::link::Dialer;
use crate::process::{cpu_seconds, raise_file_limit};
use crate::tenancy::Identity;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Connects and says nothing until it is thrown out.
    Silent,
    /// Sends a TLS ClientHello byte by byte.
    SlowHello,
    /// Sends CONNECT byte by byte.
    SlowConnect,
    /// Sends a line that does not end.
    Oversized,
    /// Shows a user's JWT with a signature over another nonce.
    Signature,
    /// Guesses a user's password.
    Password,
    /// Makes a TLS handshake and goes.
    Handshake,
    /// Publishes to very many subscriptions of its own account.
    FanOut,
    /// Subscribes and unsubscribes.
    Churn,
    /// Publishes much to a connection of its own that reads nothing.
    SlowReader,
}

/// What the attacker is told.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// What to do.
    pub(crate) kind: Kind,
    /// To whom: a loopback address.
    pub(crate) target: SocketAddr,
    /// How often.
    pub(crate) per_second: u32,
    /// How many at once, at most.
    pub(crate) at_once: usize,
    /// From how many loopback addresses.
    pub(crate) addresses: u16,
    /// On which processor alone; any when there is none to spare.
    pub(crate) processor: Option<usize>,
    /// How long.
    pub(crate) seconds: f64,
    /// A user that it is, or whose JWT it has seen.
    pub(crate) known: Option<Known>,
    /// The server's certificate.
    pub(crate) certificate: Option<PathBuf>,
}

/// A user as it is handed to the attacker: made for this run, and worth nothing after it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Known {
    jwt: String,
    seed: String,
}

/// What the attacker has done.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Tally {
    /// Connections, messages or subscriptions, whatever it does.
    pub(crate) attempts: u64,
    /// Connections that the server ended.
    pub(crate) closed: u64,
    /// What it used itself.
    pub(crate) cpu_seconds: f64,
}

/// When the attempts of an order are due.
#[derive(Clone, Copy)]
struct Pace {
    start: Instant,
    length: Duration,
    per_second: f64,
}

impl Known {
    /// Hands over a user with a JWT.
    ///
    /// # Errors
    ///
    /// When it has a password instead.
    pub(crate) fn of(identity: &Identity) -> Result<Self> {
        match identity {
            Identity::Jwt { jwt, seed } => Ok(Self { jwt: jwt.clone(), seed: seed.to_text().to_string() }),
            Identity::Password { .. } => anyhow::bail!("a user with a password has no JWT"),
        }
    }
}

impl Order {
    fn pace(&self) -> Result<Pace> {
        let length = Duration::try_from_secs_f64(self.seconds)?;
        Ok(Pace { start: Instant::now(), length, per_second: f64::from(self.per_second) })
    }

    /// Where attempt `number` comes from: addresses that the tenant does not use.
    fn source(&self, number: u64) -> Ipv4Addr {
        let index = (number % u64::from(self.addresses.clamp(1, 250))) as u8;
        Ipv4Addr::new(127, 0, 1, index + 1)
    }

    fn identity(&self) -> Result<Identity> {
        let known = self.known.as_ref().context("the order names no user")?;
        Ok(Identity::Jwt { jwt: known.jwt.clone(), seed: Seed::parse(&known.seed)? })
    }

    /// How the attacker connects as a tenant.
    fn dialer(&self) -> Result<Dialer> {
        Ok(Dialer { address: self.target, tls: None, identity: Some(Arc::new(self.identity()?)) })
    }
}

impl Pace {
    fn is_over(&self) -> bool {
        self.start.elapsed() >= self.length
    }

    /// How many attempts are due by now.
    #[expect(clippy::cast_sign_loss, reason = "time does not run backwards")]
    fn due(&self) -> u64 {
        (self.start.elapsed().min(self.length).as_secs_f64() * self.per_second) as u64
    }

    /// When attempt `number`, from 0, is due.
    fn time_of(&self, number: u64) -> Instant {
        self.start + Duration::from_secs_f64(number as f64 / self.per_second.max(1.0))
    }
}

/// Does what the order in `file` says, and prints the [`Tally`].
///
/// # Errors
///
/// When the order cannot be read or carried out at all.
pub(crate) fn carry_out(file: &Path) -> Result<()> {
    let order: Order = serde_json::from_slice(&fs::read(file)?).context("the order cannot be read")?;
    ensure!(order.target.ip().is_loopback(), "only servers on this machine are attacked");
    raise_file_limit();
    if let Some(processor) = order.processor {
        super::apart::stay_on(processor);
    }
    let tally = match order.kind {
        Kind::Silent | Kind::SlowHello | Kind::SlowConnect => trickle::run(&order),
        Kind::Oversized | Kind::Signature | Kind::Password | Kind::Handshake => flood::run(&order),
        Kind::FanOut => hostile::fan_out(&order),
        Kind::Churn => hostile::churn(&order),
        Kind::SlowReader => hostile::slow_reader(&order),
    };
    let tally = Tally { cpu_seconds: cpu_seconds(std::process::id())?, ..tally? };
    Ok(std::io::stdout().write_all(&serde_json::to_vec(&tally)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attacks_come_from_loopback_addresses_that_the_tenant_does_not_use() {
        let order = |addresses| Order {
            kind: Kind::Silent,
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            per_second: 1,
            at_once: 1,
            addresses,
            processor: None,
            seconds: 1.0,
            known: None,
            certificate: None,
        };
        for addresses in [0, 1, 4, 250, u16::MAX] {
            let sources: std::collections::BTreeSet<_> =
                (0..1_000).map(|number| order(addresses).source(number)).collect();
            assert_eq!(sources.len(), usize::from(addresses.clamp(1, 250)));
            assert!(sources.iter().all(|source| source.is_loopback() && *source != Ipv4Addr::LOCALHOST));
        }
    }
}
