//! `cordon activation`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::DryRun;
use super::body::Body;
use super::secret::check_folder;
use super::show::text;
use super::time::Expiry;
use crate::api::Connect;
use crate::files::{self, Readable};
use crate::output::{self, Column, column, say};

const COLUMNS: [Column; 7] = [
    column("importer", "importer"),
    column("kind", "kind"),
    column("subject", "subject"),
    column("issued", "issued_at"),
    column("expires", "expires_at"),
    column("revoked", "revoked"),
    column("id", "id"),
];

#[derive(Args, Debug)]
pub(crate) struct Activation {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the activations that an account has issued
    List { account: String },
    /// Let another account import a private export
    Issue(Box<Issue>),
    /// Take an activation back
    Revoke {
        account: String,
        /// Id of the activation
        id: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct Issue {
    /// The exporting account
    account: String,
    /// Id, subject or name of the export
    export: String,
    /// Account that may import
    importer: String,
    /// A narrower subject than the export's
    #[arg(long, value_name = "SUBJECT")]
    subject: Option<String>,
    #[command(flatten)]
    expiry: Expiry,
    /// Write the token to this file instead of printing it
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    dry: DryRun,
}

impl Activation {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account } => {
                let account = api.account(&account).await?;
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/activations"), &[], None).await?);
            }
            Act::Issue(issue) => issue.run(connect).await?,
            Act::Revoke { account, id, dry } => {
                let account = api.account(&account).await?;
                let answer = api.delete(&format!("accounts/{account}/activations/{id}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("revoked activation {id}"));
            }
        }
        Ok(())
    }
}

impl Issue {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        if let Some(out) = &self.out {
            check_folder(out)?;
        }
        let account = api.account(&self.account).await?;
        let body = Body::default()
            .set("export", api.export(&account, &self.export).await?)
            .set("importer", api.account(&self.importer).await?)
            .maybe("subject", self.subject)
            .with(self.expiry.body());
        let answer = api.post(&format!("accounts/{account}/activations"), &body.into_value(), self.dry.dry_run).await?;
        let token = answer.get("token").and_then(Value::as_str).unwrap_or_default();
        match &self.out {
            _ if self.dry.dry_run => connect.done(&answer, true, ""),
            None if connect.json => output::json(&answer),
            // Without a file the token alone is printed, so that it can be piped.
            None => say(token),
            Some(out) => {
                files::write(out, token.as_bytes(), Readable::ByOwner)?;
                let sentence = format!(
                    "{} may import `{}`; token in {}",
                    self.importer,
                    text(&answer, "/activation/subject"),
                    out.display()
                );
                connect.done(&answer, false, &sentence);
            }
        }
        Ok(())
    }
}
