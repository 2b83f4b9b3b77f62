//! `cordon export`.

use clap::{Args, Subcommand, ValueEnum};

use super::DryRun;
use super::body::Body;
use super::show::text;
use super::time::milliseconds;
use crate::api::{Connect, Version};
use crate::output::{Column, column};

const COLUMNS: [Column; 7] = [
    column("kind", "kind"),
    column("subject", "subject"),
    column("name", "name"),
    column("private", "token_required"),
    column("response", "response_type"),
    column("advertised", "advertise"),
    column("id", "id"),
];

#[derive(Args, Debug)]
pub(crate) struct Export {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

/// What crosses: messages to subscribers, or requests and their replies.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Kind {
    /// Messages to whoever imports
    Stream,
    /// Requests of whoever imports, and their replies
    Service,
}

impl Kind {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Service => "service",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Response {
    Singleton,
    Stream,
    Chunked,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List what an account exports
    List { account: String },
    /// Offer something to other accounts
    Add(Box<Offer>),
    /// Replace an export
    Set {
        account: String,
        /// Id, subject or name of the export
        export: String,
        #[command(flatten)]
        terms: Terms,
        /// New subject
        #[arg(long, value_name = "SUBJECT")]
        subject: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Withdraw an export: imports of it stop working
    Remove {
        account: String,
        /// Id, subject or name of the export
        export: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

#[derive(Args, Debug)]
struct Offer {
    account: String,
    subject: String,
    #[command(flatten)]
    terms: Terms,
    #[command(flatten)]
    dry: DryRun,
}

#[derive(Args, Debug)]
struct Terms {
    /// Whether messages or requests cross
    #[arg(long)]
    kind: Kind,
    /// Name for people
    #[arg(long)]
    name: Option<String>,
    /// Importers need an activation token
    #[arg(long)]
    private: bool,
    /// How a service answers: one reply, several, or one in pieces
    #[arg(long)]
    response: Option<Response>,
    /// How long replies may take
    #[arg(long, value_name = "TIME", value_parser = milliseconds)]
    response_threshold: Option<i64>,
    /// Token of the subject, counted from 1, that must be the importer's key
    #[arg(long, value_name = "N")]
    account_token_position: Option<u64>,
    /// Measure latency of this share of requests, in percent
    #[arg(long, value_name = "PERCENT", requires = "latency_subject")]
    latency_sampling: Option<u8>,
    /// Subject that latency is reported on
    #[arg(long, value_name = "SUBJECT", requires = "latency_sampling")]
    latency_subject: Option<String>,
    /// Show it to everybody
    #[arg(long)]
    advertise: bool,
    /// Importers may trace messages through it
    #[arg(long)]
    allow_trace: bool,
    /// What it is for
    #[arg(long)]
    description: Option<String>,
    /// Where more is said about it
    #[arg(long, value_name = "URL")]
    info_url: Option<String>,
}

impl Terms {
    fn body(&self, subject: &str) -> Body {
        let response = self.response.map(|response| match response {
            Response::Singleton => "singleton",
            Response::Stream => "stream",
            Response::Chunked => "chunked",
        });
        let latency = Body::default()
            .maybe("sampling_percent", self.latency_sampling)
            .maybe("results", self.latency_subject.clone());
        Body::default()
            .set("kind", self.kind.as_str())
            .set("subject", subject)
            .maybe("name", self.name.clone())
            .flag("token_required", self.private)
            .maybe("response_type", response)
            .maybe("response_threshold_ms", self.response_threshold)
            .maybe("account_token_position", self.account_token_position)
            .object("latency", latency)
            .flag("advertise", self.advertise)
            .flag("allow_trace", self.allow_trace)
            .maybe("description", self.description.clone())
            .maybe("info_url", self.info_url.clone())
    }
}

impl Export {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account } => {
                let account = api.account(&account).await?;
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/exports"), &[], None).await?);
            }
            Act::Add(offer) => {
                let account = api.account(&offer.account).await?;
                let body = offer.terms.body(&offer.subject).into_value();
                let answer = api.post(&format!("accounts/{account}/exports"), &body, offer.dry.dry_run).await?;
                let sentence =
                    format!("{} exports {} `{}`", offer.account, text(&answer, "/kind"), text(&answer, "/subject"));
                connect.done(&answer, offer.dry.dry_run, &sentence);
            }
            Act::Set { account, export, terms, subject, dry } => {
                let account = api.account(&account).await?;
                let id = api.export(&account, &export).await?;
                let path = format!("accounts/{account}/exports/{id}");
                let answer = api.put(&path, &terms.body(&subject).into_value(), &Version::Any, dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("changed export {export}"));
            }
            Act::Remove { account, export, dry } => {
                let account = api.account(&account).await?;
                let id = api.export(&account, &export).await?;
                let answer = api.delete(&format!("accounts/{account}/exports/{id}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("withdrew export {export}"));
            }
        }
        Ok(())
    }
}
