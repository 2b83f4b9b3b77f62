//! `cordon broker`: the data plane alone, from nats-server's flags and configuration file; and what there is of them.

use clap::{Args, Subcommand};

use crate::command::broker_list::BrokerList;

/// Without `list`, the command line is nats-server's: see [`crate::nats_server`].
#[derive(Args, Debug)]
pub(crate) struct BrokerCommand {
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the brokers that the control plane knows, and what waits to be pushed
    List(BrokerList),
}

impl BrokerCommand {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self.act {
            Act::List(list) => list.run().await,
        }
    }
}
