//! `cordon broker list`: the brokers that the control plane knows, and what waits to be pushed to them.

use clap::Args;
use serde_json::Value;

use crate::api::Connect;
use crate::output::{self, Column, column, say, table};

const COLUMNS: [Column; 6] = [
    column("name", "name"),
    column("id", "id"),
    column("version", "version"),
    column("cluster", "cluster"),
    column("host", "host"),
    column("seen", "seen_at"),
];
const PUSH_COLUMNS: [Column; 5] = [
    column("account", "account"),
    column("push", "state"),
    column("attempts", "attempts"),
    column("next", "next_at"),
    column("answer", "answer"),
];

#[derive(Args, Debug)]
pub(crate) struct BrokerList {
    #[command(flatten)]
    connect: Connect,
}

impl BrokerList {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let brokers = self.connect.api()?.get("brokers").await?;
        if self.connect.json {
            output::json(&brokers);
            return Ok(());
        }
        let items = |name: &str| brokers.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        if brokers.get("connected") != Some(&Value::Bool(true)) {
            output::warn("the control plane is not connected to a broker");
        }
        say(&table(&COLUMNS, &items("items")));
        let pushes = items("pushes");
        if !pushes.is_empty() {
            say("");
            say(&table(&PUSH_COLUMNS, &pushes));
        }
        Ok(())
    }
}
