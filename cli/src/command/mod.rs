//! Commands for everything in the admin API: one file for each group.
//!
//! A command turns names into keys, sends one request, and shows the answer: a table or a record for
//! people, the API's JSON with `--json`. To add one: a variant in its group's `Act`, an arm in `run`.

pub(crate) mod account;
pub(crate) mod activation;
pub(crate) mod audit;
pub(crate) mod body;
pub(crate) mod broker_list;
pub(crate) mod certificate;
pub(crate) mod client;
pub(crate) mod completion;
pub(crate) mod connection;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod limits;
pub(crate) mod operator;
pub(crate) mod revocation;
pub(crate) mod secret;
pub(crate) mod share;
pub(crate) mod show;
pub(crate) mod signing_key;
pub(crate) mod status;
pub(crate) mod store;
pub(crate) mod template;
pub(crate) mod time;
pub(crate) mod token;
pub(crate) mod user;

use clap::Args;

/// For commands that change something.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct DryRun {
    /// Show what the change would do, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
