//! Passwords and tokens: argon2id is written, argon2id, bcrypt and plain text are read.
//!
//! Hashing costs tens of milliseconds and tens of mebibytes by design, so it runs on few threads of its own, which
//! take what the threads that carry messages leave: whoever guesses passwords slows down other logins by password,
//! and nobody who is connected.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

/// Longest password that is looked at, in bytes.
pub const PASSWORD_BYTES_MAX: usize = 4096;

/// argon2id memory in KiB, passes and lanes: the first recommendation of OWASP.
const ARGON2_MEMORY_KIB: u32 = 19 * 1024;
const ARGON2_PASSES: u32 = 2;
const ARGON2_LANES: u32 = 1;

/// So many wrong passwords in a row are guesses, for so long after the last of them.
const GUESSES: u32 = 8;
const SUSPICION: Duration = Duration::from_secs(10);
/// Then a thread rests so many times as long as a comparison took it. Even at the lowest priority it may keep its turn of up
/// to 4 ms while a message waits, some three times in each second that it works; rests make that rare.
const REST: u32 = 2;

/// What comparing a password with the stored form came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Verdict {
    /// The password is right.
    Match,
    /// The password is wrong.
    Mismatch,
    /// The stored form is no hash that can be read, or is empty: nobody gets in by it.
    Unusable,
}

/// The form in which a password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// `$argon2id$..`, `$argon2i$..` or `$argon2d$..`
    Argon2,
    /// `$2a$`, `$2b$`, `$2x$` or `$2y$`, two digits and `$`.
    Bcrypt,
    /// Anything else: compared byte by byte. Worth a warning at start.
    Plain,
}

impl Stored {
    /// Tells the form from the text, as nats-server does for bcrypt.
    pub fn of(stored: &str) -> Self {
        if stored.starts_with("$argon2") {
            return Self::Argon2;
        }
        match stored.as_bytes() {
            [b'$', b'2', b'a' | b'b' | b'x' | b'y', b'$', tens, units, b'$', ..]
                if tens.is_ascii_digit() && units.is_ascii_digit() =>
            {
                Self::Bcrypt
            }
            _ => Self::Plain,
        }
    }
}

/// A failure to hash, which is ours and not the caller's.
#[derive(Debug, thiserror::Error)]
#[error("the password could not be hashed: {0}")]
pub struct HashError(String);

/// Hashes a password with argon2id for storage. Takes tens of milliseconds: call it on the blocking pool.
///
/// # Errors
///
/// [`HashError`] if the password is longer than [`PASSWORD_BYTES_MAX`] or memory is short.
pub fn hash_argon2id(password: &SecretString) -> Result<String, HashError> {
    let password = password.expose_secret();
    if password.len() > PASSWORD_BYTES_MAX {
        return Err(HashError(format!("it is longer than {PASSWORD_BYTES_MAX} bytes")));
    }
    let params = Params::new(ARGON2_MEMORY_KIB, ARGON2_PASSES, ARGON2_LANES, None)
        .map_err(|error| HashError(error.to_string()))?;
    let salt = SaltString::generate(&mut rand::rngs::OsRng);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map(|hash| hash.to_string())
        .map_err(|error| HashError(error.to_string()))
}

/// Compares a password with its stored form. May take long: see [`PasswordChecker`].
pub fn verify(stored: &str, given: &SecretString) -> Verdict {
    let given = given.expose_secret();
    if stored.is_empty() {
        return Verdict::Unusable;
    }
    if given.len() > PASSWORD_BYTES_MAX {
        return Verdict::Mismatch;
    }
    match Stored::of(stored) {
        Stored::Argon2 => match PasswordHash::new(stored) {
            Ok(hash) => verdict(Argon2::default().verify_password(given.as_bytes(), &hash).is_ok()),
            Err(_) => Verdict::Unusable,
        },
        Stored::Bcrypt => match bcrypt::verify(given, stored) {
            Ok(equal) => verdict(equal),
            Err(_) => Verdict::Unusable,
        },
        Stored::Plain => verdict(equal_in_constant_time(stored, given)),
    }
}

/// Compares without telling by time how much was right, or how long the stored text is.
pub(crate) fn equal_in_constant_time(left: &str, right: &str) -> bool {
    Sha256::digest(left.as_bytes()).ct_eq(&Sha256::digest(right.as_bytes())).into()
}

fn verdict(equal: bool) -> Verdict {
    if equal { Verdict::Match } else { Verdict::Mismatch }
}

/// Compares passwords off the async threads, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct PasswordChecker {
    permits: Arc<Semaphore>,
    at_once: usize,
    /// Started with the first comparison: most brokers make none.
    threads: Arc<OnceLock<mpsc::SyncSender<Comparison>>>,
    /// For those that follow many wrong ones: started with the first of them.
    wary_threads: Arc<OnceLock<mpsc::SyncSender<Comparison>>>,
    suspicion: Arc<Mutex<Suspicion>>,
}

/// One comparison on its way to a thread.
#[derive(Debug)]
struct Comparison {
    stored: SecretString,
    given: SecretString,
    answer: oneshot::Sender<Verdict>,
    /// Held by the comparison itself: a caller that gives up does not free the place early.
    permit: OwnedSemaphorePermit,
}

/// Whether somebody seems to be guessing.
#[derive(Debug, Default)]
struct Suspicion {
    /// Wrong passwords in a row, and when the last one was.
    wrong: u32,
    last: Option<Instant>,
}

impl Suspicion {
    fn note(&mut self, verdict: Verdict) {
        if verdict == Verdict::Match {
            *self = Self::default();
        } else {
            self.wrong = self.wrong.saturating_add(1);
            self.last = Some(Instant::now());
        }
    }

    /// People who mistype are not meant.
    fn is_grave(&self) -> bool {
        self.wrong >= GUESSES && self.last.is_some_and(|last| last.elapsed() < SUSPICION)
    }
}

impl PasswordChecker {
    /// A checker that runs at most `at_once` comparisons; the others wait their turn, each no longer than
    /// its connection's authentication timeout lets it.
    pub fn new(at_once: usize) -> Self {
        let at_once = at_once.clamp(1, 1024);
        Self {
            permits: Arc::new(Semaphore::new(at_once)),
            at_once,
            threads: Arc::default(),
            wary_threads: Arc::default(),
            suspicion: Arc::default(),
        }
    }

    /// Compares `given` with `stored`.
    pub async fn verify(&self, stored: &SecretString, given: &SecretString) -> Verdict {
        if Stored::of(stored.expose_secret()) == Stored::Plain {
            return verify(stored.expose_secret(), given);
        }
        let Ok(permit) = Arc::clone(&self.permits).acquire_owned().await else {
            return Verdict::Unusable;
        };
        let (answer, verdict) = oneshot::channel();
        let comparison = Comparison { stored: stored.clone(), given: given.clone(), answer, permit };
        // There are as many places in each queue as permits, so it is never full.
        if self.queue().try_send(comparison).is_err() {
            return Verdict::Unusable;
        }
        verdict.await.unwrap_or(Verdict::Unusable)
    }

    fn queue(&self) -> &mpsc::SyncSender<Comparison> {
        if self.suspicion.lock().is_grave() {
            self.wary_threads.get_or_init(|| start(self.at_once, give_way, REST, &self.suspicion))
        } else {
            self.threads.get_or_init(|| start(self.at_once, come_last, 0, &self.suspicion))
        }
    }
}

impl Default for PasswordChecker {
    /// Half as many at once as there are processors: guessing must leave some to everything else.
    fn default() -> Self {
        Self::new(thread::available_parallelism().map_or(1, NonZero::get) / 2)
    }
}

/// Starts `count` threads, which `settle`, note how it went, `rest` as many times as long as a comparison took, and end when
/// the queue's other side is dropped.
fn start(count: usize, settle: fn(), rest: u32, suspicion: &Arc<Mutex<Suspicion>>) -> mpsc::SyncSender<Comparison> {
    let (queue, comparisons) = mpsc::sync_channel::<Comparison>(count);
    let comparisons = Arc::new(Mutex::new(comparisons));
    for number in 0..count {
        let (comparisons, suspicion) = (Arc::clone(&comparisons), Arc::clone(suspicion));
        let work = move || {
            settle();
            loop {
                let Ok(comparison) = comparisons.lock().recv() else { return };
                let Comparison { stored, given, answer, permit } = comparison;
                // Whoever asked may have given up: nothing to compare for.
                if !answer.is_closed() {
                    let began = Instant::now();
                    let verdict = contained(|| verify(stored.expose_secret(), &given));
                    suspicion.lock().note(verdict);
                    drop(permit);
                    // It may have given up meanwhile, too.
                    let _ = answer.send(verdict);
                    if rest > 0 && verdict != Verdict::Match {
                        thread::sleep(began.elapsed().saturating_mul(rest));
                    }
                }
            }
        };
        // Without any thread comparisons fail, and with them the login: nobody gets in by it.
        let _started = thread::Builder::new().name(format!("password-{number}")).spawn(work);
    }
    queue
}

/// A defect met in one comparison refuses that one: the threads are few, and all later ones need them.
fn contained(compare: impl FnOnce() -> Verdict) -> Verdict {
    catch_unwind(AssertUnwindSafe(compare)).unwrap_or(Verdict::Unusable)
}

/// Gives this thread the lowest priority, where threads have one. Where it cannot be had, it works with the usual one.
fn come_last() {
    #[cfg(target_os = "linux")]
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), 19);
}

/// Gives this thread only what nobody else wants, and that until somebody does: with the lowest priority alone it keeps its
/// turn of milliseconds while a message waits. Where it cannot be had, it comes last as the others do.
///
/// Whoever logs in by password while somebody guesses at a broker without time to spare pays for it.
fn give_way() {
    come_last();
    #[cfg(target_os = "linux")]
    {
        use thread_priority::unix::{NormalThreadSchedulePolicy::Idle, ThreadSchedulePolicy::Normal};
        use thread_priority::{ThreadPriority, set_thread_priority_and_policy, thread_native_id};
        let _ = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, Normal(Idle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(text: &str) -> SecretString {
        SecretString::from(text)
    }

    #[test]
    fn argon2id_hashes_verify_and_are_salted() {
        let hash = hash_argon2id(&secret("s3cret")).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert_eq!(verify(&hash, &secret("s3cret")), Verdict::Match);
        assert_eq!(verify(&hash, &secret("s3creT")), Verdict::Mismatch);
        assert_ne!(hash, hash_argon2id(&secret("s3cret")).unwrap());
    }

    #[test]
    fn bcrypt_of_every_prefix_is_read() {
        let hash = bcrypt::hash_with_salt("s3cret", 4, [7; 16]).unwrap();
        for version in [bcrypt::Version::TwoA, bcrypt::Version::TwoB, bcrypt::Version::TwoY] {
            let stored = hash.format_for_version(version);
            assert_eq!(Stored::of(&stored), Stored::Bcrypt);
            assert_eq!(verify(&stored, &secret("s3cret")), Verdict::Match, "{stored}");
            assert_eq!(verify(&stored, &secret("wrong")), Verdict::Mismatch, "{stored}");
            assert_eq!(verify(&stored, &secret(&stored)), Verdict::Mismatch, "the hash is no password");
        }
    }

    #[test]
    fn what_only_looks_like_a_hash_is_plain_text() {
        for stored in ["$2a$1x$abc", "$2a$x1$abc", "$2a$xx$abc", "$2c$10$abc", "$2a$10", "2a$10$abc"] {
            assert_eq!(Stored::of(stored), Stored::Plain, "{stored}");
        }
    }

    #[test]
    fn a_password_has_a_greatest_length() {
        let longest = "p".repeat(PASSWORD_BYTES_MAX);
        assert_eq!(verify(&longest, &secret(&longest)), Verdict::Match);
        assert!(hash_argon2id(&secret(&longest)).is_ok());
        for more in ["p", "pp"] {
            let longer = format!("{longest}{more}");
            assert_eq!(verify(&longer, &secret(&longer)), Verdict::Mismatch, "{more}");
            assert!(hash_argon2id(&secret(&longer)).is_err(), "{more}");
        }
    }

    #[test]
    fn a_defect_in_one_comparison_refuses_that_one() {
        assert_eq!(contained(|| panic!("a defect")), Verdict::Unusable);
        assert_eq!(contained(|| Verdict::Match), Verdict::Match);
    }

    #[tokio::test]
    async fn hashes_wait_for_their_turn_and_plain_text_does_not() {
        let checker = PasswordChecker::new(1);
        let hash = secret(&bcrypt::hash("s3cret", 4).unwrap());
        let held = Arc::clone(&checker.permits).acquire_owned().await.unwrap();
        assert_eq!(checker.verify(&secret("abc"), &secret("abc")).await, Verdict::Match);
        let given = secret("s3cret");
        let mut waiting = Box::pin(checker.verify(&hash, &given));
        let early = tokio::time::timeout(std::time::Duration::from_millis(20), &mut waiting).await;
        assert!(early.is_err(), "all the places are taken");
        drop(held);
        assert_eq!(waiting.await, Verdict::Match);
    }

    #[test]
    fn plain_text_is_compared_exactly() {
        let cases = [
            ("abc", "abc", Verdict::Match),
            ("abc", "abcd", Verdict::Mismatch),
            ("abc", "ABC", Verdict::Mismatch),
            ("abc", "", Verdict::Mismatch),
        ];
        for (stored, given, expected) in cases {
            assert_eq!(verify(stored, &secret(given)), expected, "{stored} {given}");
        }
    }

    #[test]
    fn an_empty_or_broken_stored_form_lets_nobody_in() {
        for (stored, given) in [("", ""), ("", "x"), ("$argon2id$", "x"), ("$2a$10$short", "x"), ("$2b$99$", "")] {
            assert_eq!(verify(stored, &secret(given)), Verdict::Unusable, "{stored}");
        }
    }

    #[test]
    fn an_endless_password_is_a_mismatch() {
        let long = "x".repeat(PASSWORD_BYTES_MAX + 1);
        assert_eq!(verify(&long, &secret(&long)), Verdict::Mismatch);
        assert!(hash_argon2id(&secret(&long)).is_err());
    }

    #[tokio::test]
    async fn the_checker_agrees_with_verify_and_serves_more_than_its_width() {
        let checker = PasswordChecker::new(1);
        let stored = secret(&bcrypt::hash_with_salt("pw", 4, [1; 16]).unwrap().to_string());
        let (right, wrong) = (secret("pw"), secret("no"));
        let (a, b, c) = tokio::join!(
            checker.verify(&stored, &right),
            checker.verify(&stored, &wrong),
            checker.verify(&stored, &right)
        );
        assert_eq!((a, b, c), (Verdict::Match, Verdict::Mismatch, Verdict::Match));
    }

    #[tokio::test]
    async fn a_place_is_free_again_only_when_the_comparison_has_ended() {
        let checker = PasswordChecker::new(1);
        let stored = secret(&bcrypt::hash_with_salt("pw", 4, [1; 16]).unwrap().to_string());
        let (right, wrong) = (secret("pw"), secret("no"));
        for _ in 0..20 {
            // Polled once: it is on its way to a thread, and then nobody waits for it.
            let mut given_up = Box::pin(checker.verify(&stored, &wrong));
            let polled = std::future::poll_fn(|cx| std::task::Poll::Ready(given_up.as_mut().poll(cx))).await;
            drop(given_up);
            assert!(polled.is_pending() || polled == std::task::Poll::Ready(Verdict::Mismatch));
            assert_eq!(checker.verify(&stored, &right).await, Verdict::Match);
        }
        assert_eq!(checker.permits.available_permits(), 1, "every place is free at the end");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn comparing_threads_have_the_lowest_priority() {
        let priority = thread::spawn(|| {
            come_last();
            rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap()
        });
        assert_eq!(priority.join().unwrap(), 19);
        let own = rustix::process::getpriority_process(Some(rustix::thread::gettid())).unwrap();
        assert!(own < 19, "others keep theirs");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn threads_give_way_after_a_wrong_password() {
        use thread_priority::unix::{NormalThreadSchedulePolicy, ThreadSchedulePolicy, thread_schedule_policy};
        let policy = thread::spawn(|| {
            give_way();
            thread_schedule_policy().unwrap()
        });
        assert_eq!(policy.join().unwrap(), ThreadSchedulePolicy::Normal(NormalThreadSchedulePolicy::Idle));
    }

    #[test]
    fn many_wrong_passwords_in_a_row_are_suspicious_and_a_right_one_clears_it() {
        let mut suspicion = Suspicion::default();
        for _ in 1..GUESSES {
            suspicion.note(Verdict::Mismatch);
            assert!(!suspicion.is_grave(), "people mistype");
        }
        suspicion.note(Verdict::Mismatch);
        assert!(suspicion.is_grave());
        suspicion.note(Verdict::Match);
        assert!(!suspicion.is_grave());
        suspicion.wrong = u32::MAX;
        suspicion.last = Instant::now().checked_sub(SUSPICION);
        assert!(!suspicion.is_grave(), "it was a while ago");
        suspicion.note(Verdict::Unusable);
        assert!(suspicion.is_grave(), "what cannot be compared is no right one");
    }

    #[tokio::test]
    async fn guesses_are_compared_on_threads_of_their_own() {
        let checker = PasswordChecker::new(1);
        let stored = secret(&bcrypt::hash_with_salt("pw", 4, [1; 16]).unwrap().to_string());
        assert_eq!(checker.verify(&stored, &secret("no")).await, Verdict::Mismatch);
        assert!(checker.wary_threads.get().is_none());
        *checker.suspicion.lock() = Suspicion { wrong: GUESSES, last: Some(Instant::now() + Duration::from_hours(1)) };
        assert_eq!(checker.verify(&stored, &secret("pw")).await, Verdict::Match);
        assert!(checker.wary_threads.get().is_some());
        assert!(!checker.suspicion.lock().is_grave());
    }
}
