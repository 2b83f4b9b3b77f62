//! Compares passwords on threads that take what the threads that carry messages leave: whoever guesses passwords slows
//! down other logins by password, and nobody who is connected.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::workspace::Workspace;
use super::{Stored, Verdict, verify, verify_in};

/// So many wrong passwords in a row are guesses, for so long after the last of them.
const GUESSES: u32 = 8;
const SUSPICION: Duration = Duration::from_secs(10);
/// Then a thread rests so many times as long as a comparison took it. Even at the lowest priority it may keep its turn of up
/// to 4 ms while a message waits, some three times in each second that it works; rests make that rare.
const REST: u32 = 2;
/// A thread keeps its memory for so long after a comparison.
const KEPT: Duration = Duration::from_secs(1);

/// Compares passwords off the async threads, a bounded number at a time.
#[derive(Clone, Debug)]
pub struct PasswordChecker {
    permits: Arc<Semaphore>,
    at_once: usize,
    /// Started with the first comparison: most brokers make none.
    threads: Arc<OnceLock<SyncSender<Comparison>>>,
    /// For those that follow many wrong ones: started with the first of them.
    wary_threads: Arc<OnceLock<SyncSender<Comparison>>>,
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

    fn queue(&self) -> &SyncSender<Comparison> {
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
fn start(count: usize, settle: fn(), rest: u32, suspicion: &Arc<Mutex<Suspicion>>) -> SyncSender<Comparison> {
    let (queue, comparisons) = mpsc::sync_channel::<Comparison>(count);
    let comparisons = Arc::new(Mutex::new(comparisons));
    for number in 0..count {
        let (comparisons, suspicion) = (Arc::clone(&comparisons), Arc::clone(suspicion));
        let work = move || {
            settle();
            let mut workspace = Workspace::default();
            while let Some(comparison) = next(&comparisons, &mut workspace) {
                let Comparison { stored, given, answer, permit } = comparison;
                // Whoever asked may have given up: nothing to compare for.
                if !answer.is_closed() {
                    let began = Instant::now();
                    let verdict = contained(|| verify_in(&mut workspace, stored.expose_secret(), &given));
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

/// The next comparison; `None` once there will be no more. When none comes for a while, the memory for them is given back.
fn next(comparisons: &Mutex<Receiver<Comparison>>, workspace: &mut Workspace) -> Option<Comparison> {
    let until = Instant::now() + KEPT;
    // Another thread may be the one that waits.
    let soon = comparisons
        .try_lock_until(until)
        .map(|comparisons| comparisons.recv_timeout(until.saturating_duration_since(Instant::now())));
    match soon {
        Some(Ok(comparison)) => Some(comparison),
        Some(Err(RecvTimeoutError::Disconnected)) => None,
        Some(Err(RecvTimeoutError::Timeout)) | None => {
            workspace.clear();
            comparisons.lock().recv().ok()
        }
    }
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
