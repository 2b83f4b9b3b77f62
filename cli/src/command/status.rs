//! `cordon whoami`, `cordon health`.

use clap::Args;
use serde_json::Value;

use crate::api::Connect;
use crate::failure::Told;

#[derive(Args, Debug)]
pub(crate) struct Whoami {
    #[command(flatten)]
    connect: Connect,
}

impl Whoami {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        self.connect.show(&self.connect.api()?.get("whoami").await?);
        Ok(())
    }
}

#[derive(Args, Debug)]
pub(crate) struct Health {
    #[command(flatten)]
    connect: Connect,
}

impl Health {
    /// Fails when something is not well, so that it can be a probe.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let health = self.connect.api()?.get("health").await?;
        self.connect.show(&health);
        if health.get("status").and_then(Value::as_str) == Some("ok") { Ok(()) } else { Err(Told.into()) }
    }
}
