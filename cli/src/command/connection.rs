//! `cordon connection`.

use clap::{Args, Subcommand};

use crate::api::Connect;
use crate::output::{Column, column};

const COLUMNS: [Column; 9] = [
    column("cid", "cid"),
    column("account", "account_name"),
    column("user", "user_name"),
    column("address", "ip"),
    column("client", "client_name"),
    column("lang", "lang"),
    column("tls", "tls_version"),
    column("uptime", "uptime"),
    column("subs", "subscriptions"),
];

#[derive(Args, Debug)]
pub(crate) struct Connection {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List open connections
    List {
        /// Only those of this account
        #[arg(long)]
        account: Option<String>,
        /// Only those of this user (of the account)
        #[arg(long, requires = "account")]
        user: Option<String>,
    },
    /// End a connection; the client may come back
    Kick {
        /// Its number
        cid: u64,
        /// Id of its broker, if there are several
        #[arg(long)]
        server: Option<String>,
    },
}

impl Connection {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account: None, .. } => connect.show_list(&COLUMNS, api.list("connections", &[], None).await?),
            Act::List { account: Some(account), user } => {
                let account = api.account(&account).await?;
                let mut items = api.list(&format!("accounts/{account}/connections"), &[], None).await?;
                if let Some(user) = user {
                    let user = api.user(&account, &user).await?;
                    items.retain(|item| item.get("user").and_then(serde_json::Value::as_str) == Some(&user));
                }
                connect.show_list(&COLUMNS, items);
            }
            Act::Kick { cid, server } => {
                let query: Vec<_> = server.map(|server| ("server", server)).into_iter().collect();
                let answer = api.delete(&format!("connections/{cid}"), &query, false).await?;
                connect.done(&answer, false, &format!("ended connection {cid}"));
            }
        }
        Ok(())
    }
}
