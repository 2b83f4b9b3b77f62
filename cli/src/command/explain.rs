//! `cordon explain`: why something is allowed or refused, by the functions that enforce it.

use std::net::IpAddr;

use clap::{Args, Subcommand};
use serde_json::Value;

use super::body::Body;
use super::show::text;
use crate::api::{Api, Connect};
use crate::output::{Column, column, say, table};

const COLUMNS: [Column; 3] = [column("step", "what"), column("verdict", "verdict"), column("why", "why")];

#[derive(Args, Debug)]
pub(crate) struct Explain {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, Subcommand)]
enum Question {
    /// May this user publish to this subject?
    Publish { account: String, user: String, subject: String },
    /// May this user subscribe to this subject?
    Subscribe {
        account: String,
        user: String,
        subject: String,
        /// Queue group
        #[arg(long)]
        queue: Option<String>,
    },
    /// May this user connect?
    Connect {
        account: String,
        user: String,
        /// Way to connect: STANDARD, WEBSOCKET, LEAFNODE, MQTT
        #[arg(long, value_name = "TYPE")]
        connection_type: Option<String>,
        /// Address that it comes from
        #[arg(long)]
        ip: Option<IpAddr>,
    },
    /// Does this import work?
    Import {
        account: String,
        /// Id, subject or name of the import
        import: String,
    },
}

impl Explain {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        let question = self.question.body(&api).await?;
        let answer = api.post("explain", &question.into_value(), false).await?;
        if connect.json {
            connect.show(&answer);
            return Ok(());
        }
        let verdict = if answer.get("allowed") == Some(&Value::Bool(true)) { "allowed" } else { "refused" };
        say(&format!("{verdict}: {}", text(&answer, "/decided_by")));
        let steps = answer.get("steps").and_then(Value::as_array).cloned().unwrap_or_default();
        say(&table(&COLUMNS, &steps));
        Ok(())
    }
}

impl Question {
    async fn body(self, api: &Api) -> anyhow::Result<Body> {
        Ok(match self {
            Self::Publish { account, user, subject } => {
                of_user(api, "publish", &account, &user).await?.set("subject", subject)
            }
            Self::Subscribe { account, user, subject, queue } => {
                of_user(api, "subscribe", &account, &user).await?.set("subject", subject).maybe("queue", queue)
            }
            Self::Connect { account, user, connection_type, ip } => of_user(api, "connect", &account, &user)
                .await?
                .maybe("connection_type", connection_type)
                .maybe("ip", ip.map(|ip| ip.to_string())),
            Self::Import { account, import } => {
                let account = api.account(&account).await?;
                let id = api.import(&account, &import).await?;
                Body::default().set("action", "import").set("account", account).set("import", id)
            }
        })
    }
}

async fn of_user(api: &Api, action: &str, account: &str, user: &str) -> anyhow::Result<Body> {
    let account = api.account(account).await?;
    let user = api.user(&account, user).await?;
    Ok(Body::default().set("action", action).set("account", account).set("user", user))
}
