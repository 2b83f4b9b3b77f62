//! `cordon signing-key`.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::DryRun;
use super::body::Body;
use super::show::text;
use super::template::Template;
use crate::api::{Connect, Version};
use crate::output::{Column, column};

const COLUMNS: [Column; 4] = [
    column("key", "key"),
    column("role", "scope/role"),
    column("in vault", "in_vault"),
    column("created", "created_at"),
];

#[derive(Args, Debug)]
pub(crate) struct SigningKey {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the signing keys of an account
    List { account: String },
    /// Add a signing key, scoped when a role is given
    Add {
        account: String,
        /// Public key that is brought; its seed stays there
        #[arg(long, value_name = "A..")]
        key: Option<String>,
        #[command(flatten)]
        scope: ScopeArgs,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Change what users of a signing key may do
    Scope {
        account: String,
        key: String,
        #[command(flatten)]
        scope: ScopeArgs,
        /// Make it a plain signing key
        #[arg(long, conflicts_with = "role")]
        clear: bool,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Remove a signing key: users that it signed are turned away
    Remove {
        account: String,
        key: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct ScopeArgs {
    /// Name of what its users are
    #[arg(long)]
    role: Option<String>,
    /// What the role is for
    #[arg(long, requires = "role")]
    description: Option<String>,
    #[command(flatten)]
    template: Template,
}

impl ScopeArgs {
    fn body(&self) -> anyhow::Result<Option<Value>> {
        let template = self.template.body();
        let Some(role) = &self.role else {
            if template.is_empty() {
                return Ok(None);
            }
            return Err(crate::failure::usage("permissions belong to a scope: name it with --role"));
        };
        let scope = Body::default().set("role", role.clone()).maybe("description", self.description.clone());
        Ok(Some(scope.set("template", template.into_value()).into_value()))
    }
}

impl SigningKey {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account } => {
                let account = api.account(&account).await?;
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/signing-keys"), &[], None).await?);
            }
            Act::Add { account, key, scope, dry } => {
                let body = Body::default().maybe("key", key).maybe("scope", scope.body()?).into_value();
                let account = api.account(&account).await?;
                let answer = api.post(&format!("accounts/{account}/signing-keys"), &body, dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("added signing key {}", text(&answer, "/key")));
            }
            Act::Scope { account, key, scope, clear, dry } => {
                let scope = match (scope.body()?, clear) {
                    (Some(scope), _) => scope,
                    (None, true) => Value::Null,
                    (None, false) => return Err(crate::failure::usage("give a scope with --role, or --clear")),
                };
                let account = api.account(&account).await?;
                let key = api.signing_key(&account, &key).await?;
                let path = format!("accounts/{account}/signing-keys/{key}");
                let answer = api.put(&path, &json!({ "scope": scope }), &Version::Any, dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("changed signing key {key}"));
            }
            Act::Remove { account, key, dry } => {
                let account = api.account(&account).await?;
                let key = api.signing_key(&account, &key).await?;
                let answer = api.delete(&format!("accounts/{account}/signing-keys/{key}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("removed signing key {key}"));
            }
        }
        Ok(())
    }
}
