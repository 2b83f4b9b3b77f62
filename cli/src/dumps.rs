//! No core dumps: the memory of a broker holds keys and what tenants say to each other.
//!
//! A dump is refused in two ways, since a handler that the system pipes dumps to does not ask for the limit of
//! their size; the second also keeps other processes of the same user from reading the memory. Whoever has to
//! debug a crash sets `CORDON_CORE_DUMPS=allow` (prctl(2), core(5)).

use rustix::io;
use rustix::process::{Resource, Rlimit, setrlimit};

/// What allows dumps when it is `allow`.
const VARIABLE: &str = "CORDON_CORE_DUMPS";

/// Forbids core dumps of this process, unless the environment allows them. A system that cannot forbid them is
/// told of in the log, and is no reason not to serve.
pub(crate) fn forbid() {
    if std::env::var_os(VARIABLE).is_some_and(|value| value == "allow") {
        tracing::warn!("core dumps are allowed by {VARIABLE}: they hold keys and messages");
        return;
    }
    let limited = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    if let Err(error) = limited.and_then(|()| hide()) {
        tracing::warn!("core dumps cannot be forbidden: {error}");
    }
}

#[cfg(target_os = "linux")]
fn hide() -> io::Result<()> {
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
}

#[cfg(not(target_os = "linux"))]
fn hide() -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior, getrlimit};

    use super::*;

    #[test]
    fn nothing_is_dumped_and_nothing_can_be_read() {
        forbid();
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
    }
}
