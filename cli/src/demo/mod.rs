//! `cordon demo`: the whole story on a throw-away installation, with real clients over TLS.
//!
//! ```text
//! stage.rs   an installation in a folder of its own, its API, clients of its broker
//! story.rs   the steps; each does something, checks what came of it, and tells it
//! ```

mod stage;
mod story;

use anyhow::Context as _;
use clap::Args;
use cordon_auth::clock::Clock;
use cordon_server::config::LogOptions;

use crate::log;
use crate::output::{self, say};
use stage::Stage;

#[derive(Args, Debug)]
pub(crate) struct Demo {
    /// Log what broker and control plane say
    #[arg(short = 'D', long)]
    debug: bool,
}

impl Demo {
    /// Fails at the first step that does not happen as told.
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        if self.debug {
            log::start(log::Shape::Plain, &LogOptions { debug: true, ..LogOptions::default() })?;
        }
        let clock = Clock::system();
        let begun = clock.nanos();
        let stage = Stage::open().await.context("the throw-away installation does not start")?;
        let told = story::tell(stage).await;
        if told.is_err() {
            output::warn("this is not what was to be shown; with --debug the demo shows the log");
        }
        told?;
        let seconds = clock.nanos().saturating_sub(begun) / 1_000_000_000;
        say(&format!("\nThat was it: everything happened as told, in {seconds} s. Nothing is left on this machine."));
        Ok(())
    }
}
