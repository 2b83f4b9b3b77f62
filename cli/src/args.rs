//! What can be typed after `cordon`.

use clap::{Parser, Subcommand};

use crate::{broker, command, control, demo, migrate, serve};

/// Cordon: a multi-tenant NATS broker with its credential authority and audit log.
#[derive(Debug, Parser)]
#[command(name = "cordon", version, propagate_version = true, max_term_width = 110)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start everything: broker, admin API and monitoring on one data folder
    Serve(serve::Serve),
    /// Start the broker alone, with the flags and configuration file of nats-server; or list brokers
    Broker(broker::BrokerCommand),
    /// Start the control plane alone, for brokers that run elsewhere
    Control(control::Control),
    /// The streams on disk, while no broker has them
    Store(command::store::Store),
    /// Before a nats-server is replaced
    Migrate(migrate::Migrate),
    /// Run the whole story against a throw-away broker
    Demo(demo::Demo),
    /// Operators: the roots of trust
    Operator(command::operator::Operator),
    /// Accounts: the tenants
    Account(command::account::Account),
    /// Users and their creds
    User(command::user::User),
    /// Signing keys of accounts, plain and scoped
    SigningKey(command::signing_key::SigningKey),
    /// What an account offers to others
    Export(command::export::Export),
    /// What an account takes from others
    Import(command::import::Import),
    /// Tokens that let an account import a private export
    Activation(command::activation::Activation),
    /// Streams, buckets and object stores that accounts share
    Share(command::share::Share),
    /// Users whose credentials no longer count
    Revocation(command::revocation::Revocation),
    /// Limits of an account
    Limits(command::limits::Limits),
    /// Open connections
    Connection(command::connection::Connection),
    /// A small NATS client, to try an installation
    Client(command::client::Client),
    /// Client certificates of the local authority
    Certificate(command::certificate::Certificate),
    /// API tokens
    Token(command::token::Token),
    /// Why something is allowed or refused
    Explain(command::explain::Explain),
    /// The audit log: search, export, verify
    Audit(command::audit::Audit),
    /// Who the admin API takes you for
    Whoami(command::status::Whoami),
    /// How the admin API, its store and its broker are
    Health(command::status::Health),
    /// Print a completion script for a shell
    Completion(command::completion::Completion),
}

impl Command {
    /// It takes connections, and may take many.
    pub(crate) fn serves(&self) -> bool {
        matches!(self, Self::Serve(_) | Self::Control(_))
    }

    pub(crate) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Serve(command) => command.run().await,
            Self::Broker(command) => command.run().await,
            Self::Control(command) => command.run().await,
            Self::Store(command) => command.run(),
            Self::Migrate(command) => command.run(),
            Self::Demo(command) => command.run().await,
            Self::Operator(command) => command.run().await,
            Self::Account(command) => command.run().await,
            Self::User(command) => command.run().await,
            Self::SigningKey(command) => command.run().await,
            Self::Export(command) => command.run().await,
            Self::Import(command) => command.run().await,
            Self::Activation(command) => command.run().await,
            Self::Share(command) => command.run().await,
            Self::Revocation(command) => command.run().await,
            Self::Limits(command) => command.run().await,
            Self::Connection(command) => command.run().await,
            Self::Client(command) => command.run().await,
            Self::Certificate(command) => command.run().await,
            Self::Token(command) => command.run().await,
            Self::Explain(command) => command.run().await,
            Self::Audit(command) => command.run().await,
            Self::Whoami(command) => command.run().await,
            Self::Health(command) => command.run().await,
            Self::Completion(command) => command.run(),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn what_the_documentation_shows_is_understood() {
        for line in [
            "serve",
            "serve --data d --port 0 --admin-port 0 --monitor-port 0",
            "serve --host 0.0.0.0 --host broker.example.org",
            "serve --websocket-port 8080 --websocket-origin https://app.example.org",
            "broker list --json",
            "control --data d --nats tls://h:4222 --nats-ca ca.pem --admin-port 0",
            "store check --store-dir d",
            "store repair --store-dir d --key-file k --prev-key-file p --json",
            "store stats --store-dir d --json",
            "migrate check -c nats.conf",
            "migrate check --nsc stores --json",
            "demo",
            "account create acme",
            "account list --state active --json",
            "account create acme --dry-run --url https://localhost:8443",
            "user create acme app --out app.creds",
            "user create acme app --allow-pub orders.> --deny-sub secret --expires-in 30d --show",
            "user creds acme app --rotate-key --out app.creds",
            "signing-key add acme --role reader --allow-sub orders.>",
            "export add acme orders.new --kind service",
            "share list acme",
            "share offer acme stream ORDERS --to other --subject eu.> --write --accept --prefix acme.API",
            "share accept other ORDERS",
            "share end acme ORDERS --dry-run",
            "import add other orders.new --from acme --kind service --local-subject acme.orders",
            "activation issue acme orders.new other",
            "revocation add acme app",
            "limits set acme --connections 10 --subscriptions unlimited",
            "connection kick 7",
            "certificate issue --dns a.example.org --cert a.pem --key a.key",
            "token create ci --role auditor --expires-in 1h",
            "explain publish acme app secret.x",
            "audit verify export.jsonl --checkpoint note --key key.pub",
            "audit verify --data d",
            "audit search --kind user.create",
            "client pub greet.you hello --creds a.creds",
            "client sub greet.> --count 1 --cert a.pem --key a.key",
            "whoami",
            "health --json",
            "completion bash",
        ] {
            let words = std::iter::once("cordon").chain(line.split(' '));
            assert!(
                Args::try_parse_from(words).is_ok(),
                "{line}: {}",
                Args::try_parse_from(std::iter::once("cordon").chain(line.split(' '))).unwrap_err()
            );
        }
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_status_2() {
        for line in [
            "",
            "broker",
            "serve --port 70000",
            "migrate check",
            "store",
            "store check",
            "store mend --store-dir d",
            "account create",
            "user create acme app --out a --show",
            "user create acme app --expires-in soon",
            "export add acme x --kind both",
            "limits set acme --connections many",
            "connection kick seven",
            "token create t --role king",
            "control --data d",
            "explain publish acme",
            "audit verify a b",
            "client request",
            "client pub a --cert a.pem",
            "nonsense",
        ] {
            let words = std::iter::once("cordon").chain(line.split(' ').filter(|word| !word.is_empty()));
            let error = Args::try_parse_from(words).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}
