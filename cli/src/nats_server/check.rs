//! `-t`: whether a configuration can be started with, without starting anything.

use std::process::ExitCode;

use cordon_server::config::{self, ConfigError};

use super::Program;
use super::flags::Flags;
use crate::{output, tls};

/// Reads the configuration and says what is wrong with it: on stderr, since scripts read the status alone.
pub(super) fn check(program: &Program, flags: &Flags) -> ExitCode {
    let Some(path) = &flags.config else {
        return program.fail(&"must specify [-c, --config] option to check configuration file syntax");
    };
    // Certificates are loaded while a configuration is read.
    tls::install_provider();
    match config::load_under(Some(path), &flags.layer()) {
        Ok(loaded) if loaded.doubts.is_empty() => {
            for warning in loaded.warnings.iter().chain(&flags.without_effect()) {
                output::warn(&format!("{}: {warning}", program.file));
            }
            let (path, digest) = (path.display(), loaded.digest);
            output::warn(&format!("{}: configuration file {path} is valid ({digest})", program.file));
            ExitCode::SUCCESS
        }
        // A broker would start with these.
        Ok(loaded) => refuse(program, &ConfigError(loaded.doubts)),
        Err(error) => refuse(program, &error),
    }
}

fn refuse(program: &Program, error: &ConfigError) -> ExitCode {
    output::warn(&format!("{}: {error}\n", program.file));
    ExitCode::FAILURE
}
