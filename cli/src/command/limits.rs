//! `cordon limits`.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::DryRun;
use super::body::Body;
use crate::api::Connect;

#[derive(Args, Debug)]
pub(crate) struct Limits {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Show the limits of an account
    Show { account: String },
    /// Change some limits; the others stay
    Set {
        account: String,
        #[command(flatten)]
        change: Box<Change>,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct Change {
    /// Connections
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    connections: Option<Limit>,
    /// Leaf node connections
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    leaf_nodes: Option<Limit>,
    /// Subscriptions of one connection
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    subscriptions: Option<Limit>,
    /// Bytes of one message
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    payload_bytes: Option<Limit>,
    /// Bytes in all
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    data_bytes: Option<Limit>,
    /// Imports
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    imports: Option<Limit>,
    /// Exports
    #[arg(long, value_name = "N|unlimited", value_parser = limit)]
    exports: Option<Limit>,
    /// Whether exports may have wildcards
    #[arg(long, value_name = "true|false")]
    wildcard_exports: Option<bool>,
    /// Whether bearer tokens are refused
    #[arg(long, value_name = "true|false")]
    disallow_bearer: Option<bool>,
}

/// `None` is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u64>);

impl From<Limit> for Value {
    fn from(limit: Limit) -> Self {
        limit.0.map_or(Self::Null, Self::from)
    }
}

fn limit(text: &str) -> Result<Limit, String> {
    if matches!(text, "unlimited" | "-1") {
        return Ok(Limit(None));
    }
    text.parse()
        .map(|number| Limit(Some(number)))
        .map_err(|_| format!("`{text}` is no limit; write a number or `unlimited`"))
}

impl Change {
    fn body(self) -> Body {
        Body::default()
            .maybe("connections", self.connections)
            .maybe("leaf_nodes", self.leaf_nodes)
            .maybe("subscriptions", self.subscriptions)
            .maybe("payload_bytes", self.payload_bytes)
            .maybe("data_bytes", self.data_bytes)
            .maybe("imports", self.imports)
            .maybe("exports", self.exports)
            .maybe("wildcard_exports", self.wildcard_exports)
            .maybe("disallow_bearer", self.disallow_bearer)
    }
}

impl Limits {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::Show { account } => {
                let account = api.account(&account).await?;
                connect.show(&api.get(&format!("accounts/{account}/limits")).await?);
            }
            Act::Set { account, change, dry } => {
                let change = change.body().into_change()?;
                let path = format!("accounts/{}/limits", api.account(&account).await?);
                // Read and replaced under the version that was read, so that no other change is undone.
                let mut read = api.read(&path).await?;
                merge(&mut read.body, change);
                let answer = api.put(&path, &read.body, &read.version, dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("changed the limits of {account}"));
            }
        }
        Ok(())
    }
}

fn merge(into: &mut Value, change: Value) {
    if let (Some(fields), Value::Object(change)) = (into.as_object_mut(), change) {
        fields.extend(change);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_numbers_or_unlimited() {
        assert_eq!(limit("10"), Ok(Limit(Some(10))));
        assert_eq!(limit("0"), Ok(Limit(Some(0))));
        assert_eq!(limit("unlimited"), Ok(Limit(None)));
        assert_eq!(limit("-1"), Ok(Limit(None)));
        for wrong in ["", "-2", "ten", "1.5", "1k"] {
            assert!(limit(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_not_named_stays() {
        let mut read = json!({ "connections": 5, "exports": 2 });
        merge(&mut read, json!({ "connections": null }));
        assert_eq!(read, json!({ "connections": null, "exports": 2 }));
    }
}
