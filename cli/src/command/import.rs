//! `cordon import`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DryRun;
use super::body::Body;
use super::export::Kind;
use super::show::text;
use crate::api::Connect;
use crate::files;
use crate::output::{Column, column};

const COLUMNS: [Column; 7] = [
    column("kind", "kind"),
    column("subject", "subject"),
    column("local subject", "local_subject"),
    column("from", "account"),
    column("state", "state"),
    column("detail", "detail"),
    column("id", "id"),
];

#[derive(Args, Debug)]
pub(crate) struct Import {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List what an account imports, and whether it works
    List { account: String },
    /// Take what another account offers
    Add(Box<Add>),
    /// Stop importing
    Remove {
        account: String,
        /// Id, subject or name of the import
        import: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct Add {
    account: String,
    /// The exporter's subject
    subject: String,
    /// Account that exports it
    #[arg(long, value_name = "ACCOUNT")]
    from: String,
    /// Whether messages or requests cross
    #[arg(long)]
    kind: Kind,
    /// Subject by which it is used here
    #[arg(long, value_name = "SUBJECT")]
    local_subject: Option<String>,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Activation token, for a private export
    #[arg(long, value_name = "FILE")]
    activation_file: Option<PathBuf>,
    /// Let the exporter see who asks
    #[arg(long)]
    share: bool,
    /// The exporter may trace messages through it
    #[arg(long)]
    allow_trace: bool,
    #[command(flatten)]
    dry: DryRun,
}

impl Import {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account } => {
                let account = api.account(&account).await?;
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/imports"), &[], None).await?);
            }
            Act::Add(add) => add.run(connect).await?,
            Act::Remove { account, import, dry } => {
                let account = api.account(&account).await?;
                let id = api.import(&account, &import).await?;
                let answer = api.delete(&format!("accounts/{account}/imports/{id}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("removed import {import}"));
            }
        }
        Ok(())
    }
}

impl Add {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        let token = self.activation_file.as_deref().map(files::read).transpose()?;
        let account = api.account(&self.account).await?;
        let exporter = api.account(&self.from).await?;
        let body = Body::default()
            .set("kind", self.kind.as_str())
            .set("account", exporter)
            .set("subject", self.subject)
            .maybe("local_subject", self.local_subject)
            .maybe("name", self.name)
            .maybe("token", token.map(|token| token.trim().to_owned()))
            .flag("share", self.share)
            .flag("allow_trace", self.allow_trace);
        let answer = api.post(&format!("accounts/{account}/imports"), &body.into_value(), self.dry.dry_run).await?;
        let local = Some(text(&answer, "/local_subject"))
            .filter(|local| !local.is_empty())
            .unwrap_or_else(|| text(&answer, "/subject"));
        let sentence = format!(
            "{} imports {} `{}` of {} as `{local}`",
            self.account,
            text(&answer, "/kind"),
            text(&answer, "/subject"),
            self.from
        );
        connect.done(&answer, self.dry.dry_run, &sentence);
        Ok(())
    }
}
