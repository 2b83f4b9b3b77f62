//! `cordon operator`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::DryRun;
use super::body::Body;
use super::show::text;
use crate::api::Connect;
use crate::files;
use crate::output::{Column, column};

const COLUMNS: [Column; 5] = [
    column("name", "name"),
    column("key", "key"),
    column("custody", "custody"),
    column("strict", "strict_signing_key_usage"),
    column("system account", "system_account"),
];
const KEY_COLUMNS: [Column; 3] =
    [column("key", "key"), column("in vault", "in_vault"), column("created", "created_at")];

#[derive(Args, Debug)]
pub(crate) struct Operator {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List operators
    List,
    /// Show an operator
    Show { operator: String },
    /// Make an operator, or take one over
    Create(Box<Create>),
    /// Change an operator
    Edit(Box<Edit>),
    /// Delete an operator that has no accounts
    Delete {
        operator: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// List an operator's signing keys
    SigningKeys { operator: String },
    /// Add a signing key: a new one, or a public key that is brought
    AddSigningKey {
        operator: String,
        /// Public key whose seed stays with you
        #[arg(long, value_name = "O..")]
        key: Option<String>,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Remove a signing key: what it signed is believed no more
    RemoveSigningKey {
        operator: String,
        key: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct Create {
    name: String,
    /// Accounts must be signed by a signing key, not by the identity
    #[arg(long)]
    strict: bool,
    /// Make no signing key
    #[arg(long)]
    no_signing_key: bool,
    /// Make no system account
    #[arg(long)]
    no_system_account: bool,
    /// Label
    #[arg(long)]
    tag: Vec<String>,
    /// Operator JWT made elsewhere
    #[arg(long, value_name = "FILE")]
    import_jwt: Option<PathBuf>,
    /// Seed of the operator's identity
    #[arg(long, value_name = "FILE")]
    identity_seed_file: Option<PathBuf>,
    /// Seed of one of its signing keys, if the identity is to stay offline
    #[arg(long, value_name = "FILE", requires = "import_jwt", conflicts_with = "identity_seed_file")]
    signing_seed_file: Option<PathBuf>,
    #[command(flatten)]
    dry: DryRun,
}

#[derive(Args, Debug)]
struct Edit {
    operator: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// URL where account JWTs are served
    #[arg(long, value_name = "URL")]
    account_server_url: Option<String>,
    /// URL of a broker
    #[arg(long, value_name = "URL")]
    service_url: Vec<String>,
    /// System account
    #[arg(long, value_name = "ACCOUNT")]
    system_account: Option<String>,
    /// Whether accounts must be signed by a signing key
    #[arg(long, value_name = "true|false")]
    strict: Option<bool>,
    /// Label; replaces those that are there
    #[arg(long)]
    tag: Vec<String>,
    /// A newer operator JWT made elsewhere
    #[arg(long, value_name = "FILE")]
    jwt: Option<PathBuf>,
    #[command(flatten)]
    dry: DryRun,
}

impl Operator {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List => connect.show_list(&COLUMNS, api.list("operators", &[], None).await?),
            Act::Show { operator } => {
                let key = api.operator(&operator).await?;
                connect.show(&api.get(&format!("operators/{key}")).await?);
            }
            Act::Create(create) => create.run(connect).await?,
            Act::Edit(edit) => edit.run(connect).await?,
            Act::Delete { operator, dry } => {
                let key = api.operator(&operator).await?;
                let answer = api.delete(&format!("operators/{key}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("deleted operator {key}"));
            }
            Act::SigningKeys { operator } => {
                let key = api.operator(&operator).await?;
                connect.show_list(&KEY_COLUMNS, api.list(&format!("operators/{key}/signing-keys"), &[], None).await?);
            }
            Act::AddSigningKey { operator, key, dry } => {
                let path = format!("operators/{}/signing-keys", api.operator(&operator).await?);
                let answer = api.post(&path, &Body::default().maybe("key", key).into_value(), dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("added signing key {}", text(&answer, "/key")));
            }
            Act::RemoveSigningKey { operator, key, dry } => {
                let path = format!("operators/{}/signing-keys/{key}", api.operator(&operator).await?);
                let answer = api.delete(&path, &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("removed signing key {key}"));
            }
        }
        Ok(())
    }
}

impl Create {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let import = Body::default()
            .maybe("jwt", read(self.import_jwt.as_deref())?)
            .maybe("identity_seed", read(self.identity_seed_file.as_deref())?)
            .maybe("signing_seed", read(self.signing_seed_file.as_deref())?);
        let mut body = Body::default()
            .set("name", self.name)
            .flag("strict_signing_key_usage", self.strict)
            .list("tags", &self.tag);
        if self.no_signing_key {
            body = body.set("signing_key", false);
        }
        if self.no_system_account {
            body = body.set("system_account", false);
        }
        let answer =
            connect.api()?.post("operators", &body.object("import", import).into_value(), self.dry.dry_run).await?;
        let sentence = format!("created operator {} {}", text(&answer, "/name"), text(&answer, "/key"));
        connect.done(&answer, self.dry.dry_run, &sentence);
        Ok(())
    }
}

impl Edit {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        let system_account = match &self.system_account {
            Some(name) => Some(api.account(name).await?),
            None => None,
        };
        let body = Body::default()
            .maybe("name", self.name)
            .maybe("account_server_url", self.account_server_url)
            .list("service_urls", &self.service_url)
            .maybe("system_account", system_account)
            .maybe("strict_signing_key_usage", self.strict)
            .list("tags", &self.tag)
            .maybe("jwt", read(self.jwt.as_deref())?)
            .into_change()?;
        let key = api.operator(&self.operator).await?;
        let answer = api.patch(&format!("operators/{key}"), &body, self.dry.dry_run).await?;
        connect.done(&answer, self.dry.dry_run, &format!("changed operator {key}"));
        Ok(())
    }
}

fn read(path: Option<&Path>) -> anyhow::Result<Option<String>> {
    path.map(|path| files::read(path).map(|text| text.trim().to_owned())).transpose()
}
