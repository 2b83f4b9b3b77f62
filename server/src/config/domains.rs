//! The option `default_js_domain`: accounts without streams here whose clients reach those of a domain elsewhere.

use std::collections::BTreeMap;
use std::sync::Arc;

use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;

use super::jetstream;
use super::value::{Node, Problem};
use crate::tenant::configured::ConfiguredAccounts;

/// The domain of each account that has one, with where it was said.
#[derive(Debug, Default)]
pub(super) struct DefaultDomains(Vec<(AccountName, Arc<str>, Node)>);

impl DefaultDomains {
    /// Reads the accounts and their domains. An account without a name of a domain is left out, and `warnings` says so.
    ///
    /// # Errors
    ///
    /// A [`Problem`] if a name is none of a domain.
    pub(super) fn read(node: &Node, warnings: &mut Vec<String>) -> Result<Self, Problem> {
        let mut domains = Vec::new();
        for entry in node.entries()? {
            let domain = jetstream::domain(&entry.node)?;
            if domain.is_empty() {
                warnings.push(format!(
                    "`default_js_domain` names no domain for the account `{}`: it has no effect, requests to \
                     `$JS.API` do not cross leaf connections",
                    entry.key.escape_debug()
                ));
                continue;
            }
            domains.push((AccountName::from(entry.key.as_str()), domain, entry.node.clone()));
        }
        Ok(Self(domains))
    }

    /// The domains, if each is of an account that is there and has no streams of its own; without `accounts`, in
    /// operator mode, of what may be one.
    pub(super) fn finish(
        self,
        accounts: Option<&ConfiguredAccounts>,
        problems: &mut Vec<Problem>,
    ) -> BTreeMap<AccountName, Arc<str>> {
        for (account, _, node) in &self.0 {
            let text = match accounts {
                None => match account.as_str().parse::<AccountKey>() {
                    Ok(_) => continue,
                    Err(_) => "is no public key of an account",
                },
                Some(accounts) => match accounts.get(account) {
                    None => "is not there: add it to `accounts`",
                    Some(terms) if terms.jetstream.is_some() => "has JetStream here: remove one of the two",
                    Some(_) => continue,
                },
            };
            problems.push(node.problem(format!("the account `{account}` of `default_js_domain` {text}")));
        }
        self.0.into_iter().map(|(account, domain, _)| (account, domain)).collect()
    }
}

#[cfg(test)]
mod tests {
    use crate::config::load_text;

    const ACCOUNTS: &str = "accounts { A { users: [ { user: a, password: p } ] }, \
                            J { jetstream: enabled, users: [ { user: j, password: p } ] } }\n";

    #[test]
    fn an_account_without_streams_may_have_the_domain_of_others() {
        let loaded = load_text(&format!("{ACCOUNTS}default_js_domain {{ A: hub }}"), "test.conf").unwrap();
        let domains: Vec<_> = loaded.broker.default_domains.iter().map(|(name, to)| (name.as_str(), &**to)).collect();
        assert_eq!(domains, [("A", "hub")]);
        let loaded = load_text(&format!("{ACCOUNTS}default_js_domain {{ A: \"\" }}"), "test.conf").unwrap();
        assert!(loaded.broker.default_domains.is_empty());
        assert!(loaded.warnings.iter().any(|warning| warning.contains("names no domain for the account `A`")));
    }

    #[test]
    fn who_is_not_there_or_has_streams_is_refused() {
        for (domains, told) in [
            ("{ NOPE: hub }", "`NOPE` of `default_js_domain` is not there"),
            ("{ J: hub }", "`J` of `default_js_domain` has JetStream here"),
            ("{ A: \"a.b\" }", "no name of a domain"),
            ("{ A: \"*\" }", "no name of a domain"),
            ("{ A: \">\" }", "no name of a domain"),
            ("{ A: \"$SYS\" }", "no name of a domain"),
            ("hub", "a map"),
        ] {
            let text = format!("jetstream: enabled\n{ACCOUNTS}default_js_domain: {domains}");
            let refused = load_text(&text, "test.conf").unwrap_err().to_string();
            assert!(refused.contains(told), "{domains}: {refused}");
        }
    }
}
