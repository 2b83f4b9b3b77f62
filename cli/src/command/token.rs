//! `cordon token`.

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::Value;

use super::body::Body;
use super::secret::SecretOut;
use super::show::text;
use super::time::Expiry;
use crate::api::Connect;
use crate::failure::usage;
use crate::output::{self, Column, column, say};

const COLUMNS: [Column; 6] = [
    column("name", "name"),
    column("id", "id"),
    column("role", "role"),
    column("accounts", "accounts"),
    column("expires", "expires_at"),
    column("revoked", "revoked_at"),
];

#[derive(Args, Debug)]
pub(crate) struct Token {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Role {
    /// May do everything
    Owner,
    /// Runs operators and accounts
    OperatorAdmin,
    /// Runs the accounts that are named
    AccountAdmin,
    /// May look at everything
    Auditor,
}

impl Role {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::OperatorAdmin => "operator_admin",
            Self::AccountAdmin => "account_admin",
            Self::Auditor => "auditor",
        }
    }
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List API tokens
    List,
    /// Show an API token
    Show {
        /// Id or name
        token: String,
    },
    /// Make an API token; its secret is shown once
    Create(Box<Create>),
    /// Revoke an API token
    Revoke {
        /// Id or name
        token: String,
    },
}

#[derive(Args, Debug)]
struct Create {
    name: String,
    /// What its bearer may do
    #[arg(long)]
    role: Role,
    /// Account that an account admin may run
    #[arg(long)]
    account: Vec<String>,
    #[command(flatten)]
    expiry: Expiry,
    #[command(flatten)]
    out: SecretOut,
}

impl Token {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List => connect.show_list(&COLUMNS, api.list("tokens", &[], None).await?),
            Act::Show { token } => {
                let id = api.token(&token).await?;
                connect.show(&api.get(&format!("tokens/{id}")).await?);
            }
            Act::Create(create) => create.run(connect).await?,
            Act::Revoke { token } => {
                let id = api.token(&token).await?;
                let answer = api.delete(&format!("tokens/{id}"), &[], false).await?;
                connect.done(&answer, false, &format!("revoked token {id}"));
            }
        }
        Ok(())
    }
}

impl Create {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        if self.role == Role::AccountAdmin && self.account.is_empty() {
            return Err(usage("name the accounts of an account admin with --account"));
        }
        let whole_answer = connect.json && self.out.out.is_none();
        if !whole_answer {
            self.out.check("token")?;
        }
        let api = connect.api()?;
        let mut accounts = Vec::new();
        for name in &self.account {
            accounts.push(api.account(name).await?);
        }
        let body = Body::default()
            .set("name", self.name)
            .set("role", self.role.as_str())
            .list("accounts", &accounts)
            .with(self.expiry.body());
        let mut answer = api.post("tokens", &body.into_value(), false).await?;
        if whole_answer {
            output::json(&answer);
            return Ok(());
        }
        let secret = answer.as_object_mut().and_then(|fields| fields.remove("secret"));
        let secret = secret.as_ref().and_then(Value::as_str).context("the API made the token, but gave no secret")?;
        if let Some(place) = self.out.hand_over(secret)? {
            connect.done(&answer, false, &format!("made token {}", text(&answer, "/token/id")));
            if !connect.json {
                say(&format!("secret in {}", place.display()));
            }
        }
        Ok(())
    }
}
