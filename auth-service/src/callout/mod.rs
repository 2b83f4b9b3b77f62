//! Auth callout: an account's own service decides who connections are (`auth.md` section 9).
//!
//! ```text
//! decision of the mode -> is it the service's to make? -> request: signed, sealed if asked for
//!                      -> Callout (the broker carries it) -> answer: checked strictly -> Principal
//! ```
//!
//! The mode decides first, and the service of an account only where that account, or the configuration, says so.
//! Whatever goes wrong refuses. What the client sent goes into the request and nowhere else.

mod answer;
mod request;
mod settings;
#[cfg(test)]
mod tests;

use std::fmt;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::claims::{ServerId, User, Verified};
use cordon_accounts::key::{CurveKey, KeyError, PublicKey, Role, Seed, ServerKey, UserKey};
use cordon_accounts::name::AccountName;
use cordon_accounts::reason::Reason;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::account_record::AccountRecord;
use crate::authenticator::OperatorMode;
use crate::configured::ConfiguredUsers;
use crate::method::Attempt;
use crate::principal::{Method, Principal};
use crate::proof::present;
use crate::refusal::Refusal;
use crate::rooms::Rooms;
use crate::throttle::prefix;

pub use settings::CalloutSettings;

/// Where the requests of a broker are published, in the account that asked for them.
pub const SUBJECT: &str = "$SYS.REQ.USER.AUTH";
/// The header that names the broker's curve key in a sealed request.
pub const XKEY_HEADER: &str = "Nats-Server-Xkey";

/// Requests under way, over all accounts.
const AT_ONCE: usize = 1024;
/// Requests under way to the service of one account: a slow service takes nobody else's room.
const OF_ONE_ACCOUNT: usize = 256;
/// Requests under way for one address, counted as the throttle counts addresses.
const OF_ONE_ADDRESS: usize = 64;

/// A request on its way to a service.
///
/// `Debug` tells where it goes, never what is in it.
pub struct Question {
    /// The account whose service is asked.
    pub account: AccountName,
    /// The broker's curve key, if the body is sealed: for the header [`XKEY_HEADER`].
    pub sealed_by: Option<CurveKey>,
    /// The authorization request.
    pub body: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("account", &self.account).finish_non_exhaustive()
    }
}

/// An answer under way.
pub type AnswerFuture<'a> = Pin<Box<dyn Future<Output = Option<Zeroizing<Vec<u8>>>> + Send + 'a>>;

/// Carries requests to the services of accounts, and back comes what they say.
pub trait Callout: fmt::Debug + Send + Sync {
    /// Publishes the question on [`SUBJECT`] in its account, to be seen by that account's auth users alone, and
    /// yields the first answer that one of them gives; `None` if there can be none. The caller bounds the time and
    /// may drop the future at any point.
    fn ask(&self, question: Question) -> AnswerFuture<'_>;

    /// How long a service may take to answer, a place in the queue included: the broker's authentication timeout.
    fn patience(&self) -> Duration;
}

/// The broker as the one who asks: its keys, its name, and how many questions it has under way.
pub struct Caller {
    carrier: Arc<dyn Callout>,
    id: ServerId,
    key: ServerKey,
    signer: Seed,
    curve: Seed,
    curve_key: Arc<str>,
    all: Semaphore,
    accounts: Rooms<AccountName>,
    addresses: Rooms<IpAddr>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A decision that is not the mode's to make.
pub(crate) enum Delegation<'a> {
    /// To the service that the configuration names.
    Configured(&'a ConfiguredUsers, &'a CalloutSettings),
    /// To the service of the account whose JWT was presented.
    Operator { mode: &'a OperatorMode, account: Arc<AccountRecord>, sentinel: Box<Verified<User>> },
}

impl Delegation<'_> {
    fn account(&self) -> &AccountName {
        match self {
            Self::Configured(_, settings) => &settings.account,
            Self::Operator { account, .. } => &account.name,
        }
    }

    /// The service's curve key: requests to it are sealed.
    fn xkey(&self) -> Option<CurveKey> {
        match self {
            Self::Configured(_, settings) => settings.xkey,
            Self::Operator { account, .. } => account.claims.nats.authorization.xkey,
        }
    }

    /// What the request is about.
    fn subject(&self) -> PublicKey {
        match self {
            Self::Configured(_, settings) => settings.issuer.public(),
            Self::Operator { account, .. } => account.key.public(),
        }
    }
}

impl Caller {
    /// A broker that signs with `signer`, its server key. Its curve key is new.
    ///
    /// # Errors
    ///
    /// [`KeyError`] if `signer` is no server key.
    pub fn new(carrier: Arc<dyn Callout>, signer: Seed, id: ServerId) -> Result<Self, KeyError> {
        let key = ServerKey::try_from(signer.public())?;
        let curve = Seed::generate(Role::Curve, &mut rand::rngs::OsRng);
        Ok(Self {
            carrier,
            id: ServerId { id: key.to_string(), ..id },
            key,
            signer,
            curve_key: curve.public().to_string().into(),
            curve,
            all: Semaphore::new(AT_ONCE),
            accounts: Rooms::new(OF_ONE_ACCOUNT),
            addresses: Rooms::new(OF_ONE_ADDRESS),
        })
    }

    /// The broker's curve key, for INFO.
    pub fn curve_key(&self) -> &Arc<str> {
        &self.curve_key
    }

    /// Asks the service and turns its answer into a principal.
    pub(crate) async fn decide(&self, whom: &Delegation<'_>, attempt: &Attempt<'_>) -> Result<Principal, Refusal> {
        let account = whom.account();
        let patience = self.carrier.patience();
        let decided = match tokio::time::timeout(patience, self.ask(whom, attempt)).await {
            Ok(Ok((request, answer))) => answer::accept(self, whom, attempt, &request, &answer).await,
            Ok(Err(refusal)) => Err(refusal),
            Err(_) => Err(unanswered(&format!("no answer came within {patience:?}"))),
        };
        decided.map_err(|refusal| if refusal.account.is_none() { refusal.in_account(account) } else { refusal })
    }

    async fn ask(
        &self,
        whom: &Delegation<'_>,
        attempt: &Attempt<'_>,
    ) -> Result<(request::Request, Zeroizing<Vec<u8>>), Refusal> {
        let closed = |_| unanswered("the broker is stopping");
        // The narrowest first: whoever waits for the room of its address holds none of the others'.
        let _of_address = match attempt.proof.peer_ip {
            Some(ip) => Some(self.addresses.enter(prefix(ip)).await.map_err(closed)?),
            None => None,
        };
        let _of_account = self.accounts.enter(whom.account().clone()).await.map_err(closed)?;
        let _of_all = self.all.acquire().await.map_err(closed)?;
        let (request, question) = request::make(self, whom, attempt)?;
        match self.carrier.ask(question).await {
            Some(answer) => Ok((request, answer)),
            None => Err(unanswered("there is nobody to ask")),
        }
    }
}

fn unanswered(detail: &str) -> Refusal {
    Refusal::new(Reason::CalloutUnavailable, format!("the auth callout service did not answer: {detail}"))
}

/// Configured mode: whether what the mode decided stands, and no service is asked.
///
/// That is so for the service's own users, and for users of accounts that are not its to decide about: whether they
/// proved to be that, or only say so and are refused.
pub(crate) fn keeps(
    users: &ConfiguredUsers,
    settings: &CalloutSettings,
    attempt: &Attempt<'_>,
    decided: &Result<Principal, Refusal>,
) -> bool {
    let (name, account) = match decided {
        Ok(principal) if principal.method == Method::NoAuthUser => (None, Some(&principal.account)),
        Ok(principal) => (Some(principal.user.as_str()), Some(&principal.account)),
        Err(refusal) => (claimed(users, attempt), refusal.account.as_ref()),
    };
    name.is_some_and(|name| settings.users.contains(name))
        || account.is_some_and(|account| !settings.decides_about(account))
}

/// The configured user that CONNECT names, whether or not it is proved.
fn claimed<'a>(users: &'a ConfiguredUsers, attempt: &Attempt<'a>) -> Option<&'a str> {
    let connect = attempt.proof.connect;
    let nkey = present(connect.nkey.as_deref()).and_then(|text| UserKey::parse(text).ok());
    let by_key = nkey.and_then(|key| users.nkey(&key));
    let user = by_key.or_else(|| users.user(present(connect.user.as_deref())?))?;
    Some(&user.name)
}

/// Whether `principal` is one of the users whose word counts: proved, and not itself vouched for by a service.
pub(crate) fn is_service(named: bool, principal: &Principal) -> bool {
    named && !matches!(principal.method, Method::Callout | Method::NoAuthUser | Method::Anonymous)
}
