//! `cordon account`.

use clap::{Args, Subcommand};

use super::DryRun;
use super::body::Body;
use super::show::text;
use super::template::Permissions;
use crate::api::Connect;
use crate::output::{Column, column};

const COLUMNS: [Column; 6] = [
    column("name", "name"),
    column("key", "key"),
    column("state", "state"),
    column("system", "is_system"),
    column("push", "push"),
    column("expires", "expires_at"),
];

#[derive(Args, Debug)]
pub(crate) struct Account {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List accounts
    List {
        /// Only those of this operator
        #[arg(long)]
        operator: Option<String>,
        /// Only those of this name
        #[arg(long)]
        name: Option<String>,
        /// Only those in this state: active, suspended, deleted
        #[arg(long)]
        state: Option<String>,
    },
    /// Show an account
    Show { account: String },
    /// Make an account
    Create(Box<Create>),
    /// Change an account
    Edit(Box<Edit>),
    /// Delete an account: its connections end
    Delete {
        account: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Turn all its users away until it is resumed
    Suspend {
        account: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Let its users in again
    Resume {
        account: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct Create {
    name: String,
    /// Operator that signs it; needed if there are several
    #[arg(long)]
    operator: Option<String>,
    /// Public key that the tenant brings; its seed stays there
    #[arg(long, value_name = "A..")]
    key: Option<String>,
    #[command(flatten)]
    about: About,
    /// Make a signing key for it
    #[arg(long)]
    signing_key: bool,
    #[command(flatten)]
    default_permissions: Permissions,
    #[command(flatten)]
    dry: DryRun,
}

#[derive(Args, Debug)]
struct Edit {
    account: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    #[command(flatten)]
    about: About,
    /// It is valid without end
    #[arg(long, conflicts_with = "expires_at")]
    no_expiry: bool,
    #[command(flatten)]
    default_permissions: Permissions,
    #[command(flatten)]
    dry: DryRun,
}

#[derive(Args, Debug)]
struct About {
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Where more is said about it
    #[arg(long, value_name = "URL")]
    info_url: Option<String>,
    /// Label
    #[arg(long)]
    tag: Vec<String>,
    /// Until when it is valid: 2030-01-31T00:00:00Z
    #[arg(long, value_name = "RFC 3339")]
    expires_at: Option<String>,
}

impl About {
    fn body(self) -> Body {
        Body::default()
            .maybe("description", self.description)
            .maybe("info_url", self.info_url)
            .list("tags", &self.tag)
            .maybe("expires_at", self.expires_at)
    }
}

impl Account {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { operator, name, state } => {
                let mut query = Vec::new();
                if let Some(operator) = operator {
                    query.push(("operator", api.operator(&operator).await?));
                }
                query.extend(name.map(|name| ("name", name)));
                query.extend(state.map(|state| ("state", state)));
                connect.show_list(&COLUMNS, api.list("accounts", &query, None).await?);
            }
            Act::Show { account } => {
                let key = api.account(&account).await?;
                connect.show(&api.get(&format!("accounts/{key}")).await?);
            }
            Act::Create(create) => create.run(connect).await?,
            Act::Edit(edit) => edit.run(connect).await?,
            Act::Delete { account, dry } => {
                let key = api.account(&account).await?;
                let answer = api.delete(&format!("accounts/{key}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("deleted account {key}"));
            }
            Act::Suspend { account, dry } => switch(connect, &account, "suspend", dry).await?,
            Act::Resume { account, dry } => switch(connect, &account, "resume", dry).await?,
        }
        Ok(())
    }
}

async fn switch(connect: &Connect, account: &str, verb: &str, dry: DryRun) -> anyhow::Result<()> {
    let api = connect.api()?;
    let key = api.account(account).await?;
    let answer = api.post_empty(&format!("accounts/{key}/{verb}"), dry.dry_run).await?;
    connect.done(&answer, dry.dry_run, &format!("account {key} is {}", text(&answer, "/state")));
    Ok(())
}

impl Create {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        let operator = match &self.operator {
            Some(name) => Some(api.operator(name).await?),
            None => None,
        };
        let body = Body::default()
            .set("name", self.name)
            .maybe("operator", operator)
            .maybe("key", self.key)
            .flag("signing_key", self.signing_key)
            .object("default_permissions", self.default_permissions.body())
            .with(self.about.body());
        let answer = api.post("accounts", &body.into_value(), self.dry.dry_run).await?;
        let sentence = format!("created account {} {}", text(&answer, "/name"), text(&answer, "/key"));
        connect.done(&answer, self.dry.dry_run, &sentence);
        Ok(())
    }
}

impl Edit {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        let mut body = Body::default()
            .maybe("name", self.name)
            .object("default_permissions", self.default_permissions.body())
            .with(self.about.body());
        if self.no_expiry {
            body = body.set("expires_at", serde_json::Value::Null);
        }
        let body = body.into_change()?;
        let key = api.account(&self.account).await?;
        let answer = api.patch(&format!("accounts/{key}"), &body, self.dry.dry_run).await?;
        connect.done(&answer, self.dry.dry_run, &format!("changed account {key}"));
        Ok(())
    }
}
