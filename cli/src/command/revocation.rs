//! `cordon revocation`.

use clap::{Args, Subcommand};

use super::DryRun;
use super::body::Body;
use super::show::text;
use crate::api::{Api, Connect};
use crate::output::{Column, column};

const COLUMNS: [Column; 2] = [column("user", "user"), column("issued before", "before")];

#[derive(Args, Debug)]
pub(crate) struct Revocation {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List revocations of an account
    List { account: String },
    /// Revoke what was issued to a user so far: its connections end
    Add {
        account: String,
        /// Name or key of the user; `*` for all
        user: String,
        /// Revoke what was issued until then: 2030-01-31T00:00:00Z [default: now]
        #[arg(long, value_name = "RFC 3339")]
        at: Option<String>,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Take a revocation back
    Remove {
        account: String,
        /// Name or key of the user; `*` for the one of all
        user: String,
        #[command(flatten)]
        dry: DryRun,
    },
}

impl Revocation {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account } => {
                let account = api.account(&account).await?;
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/revocations"), &[], None).await?);
            }
            Act::Add { account, user, at, dry } => {
                let account = api.account(&account).await?;
                let body = Body::default().set("user", target(&api, &account, &user).await?).maybe("at", at);
                let answer =
                    api.post(&format!("accounts/{account}/revocations"), &body.into_value(), dry.dry_run).await?;
                let sentence = format!("revoked what was issued to {user} until {}", text(&answer, "/before"));
                connect.done(&answer, dry.dry_run, &sentence);
            }
            Act::Remove { account, user, dry } => {
                let account = api.account(&account).await?;
                let key = target(&api, &account, &user).await?;
                let answer = api.delete(&format!("accounts/{account}/revocations/{key}"), &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("took the revocation of {user} back"));
            }
        }
        Ok(())
    }
}

async fn target(api: &Api, account: &str, user: &str) -> anyhow::Result<String> {
    if user == "*" { Ok("*".to_owned()) } else { api.user(account, user).await }
}
