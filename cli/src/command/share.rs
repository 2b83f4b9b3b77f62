//! `cordon share`.

use clap::{Args, Subcommand, ValueEnum};

use super::DryRun;
use super::body::Body;
use super::show::text;
use super::time::Expiry;
use crate::api::Connect;
use crate::output::{Column, column};

const COLUMNS: [Column; 8] = [
    column("id", "id"),
    column("kind", "kind"),
    column("name", "name"),
    column("mode", "mode"),
    column("from", "exporter"),
    column("to", "importer"),
    column("state", "state"),
    column("prefix", "prefix"),
];

#[derive(Args, Debug)]
pub(crate) struct Share {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List what an account shares, and what others offer to it
    List { account: String },
    /// Show a share
    Show { account: String, share: String },
    /// Let another account have a stream, a bucket or an object store
    Offer(Box<Offer>),
    /// Take up what another account offers
    Accept {
        account: String,
        share: String,
        #[command(flatten)]
        naming: Naming,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Take a share back, or give up one that was taken: its consumers are deleted
    End {
        account: String,
        share: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

/// What is shared.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Kind {
    Stream,
    Bucket,
    Objects,
}

impl Kind {
    fn as_str(self) -> &'static str {
        match self {
            Self::Stream => "stream",
            Self::Bucket => "bucket",
            Self::Objects => "objects",
        }
    }
}

#[derive(Args, Debug)]
struct Offer {
    account: String,
    /// What is shared
    kind: Kind,
    /// Its name
    name: String,
    /// Account that may have it
    #[arg(long, value_name = "ACCOUNT")]
    to: String,
    /// It may be written to
    #[arg(long)]
    write: bool,
    /// Subject of a stream, or keys of a bucket, to narrow it to
    #[arg(long, value_name = "PATTERN")]
    subject: Vec<String>,
    /// What may be written, if it is not what may be read
    #[arg(long, value_name = "PATTERN", requires = "write")]
    write_subject: Vec<String>,
    /// For people
    #[arg(long)]
    description: Option<String>,
    #[command(flatten)]
    expiry: Expiry,
    /// Take it up for that account at once
    #[arg(long)]
    accept: bool,
    #[command(flatten)]
    naming: Naming,
    #[command(flatten)]
    dry: DryRun,
}

/// How the importer calls it.
#[derive(Args, Clone, Debug, Default)]
struct Naming {
    /// What clients call the API there; `$JS.<name>.API` if absent
    #[arg(long, value_name = "SUBJECT")]
    prefix: Option<String>,
    /// What inboxes of clients begin with there; `_INBOX` if absent
    #[arg(long, value_name = "SUBJECT")]
    inbox: Option<String>,
}

impl Naming {
    fn body(self) -> Body {
        Body::default().maybe("prefix", self.prefix).maybe("inbox", self.inbox)
    }
}

impl Share {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account } => {
                let account = api.account(&account).await?;
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/shares"), &[], None).await?);
            }
            Act::Show { account, share } => {
                let account = api.account(&account).await?;
                let id = api.share(&account, &share).await?;
                connect.show(&api.get(&format!("accounts/{account}/shares/{id}")).await?);
            }
            Act::Offer(offer) => offer.run(connect).await?,
            Act::Accept { account, share, naming, dry } => {
                let key = api.account(&account).await?;
                let id = api.share(&key, &share).await?;
                let path = format!("accounts/{key}/shares/{id}/acceptance");
                let answer = api.post(&path, &naming.body().into_value(), dry.dry_run).await?;
                let sentence = format!(
                    "{account} uses {} `{}`; give its clients the JetStream prefix `{}`",
                    text(&answer, "/kind"),
                    text(&answer, "/name"),
                    text(&answer, "/prefix")
                );
                connect.done(&answer, dry.dry_run, &sentence);
            }
            Act::End { account, share, dry } => {
                let account = api.account(&account).await?;
                let id = api.share(&account, &share).await?;
                let answer = api.delete(&format!("accounts/{account}/shares/{id}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("ended share {share}"));
            }
        }
        Ok(())
    }
}

impl Offer {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        let account = api.account(&self.account).await?;
        let importer = api.account(&self.to).await?;
        let naming = self.naming.body();
        if !self.accept && !naming.is_empty() {
            return Err(crate::failure::usage("`--prefix` and `--inbox` go with `--accept`"));
        }
        let body = Body::default()
            .set("importer", importer)
            .set("kind", self.kind.as_str())
            .set("name", self.name)
            .maybe("mode", self.write.then_some("read_write"))
            .list("subjects", &self.subject)
            .list("write_subjects", &self.write_subject)
            .maybe("description", self.description)
            .with(self.expiry.body())
            .maybe("accept", self.accept.then(|| naming.into_value()));
        let answer = api.post(&format!("accounts/{account}/shares"), &body.into_value(), self.dry.dry_run).await?;
        let what = format!("{} `{}`", text(&answer, "/kind"), text(&answer, "/name"));
        let id = text(&answer, "/id");
        let sentence = if self.accept {
            format!(
                "{} uses {what} of {}; give its clients the JetStream prefix `{}`",
                self.to,
                self.account,
                text(&answer, "/prefix")
            )
        } else {
            format!(
                "{} offers {what} to {}; take it up with `cordon share accept {} {id}`",
                self.account, self.to, self.to
            )
        };
        connect.done(&answer, self.dry.dry_run, &sentence);
        Ok(())
    }
}
