//! From a name as people say it to the key that the API wants.
//!
//! A key is taken as it is. A name is looked for in the list; one that fits several is an error, since
//! a command must not guess whom it changes.

use anyhow::bail;
use serde_json::Value;

use super::Api;
use crate::output::printable;

/// Where a sort of thing is listed, and by which fields people call it.
struct Naming<'a> {
    what: &'a str,
    /// The field that the API wants.
    id: &'a str,
    /// The fields that people may use.
    names: &'a [&'a str],
    /// The command that lists them.
    list: String,
}

impl Api {
    /// The key of an operator.
    pub(crate) async fn operator(&self, name: &str) -> anyhow::Result<String> {
        if is_key(name, 'O') {
            return Ok(name.to_owned());
        }
        let items = self.list("operators", &[], None).await?;
        pick(
            &items,
            name,
            &Naming { what: "operator", id: "key", names: &["name"], list: "cordon operator list".to_owned() },
        )
    }

    /// The key of an account.
    pub(crate) async fn account(&self, name: &str) -> anyhow::Result<String> {
        if is_key(name, 'A') {
            return Ok(name.to_owned());
        }
        let items = self.list("accounts", &[("name", name.to_owned())], None).await?;
        pick(
            &items,
            name,
            &Naming { what: "account", id: "key", names: &["name"], list: "cordon account list".to_owned() },
        )
    }

    /// The key of a user of an account (given by its key).
    pub(crate) async fn user(&self, account: &str, name: &str) -> anyhow::Result<String> {
        if is_key(name, 'U') {
            return Ok(name.to_owned());
        }
        let items = self.list(&format!("accounts/{account}/users"), &[], None).await?;
        let list = format!("cordon user list {account}");
        pick(&items, name, &Naming { what: "user", id: "key", names: &["name"], list })
    }

    /// A signing key of an account, by itself or the role of its scope.
    pub(crate) async fn signing_key(&self, account: &str, name: &str) -> anyhow::Result<String> {
        if is_key(name, 'A') {
            return Ok(name.to_owned());
        }
        let items = self.list(&format!("accounts/{account}/signing-keys"), &[], None).await?;
        let list = format!("cordon signing-key list {account}");
        pick(&items, name, &Naming { what: "signing key", id: "key", names: &["scope/role"], list })
    }

    /// The id of an export, by id, subject or name.
    pub(crate) async fn export(&self, account: &str, name: &str) -> anyhow::Result<String> {
        let items = self.list(&format!("accounts/{account}/exports"), &[], None).await?;
        let list = format!("cordon export list {account}");
        pick(&items, name, &Naming { what: "export", id: "id", names: &["id", "subject", "name"], list })
    }

    /// The id of an import, by id, subject or name.
    pub(crate) async fn import(&self, account: &str, name: &str) -> anyhow::Result<String> {
        let items = self.list(&format!("accounts/{account}/imports"), &[], None).await?;
        let list = format!("cordon import list {account}");
        pick(
            &items,
            name,
            &Naming { what: "import", id: "id", names: &["id", "subject", "local_subject", "name"], list },
        )
    }

    /// The id of a share, by id or the name of what is shared.
    pub(crate) async fn share(&self, account: &str, name: &str) -> anyhow::Result<String> {
        let items = self.list(&format!("accounts/{account}/shares"), &[], None).await?;
        let list = format!("cordon share list {account}");
        pick(&items, name, &Naming { what: "share", id: "id", names: &["id", "name"], list })
    }

    /// The id of an API token, by id or name.
    pub(crate) async fn token(&self, name: &str) -> anyhow::Result<String> {
        let items = self.list("tokens", &[], None).await?;
        pick(
            &items,
            name,
            &Naming { what: "token", id: "id", names: &["id", "name"], list: "cordon token list".to_owned() },
        )
    }
}

/// Whether the text has the form of a public key of this role. The API checks it in full.
fn is_key(text: &str, role: char) -> bool {
    text.len() == 56
        && text.starts_with(role)
        && text.bytes().all(|byte| byte.is_ascii_uppercase() || (b'2'..=b'7').contains(&byte))
}

fn pick(items: &[Value], name: &str, naming: &Naming<'_>) -> anyhow::Result<String> {
    let is_meant = |item: &&Value| {
        naming.names.iter().any(|field| item.pointer(&format!("/{field}")).and_then(Value::as_str) == Some(name))
    };
    let all: Vec<&Value> = items.iter().filter(is_meant).collect();
    // A name that was freed may be in use again: what is gone counts only if nothing else is meant.
    let live: Vec<&Value> = all.iter().filter(|item| !is_gone(item)).copied().collect();
    let found = if live.is_empty() { all } else { live };
    let id = |item: &Value| item.get(naming.id).and_then(Value::as_str).unwrap_or_default().to_owned();
    let Naming { what, list, .. } = naming;
    match found.as_slice() {
        [one] => Ok(id(one)),
        [] => bail!("there is no {what} `{}`; `{list}` shows those that exist", printable(name)),
        several => {
            let ids: Vec<String> = several.iter().map(|item| id(item)).collect();
            bail!("`{}` fits several: {}; name the one you mean by its {}", printable(name), ids.join(", "), naming.id)
        }
    }
}

fn is_gone(item: &Value) -> bool {
    matches!(item.get("state").and_then(Value::as_str), Some("deleted" | "revoked"))
        || item.get("revoked_at").is_some_and(Value::is_string)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn accounts() -> Naming<'static> {
        Naming { what: "account", id: "key", names: &["name"], list: "cordon account list".to_owned() }
    }

    #[test]
    fn a_name_gives_its_key() {
        let items = [json!({ "key": "A1", "name": "acme" }), json!({ "key": "A2", "name": "other" })];
        assert_eq!(pick(&items, "other", &accounts()).unwrap(), "A2");
    }

    #[test]
    fn a_name_in_use_goes_before_a_freed_one() {
        let items = [
            json!({ "key": "A1", "name": "acme", "state": "deleted" }),
            json!({ "key": "A2", "name": "acme", "state": "active" }),
        ];
        assert_eq!(pick(&items, "acme", &accounts()).unwrap(), "A2");
        assert_eq!(pick(&items[..1], "acme", &accounts()).unwrap(), "A1");
    }

    #[test]
    fn what_is_not_clear_is_an_error() {
        let items = [json!({ "key": "A1", "name": "acme" }), json!({ "key": "A2", "name": "acme" })];
        let text = pick(&items, "acme", &accounts()).unwrap_err().to_string();
        assert!(text.contains("A1, A2") && text.contains("by its key"), "{text}");
        let text = pick(&items, "Acme", &accounts()).unwrap_err().to_string();
        assert!(text.contains("cordon account list"), "{text}");
    }

    #[test]
    fn only_whole_keys_are_taken_as_keys() {
        let key = format!("A{}", "B".repeat(55));
        assert!(is_key(&key, 'A'));
        for wrong in [
            "",
            "A",
            "acme",
            key.get(1..).unwrap(),
            &key.to_lowercase(),
            &key.replacen('A', "U", 1),
            &format!("{key}A"),
        ] {
            assert!(!is_key(wrong, 'A'), "{wrong}");
        }
    }

    #[test]
    fn scoped_keys_are_called_by_their_role() {
        let items = [json!({ "key": "A1", "scope": null }), json!({ "key": "A2", "scope": { "role": "reader" } })];
        let naming = Naming { what: "signing key", id: "key", names: &["scope/role"], list: String::new() };
        assert_eq!(pick(&items, "reader", &naming).unwrap(), "A2");
    }
}
