//! Waiting: bounded, and in this one place.

use std::fmt::Display;
use std::future::Future;
use std::time::{Duration, Instant};

/// Longest wait for something that must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The same in stories that take long, on machines that are busy with other things or stand still for a while: whoever
/// fails is told earlier, by the end of its process.
pub const LONG_PATIENCE: Duration = Duration::from_mins(4);

/// How often something that can only be asked for is asked for.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits for what must come by itself.
pub async fn within<T>(what: impl Display, coming: impl Future<Output = T>) -> T {
    within_time(PATIENCE, what, coming).await
}

/// The same with a bound of one's own.
pub async fn within_time<T>(bound: Duration, what: impl Display, coming: impl Future<Output = T>) -> T {
    let Ok(value) = tokio::time::timeout(bound, coming).await else {
        panic!("waited {bound:?} in vain: {what}");
    };
    value
}

/// Asks until the answer is there.
pub async fn until<T>(what: impl Display, ask: impl AsyncFnMut() -> Option<T>) -> T {
    until_time(PATIENCE, what, ask).await
}

/// The same with a bound of one's own.
pub async fn until_time<T>(bound: Duration, what: impl Display, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begun.elapsed() < bound, "asked for {bound:?} in vain: {what}");
        tokio::time::sleep(INTERVAL).await;
    }
}

/// Unix time in seconds, for claims that a story signs itself.
#[expect(clippy::disallowed_methods, reason = "the processes under test go by the system's clock")]
pub fn now() -> i64 {
    time::OffsetDateTime::now_utc().unix_timestamp()
}

/// Waits until the clock says this second, in Unix time: for what ends then without a word.
pub fn reach(second: i64) {
    while now() < second {
        std::thread::sleep(INTERVAL);
    }
}
