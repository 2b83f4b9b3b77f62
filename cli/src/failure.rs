//! How a command that failed says so: on stderr, with what to do about it, and an exit status.
//!
//! 0 it was done · 1 it failed · 2 the command line was wrong.

use std::fmt;
use std::process::ExitCode;

use crate::output;

/// Something that the caller of the command got wrong, though it could be parsed.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A failure that was already told in full; only the exit status is missing.
#[derive(Debug)]
pub(crate) struct Told;

impl fmt::Display for Told {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("failed")
    }
}

impl std::error::Error for Told {}

/// A usage error as `anyhow` wants it.
pub(crate) fn usage(text: impl Into<String>) -> anyhow::Error {
    Usage(text.into()).into()
}

/// Tells what went wrong; returns the exit status for it.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    report_as("cordon", error)
}

/// The same, of a program of that name.
pub(crate) fn report_as(program: &str, error: &anyhow::Error) -> ExitCode {
    if error.is::<Told>() {
        return ExitCode::from(1);
    }
    output::warn(&format!("{program}: {}", text(error)));
    ExitCode::from(if error.is::<Usage>() { 2 } else { 1 })
}

/// The error and its causes, each said once.
fn text(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain() {
        let cause = cause.to_string();
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;

    use super::*;

    #[test]
    fn causes_are_told_once() {
        let cause = std::io::Error::other("disk full");
        let error = Err::<(), _>(cause).context("cannot write `a`: disk full").context("setting up").unwrap_err();
        assert_eq!(text(&error), "setting up: cannot write `a`: disk full");
    }

    #[test]
    fn a_wrong_command_line_has_status_2() {
        assert_eq!(report(&usage("two users")), ExitCode::from(2));
        assert_eq!(report(&anyhow::anyhow!("no")), ExitCode::from(1));
    }
}
