//! Users known by their client certificate, on listeners that map certificates.

use std::collections::BTreeMap;

use cordon_accounts::reason::Reason;

use super::{Attempt, password};
use crate::certificate::{CertificateIdentity, DistinguishedName};
use crate::configured::ConfiguredUsers;
use crate::password::PasswordChecker;
use crate::principal::{Method, Principal};
use crate::refusal::Refusal;

/// Authenticates by the verified leaf certificate. The `user` of CONNECT is not looked at; a password in
/// the configuration must be presented all the same.
pub(crate) async fn authenticate(
    users: &ConfiguredUsers,
    attempt: &Attempt<'_>,
    passwords: &PasswordChecker,
) -> Result<Principal, Refusal> {
    let Some(identity) = attempt.certificate else {
        return Err(Refusal::new(
            Reason::CertificateMissing,
            "this listener takes identities from client certificates: present one",
        ));
    };
    let kind = attempt.proof.connection_type;
    let Some(user) = users.of_certificate(identity, |user| user.allows(kind)) else {
        return Err(unmapped(identity));
    };
    user.admits(attempt)?;
    if user.password().is_some() {
        password::require_password(user, attempt.proof.connect.pass.as_ref(), passwords).await?;
    }
    let mut principal = user.principal(Method::Certificate);
    principal.ends_by(identity.not_after, Reason::CertificateExpired);
    Ok(principal)
}

fn unmapped(identity: &CertificateIdentity) -> Refusal {
    let first = identity.exact_names().chain(identity.subject_texts.iter().map(String::as_str)).next();
    let refusal =
        Refusal::new(Reason::CertificateUnmapped, "no user is configured under any name in the client certificate");
    match first {
        Some(name) => refusal.of_user(name),
        None => refusal,
    }
}

/// Finds what a table holds for a certificate, in the order of `auth.md` 4.4: exact names, then the subject
/// part by part in order, then in any order, then its text with and without `DC`. First hit wins.
pub(crate) fn find<'t, T>(
    identity: &CertificateIdentity,
    exact: impl Fn(&str) -> Option<&'t T>,
    named: &'t [(DistinguishedName, T)],
    counts: impl Fn(&T) -> bool,
) -> Option<&'t T> {
    let exactly = |name: &str| exact(name).filter(|found| counts(found));
    if let Some(found) = identity.exact_names().find_map(exactly) {
        return Some(found);
    }
    if let Some(subject) = identity.subject.as_ref().filter(|subject| !subject.is_empty()) {
        let candidates = || named.iter().filter(|(_, found)| counts(found));
        let in_order = candidates().find(|(name, _)| name == subject);
        let found = in_order.or_else(|| candidates().find(|(name, _)| name.matches_in_any_order(subject)));
        if let Some((_, found)) = found {
            return Some(found);
        }
    }
    identity.subject_texts.iter().map(String::as_str).find_map(exactly)
}

/// Certificates of operator mode: which user JWT a certificate stands for.
///
/// The certificate proves possession in place of the nonce's signature; the JWT still goes through every
/// other check, so its account, revocation, expiry and conditions hold as for any other.
#[derive(Clone, Debug, Default)]
pub struct CertificateUsers {
    exact: BTreeMap<String, String>,
    named: Vec<(DistinguishedName, String)>,
}

impl CertificateUsers {
    /// Lets certificates with this name (e-mail, DNS name, URI such as a SPIFFE id, or distinguished name)
    /// authenticate as the user of this JWT. A later entry of the same name replaces the earlier one.
    pub fn insert(&mut self, name: &str, user_jwt: &str) {
        self.exact.insert(name.to_owned(), user_jwt.to_owned());
        if let Ok(parsed) = name.parse::<DistinguishedName>() {
            self.named.retain(|(known, _)| *known != parsed);
            self.named.push((parsed, user_jwt.to_owned()));
        }
    }

    /// The user JWT that a certificate stands for.
    pub fn find(&self, identity: &CertificateIdentity) -> Option<&str> {
        find(identity, |name| self.exact.get(name), &self.named, |_| true).map(String::as_str)
    }

    /// Whether no certificate stands for anyone.
    pub fn is_empty(&self) -> bool {
        self.exact.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_later_entry_of_the_same_name_replaces_the_earlier_one_and_no_other() {
        let mut users = CertificateUsers::default();
        assert!(users.is_empty());
        for (name, jwt) in [("CN=a,O=x", "one"), ("CN=b,O=x", "two"), ("CN=a,O=x", "three")] {
            users.insert(name, jwt);
        }
        assert!(!users.is_empty());
        let jwts: Vec<&str> = users.named.iter().map(|(_, jwt)| jwt.as_str()).collect();
        assert_eq!(jwts, ["two", "three"]);
    }
}
