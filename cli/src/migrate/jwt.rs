//! Operators, accounts and users by their JWTs: what would be refused, what differs.

use std::collections::HashMap;
use std::sync::Arc;

use cordon_accounts::claims::{self, Account, Claims, ExportKind, Operator, Severity, User, Verified};
use cordon_accounts::key::AccountKey;
use cordon_accounts::subject::matching;
use cordon_auth::account_record::AccountRecord;
use cordon_auth::trust::Trust;
use cordon_server::protocol::info::EMULATED_VERSION;

use super::report::{Report, Weight};

/// The operators that are believed, and their accounts as far as they are known.
pub(super) struct Authorities {
    trust: Trust,
    accounts: HashMap<AccountKey, Arc<AccountRecord>>,
}

impl Authorities {
    /// Trusts operators; `None` when they cannot be, which is then reported.
    pub(super) fn of(place: &str, tokens: &[String], report: &mut Report) -> Option<Self> {
        let operators: Result<Vec<Verified<Operator>>, _> = tokens.iter().map(|token| claims::decode(token)).collect();
        let trust = match operators.map(Trust::new) {
            Ok(Ok(trust)) => trust,
            Ok(Err(error)) => {
                report.add(Weight::Blocks, place, format!("the operators cannot be trusted: {error}"));
                return None;
            }
            Err(error) => {
                report.add(Weight::Blocks, place, format!("an operator JWT cannot be read: {error}"));
                return None;
            }
        };
        if let Err(error) = trust.require_version(EMULATED_VERSION) {
            report.add(Weight::Blocks, place, error.to_string());
        }
        Some(Self { trust, accounts: HashMap::new() })
    }

    /// Checks an account as it would be loaded, and remembers it for its users.
    pub(super) fn account(&mut self, place: &str, token: &str, now: i64, report: &mut Report) {
        let record = match self.trust.verify_account(token, None, now) {
            Ok(record) => record,
            Err(error) => return report.add(Weight::Blocks, place, format!("the account would be refused: {error}")),
        };
        let place = format!("{place} ({})", record.claims.name);
        for warning in &record.warnings {
            report.add(Weight::Differs, &place, warning);
        }
        for issue in record.claims.validate(now).issues {
            if issue.severity == Severity::Warning {
                report.add(Weight::Note, &place, issue.text);
            }
        }
        account_rules(&place, &record.claims, report);
        self.accounts.insert(record.key, record);
    }

    /// Checks a user as it would be when it connects with its key.
    pub(super) fn user(&self, place: &str, token: &str, now: i64, report: &mut Report) {
        let user: Verified<User> = match claims::decode(token) {
            Ok(user) => user,
            Err(error) => return report.add(Weight::Blocks, place, format!("the user JWT cannot be read: {error}")),
        };
        if let Err(reason) = self.admits(&user, now) {
            report.add(Weight::Blocks, place, format!("the user would be refused: {reason}"));
        }
    }

    fn admits(&self, user: &Claims<User>, now: i64) -> Result<(), String> {
        user.validate(now).require_valid().map_err(|invalid| invalid.to_string())?;
        let key = user.account().ok_or("it names no account")?;
        // An account that would be refused was reported as such.
        let Some(account) = self.accounts.get(&key) else { return Ok(()) };
        if account.signer_of(&user.issuer).is_none() {
            return Err(format!("it is signed by `{}`, which may not sign users of its account", user.issuer));
        }
        if user.issued_at <= 0 {
            return Err(
                "it does not say when it was issued, so that it could never be revoked: issue it again".to_owned()
            );
        }
        if account.claims.revokes(user) {
            return Err("it is revoked".to_owned());
        }
        if user.nats.template.bearer_token && account.claims.nats.limits.disallow_bearer {
            return Err("the account refuses bearer tokens".to_owned());
        }
        Ok(())
    }
}

fn account_rules(place: &str, account: &Claims<Account>, report: &mut Report) {
    let exports = &account.nats.exports;
    for (index, one) in exports.iter().enumerate() {
        if one.response_threshold > 0 && one.kind == ExportKind::Service {
            let text = format!("a changed `response_threshold` of `{}` counts from the next request on", one.subject);
            report.add(Weight::Note, place, text);
        }
        for other in exports.iter().skip(index + 1).filter(|other| other.kind == one.kind) {
            if matching::overlaps(one.subject.as_bytes(), other.subject.as_bytes()) {
                let text = format!(
                    "the exports `{}` and `{}` overlap: the most specific one decides; in nats-server any may",
                    one.subject, other.subject
                );
                report.add(Weight::Differs, place, text);
            }
        }
    }
    let subscribe = &account.nats.default_permissions.subscribe;
    for pattern in subscribe.allow.iter().filter(|pattern| pattern.ends_with(".*")) {
        report.add(
            Weight::Note,
            place,
            format!(
                "`{pattern}` does not allow a subscription to all below it: what is asked must be inside one entry"
            ),
        );
    }
}
