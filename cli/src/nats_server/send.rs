//! `--signal CMD[=PID]`: tells another process what to do, and ends.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::NAME;

/// Longest pid file that is read: a number has ten digits.
const PID_FILE_MAX: u64 = 64;

/// Why no signal was sent.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SendError {
    #[error("unknown signal \"{0}\"")]
    Signal(String),
    #[error("invalid pid: {0}")]
    Pid(String),
    #[error("no nats-server processes running")]
    Nobody,
    #[error("multiple nats-server processes running:\n{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Several(Vec<i32>),
    #[error("unable to resolve pid, try providing one")]
    NoList,
    #[error("signal \"{order}\" {pid}: {reason}")]
    Refused { order: String, pid: i32, reason: String },
}

/// Sends what `order` says, to whom it says or to the only process of our name.
///
/// # Errors
///
/// [`SendError`] says what to correct.
pub(super) fn send(order: &str) -> Result<(), SendError> {
    let (order, whom) = order.split_once('=').map_or((order, ""), |(order, whom)| (order, whom));
    let signal = signal(order).ok_or_else(|| SendError::Signal(order.to_owned()))?;
    let mut refused = None;
    for pid in receivers(whom)? {
        let target = Pid::from_raw(pid).filter(|pid| pid.as_raw_nonzero().get() > 0);
        let target = target.ok_or_else(|| SendError::Pid(pid.to_string()))?;
        if let Err(error) = kill_process(target, signal) {
            let reason = match error {
                rustix::io::Errno::SRCH => "no such process".to_owned(),
                other => other.to_string(),
            };
            refused = Some(SendError::Refused { order: order.to_owned(), pid, reason });
        }
    }
    refused.map_or(Ok(()), Err)
}

fn signal(order: &str) -> Option<Signal> {
    Some(match order {
        "stop" => Signal::KILL,
        "quit" => Signal::INT,
        "term" => Signal::TERM,
        "reopen" => Signal::USR1,
        "reload" => Signal::HUP,
        "ldm" => Signal::USR2,
        _ => return None,
    })
}

/// The processes meant by a number, a number's beginning with `*`, a pid file, or nothing.
fn receivers(whom: &str) -> Result<Vec<i32>, SendError> {
    if let Some(beginning) = whom.strip_suffix('*') {
        if !beginning.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SendError::Pid(whom.to_owned()));
        }
        let mut found = running()?;
        found.retain(|pid| pid.to_string().starts_with(beginning));
        return if found.is_empty() { Err(SendError::Nobody) } else { Ok(found) };
    }
    if whom.is_empty() {
        let found = running()?;
        return match found.as_slice() {
            [] => Err(SendError::Nobody),
            [_] => Ok(found),
            _ => Err(SendError::Several(found)),
        };
    }
    if let Some(pid) = number(whom) {
        return Ok(vec![pid]);
    }
    let invalid = || SendError::Pid(whom.to_owned());
    let path = Path::new(whom);
    let size = fs::metadata(path).map_err(|_| invalid())?.len();
    let text = fs::read_to_string(path).ok().filter(|_| size <= PID_FILE_MAX).ok_or_else(invalid)?;
    // Some write a newline behind it; nothing else may be there.
    number(text.trim_end_matches(['\r', '\n'])).map(|pid| vec![pid]).ok_or_else(invalid)
}

fn number(text: &str) -> Option<i32> {
    // `parse` would take a sign.
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|pid| digits && *pid > 0)
}

/// Processes that were started as `nats-server`, without this one.
fn running() -> Result<Vec<i32>, SendError> {
    let mut found: Vec<i32> = fs::read_dir("/proc")
        .map_err(|_| SendError::NoList)?
        .filter_map(|entry| number(entry.ok()?.file_name().to_str()?))
        .filter(|pid| u32::try_from(*pid).ok() != Some(std::process::id()))
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == NAME))
        .collect();
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_orders_to_a_process_that_can_be_meant_are_sent() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        for whom in [
            "abc".to_owned(),
            "0".to_owned(),
            "-1".to_owned(),
            "+5".to_owned(),
            "1x".to_owned(),
            "x*".to_owned(),
            "99999999999".to_owned(),
            "/no/such/file".to_owned(),
            folder.path().display().to_string(),
            file("empty", ""),
            file("word", "12 34"),
            file("negative", "-1"),
            file("long", &"1".repeat(100)),
        ] {
            assert_eq!(send(&format!("reload={whom}")), Err(SendError::Pid(whom)));
        }
        for order in ["", "kill", "LDM", "ldm ", "hup"] {
            assert_eq!(send(&format!("{order}=1")), Err(SendError::Signal(order.to_owned())));
        }
    }

    #[test]
    fn processes_are_found_by_number_and_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pid");
        for text in ["4321", "4321\n"] {
            fs::write(&path, text).unwrap();
            assert_eq!(receivers(path.to_str().unwrap()), Ok(vec![4321]));
        }
        assert_eq!(receivers("4321"), Ok(vec![4321]));
    }

    #[test]
    fn a_process_that_is_gone_is_named() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let error = send(&format!("ldm={}", child.id())).unwrap_err();
        assert_eq!(error.to_string(), format!("signal \"ldm\" {}: no such process", child.id()));
    }
}
