//! What is wrong with claims, and how bad it is.
//!
//! Severities and where each blocks are those of jwt `validation.go` and nats-server: account
//! load refuses anything blocking or of time, the resolver's store only what is blocking, auth
//! callout even warnings.

use std::fmt;

/// How bad an issue is.
#[derive(Copy, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Severity {
    /// Wrong at any time.
    Blocking,
    /// Expired, or not valid yet.
    Time,
    /// Odd.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issue {
    /// How bad it is.
    pub severity: Severity,
    /// What and where, for people.
    pub text: String,
}

/// The most issues of one severity that are kept; further ones only make the answer longer.
const ISSUES_MAX: usize = 100;

/// Everything that is wrong with some claims.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Validation {
    /// In the order found, at most a hundred of each severity.
    pub issues: Vec<Issue>,
}

impl Validation {
    /// For a user connecting, and an account being loaded: no blocking issue and none of time.
    ///
    /// # Errors
    ///
    /// [`InvalidClaims`] with the issues that count.
    pub fn require_valid(&self) -> Result<(), InvalidClaims> {
        self.require(|severity| severity != Severity::Warning)
    }

    /// For an account being stored: no blocking issue; it may have expired.
    ///
    /// # Errors
    ///
    /// [`InvalidClaims`] with the issues that count.
    pub fn require_no_blocking(&self) -> Result<(), InvalidClaims> {
        self.require(|severity| severity == Severity::Blocking)
    }

    /// For answers of an auth callout: nothing at all.
    ///
    /// # Errors
    ///
    /// [`InvalidClaims`] with all issues.
    pub fn require_clean(&self) -> Result<(), InvalidClaims> {
        self.require(|_| true)
    }

    /// Whether only time is wrong.
    pub fn is_only_time(&self) -> bool {
        self.require_no_blocking().is_ok() && self.require_valid().is_err()
    }

    pub(super) fn blocking(&mut self, text: impl Into<String>) {
        self.add(Severity::Blocking, text.into());
    }

    pub(super) fn time(&mut self, text: impl Into<String>) {
        self.add(Severity::Time, text.into());
    }

    pub(super) fn warn(&mut self, text: impl Into<String>) {
        self.add(Severity::Warning, text.into());
    }

    /// Appends the error, if there is one, with what it is about.
    pub(super) fn check<E: fmt::Display>(&mut self, place: &str, outcome: Result<(), E>) {
        if let Err(error) = outcome {
            self.blocking(format!("{place}: {error}"));
        }
    }

    /// Takes over the issues of a part, with what it is about.
    pub(super) fn absorb(&mut self, place: &str, part: Self) {
        for issue in part.issues {
            self.add(issue.severity, format!("{place}: {}", issue.text));
        }
    }

    fn add(&mut self, severity: Severity, text: String) {
        // Counted for each severity, so that warnings never crowd out what blocks.
        let alike = |issue: &&Issue| issue.severity == severity;
        if self.issues.iter().filter(alike).count() < ISSUES_MAX {
            self.issues.push(Issue { severity, text });
        }
    }

    fn require(&self, counts: impl Fn(Severity) -> bool) -> Result<(), InvalidClaims> {
        let issues: Vec<Issue> = self.issues.iter().filter(|issue| counts(issue.severity)).cloned().collect();
        if issues.is_empty() { Ok(()) } else { Err(InvalidClaims { issues }) }
    }
}

/// Claims that may not be used, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct InvalidClaims {
    /// What is wrong; never empty.
    pub issues: Vec<Issue>,
}

impl fmt::Display for InvalidClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, issue) in self.issues.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            f.write_str(&issue.text)?;
        }
        Ok(())
    }
}
