//! `cordon completion`.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::output::say;

#[derive(Args, Debug)]
pub(crate) struct Completion {
    /// Shell to complete for
    shell: Shell,
}

impl Completion {
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut crate::args::Args::command(), "cordon", &mut script);
        say(String::from_utf8(script)?.trim_end());
        Ok(())
    }
}
