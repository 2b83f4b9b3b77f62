//! The block `auth_callout` of `authorization`: a service that decides about connections.

use std::collections::HashSet;

use cordon_accounts::key::{AccountKey, CurveKey};
use cordon_accounts::name::AccountName;
use cordon_auth::callout::CalloutSettings;

use super::value::{Node, Problem};

/// Reads the block; `None` after a problem that leaves nothing to put in force.
pub(super) fn read(node: &Node, problems: &mut Vec<Problem>) -> Option<CalloutSettings> {
    let (mut issuer, mut users, mut xkey) = (None, HashSet::new(), None);
    let (mut account, mut allowed_accounts) = (AccountName::global(), Vec::new());
    let told = problems.len();
    node.read(problems, |option, value| {
        match option {
            "issuer" => {
                let text = value.text()?;
                let key = AccountKey::parse(text).map_err(|error| {
                    value.problem(format!("`{text}` is no account key, which signs answers: {error}"))
                })?;
                issuer = Some(key);
            }
            "account" | "acc" => account = name(value)?,
            "auth_users" | "users" => users = value.texts()?.into_iter().map(str::to_owned).collect(),
            "xkey" | "key" => {
                let text = value.text()?;
                // Not repeated: whoever puts the seed here by mistake must not find it in a log.
                let key = CurveKey::parse(text).map_err(|error| {
                    value.problem(format!("`xkey` is no public curve key, one that begins with `X`: {error}"))
                })?;
                xkey = Some(key);
            }
            "allowed_accounts" => allowed_accounts = value.items().iter().map(name).collect::<Result<_, _>>()?,
            _ => return Ok(false),
        }
        Ok(true)
    });
    if problems.len() > told {
        return None;
    }
    if users.is_empty() {
        problems.push(node.problem("`auth_callout` needs `auth_users`: the names or nkeys of the service's own users"));
        return None;
    }
    let Some(issuer) = issuer else {
        problems.push(node.problem("`auth_callout` needs `issuer`: the account key that signs the answers"));
        return None;
    };
    Some(CalloutSettings { issuer, account, users, xkey, allowed_accounts })
}

fn name(node: &Node) -> Result<AccountName, Problem> {
    let text = node.text()?;
    if text.is_empty() {
        return Err(node.problem("an account's name cannot be empty"));
    }
    Ok(AccountName::new(text))
}

#[cfg(test)]
mod tests {
    use super::super::{Identities, load_text};
    use cordon_accounts::name::AccountName;

    const ISSUER: &str = "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV";
    const XKEY: &str = "XCHUBRNNW2HSKYSK4WZBJ2TWPJXMSTMCTU6XWXQ22G5G6PRBHAUF76G7";

    fn load(block: &str) -> Result<super::CalloutSettings, String> {
        let text = format!(
            "listen: \"127.0.0.1:4222\"\naccounts {{ AUTH {{ users: [{{user: auth, password: \"pwd\"}}] }}, APP {{}} }}\n\
             authorization {{ auth_callout {{ {block} }} }}"
        );
        let loaded = load_text(&text, "test").map_err(|error| error.to_string())?;
        match loaded.identities {
            Identities::Configured(configured) => Ok(configured.users.callout().expect("a callout").clone()),
            Identities::Operator(_) => panic!("configured mode"),
        }
    }

    #[test]
    fn a_block_is_read_with_every_name_of_its_options() {
        let settings = load(&format!("issuer: {ISSUER}, account: AUTH, auth_users: [auth, ghost]")).unwrap();
        assert_eq!((settings.issuer.to_string().as_str(), settings.account), (ISSUER, AccountName::new("AUTH")));
        assert!(settings.users.contains("auth") && settings.users.contains("ghost"));
        assert!(settings.xkey.is_none() && settings.allowed_accounts.is_empty());
        let short = format!("issuer: {ISSUER}, acc: AUTH, users: [auth], key: {XKEY}, allowed_accounts: [APP]");
        let settings = load(&short).unwrap();
        assert_eq!(settings.xkey.unwrap().to_string(), XKEY);
        assert_eq!(settings.allowed_accounts, [AccountName::new("APP")]);
    }

    #[test]
    fn what_could_never_work_is_a_problem() {
        let seed = "SXAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H74KM";
        for (block, part) in [
            ("account: AUTH, auth_users: [auth]".to_owned(), "needs `issuer`"),
            (format!("issuer: {ISSUER}, account: AUTH"), "needs `auth_users`"),
            (format!("issuer: {ISSUER}, account: AUTH, auth_users: []"), "needs `auth_users`"),
            (format!("issuer: {XKEY}, account: AUTH, auth_users: [auth]"), "no account key"),
            (format!("issuer: {ISSUER}, account: AUTH, auth_users: [auth], xkey: {ISSUER}"), "no public curve key"),
            (format!("issuer: {ISSUER}, account: AUTH, auth_users: [auth], xkey: {seed}"), "no public curve key"),
            (format!("issuer: {ISSUER}, account: NONE, auth_users: [auth]"), "`NONE` is not configured"),
            (format!("issuer: {ISSUER}, auth_users: [auth]"), "none of the `auth_users`"),
            (format!("issuer: {ISSUER}, account: AUTH, auth_users: [ghost]"), "none of the `auth_users`"),
            (format!("issuer: {ISSUER}, account: AUTH, auth_users: [auth], typo: 1"), "unknown option `typo`"),
            (
                format!("issuer: {ISSUER}, account: AUTH, auth_users: [auth], allowed_accounts: [\"\"]"),
                "cannot be empty",
            ),
        ] {
            let problem = load(&block).unwrap_err();
            assert!(problem.contains(part), "{block}: {problem}");
            assert!(!problem.contains(seed), "{problem}");
        }
    }
}
