//! The program as `nats-server`: called by that file name, or as `cordon broker`, it takes the same command line.
//!
//! ```text
//! syntax   words as nats-server reads them -> words as clap reads them
//! flags    what was given -> a layer over the configuration file
//! help     --version, --help
//! check    -t
//! send     --signal
//! host     the file, the log, pid and ports files (ports), for a broker that reads its configuration again
//! run      everything else: a broker, its pid and ports files (ports), until it ends
//! ```

mod check;
mod flags;
mod help;
mod host;
mod ports;
mod run;
mod send;
mod syntax;

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::process::ExitCode;

use crate::{descriptors, failure, log, output, tls};
use flags::{FlagError, Flags};
use syntax::SyntaxError;

/// The file name that stands for nats-server's command line.
const NAME: &str = "nats-server";

/// How the program was called.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Base name of its file, as it was called: before what it says, and in the name of the ports file.
    file: String,
    /// What its usage shows.
    shown: &'static str,
}

impl Program {
    /// Whether the words of a command line, the program itself first, ask for nats-server's; what is left are its
    /// flags.
    pub(crate) fn called_by(words: &[OsString]) -> Option<(Self, &[OsString])> {
        let (program, rest) = words.split_first()?;
        let file = Path::new(program).file_name().and_then(OsStr::to_str)?.to_owned();
        if file == NAME {
            return Some((Self { file, shown: NAME }, rest));
        }
        let (command, flags) = rest.split_first()?;
        let lists = flags.first().is_some_and(|word| word == "list");
        (command == "broker" && !lists).then_some((Self { file, shown: "cordon broker" }, flags))
    }

    /// Does what the flags say.
    pub(crate) fn main(&self, words: &[OsString]) -> ExitCode {
        let flags = match Flags::read(words.iter().cloned()) {
            Ok(flags) => flags,
            Err(error) => return self.refuse(&error),
        };
        if flags.help {
            output::say(&help::usage(self.shown));
        } else if flags.version {
            output::say(&help::version());
        } else if flags.help_tls {
            output::say(help::TLS);
        } else if let Some(order) = &flags.signal {
            if let Err(error) = send::send(order) {
                return self.fail(&error);
            }
        } else if flags.check {
            return check::check(self, &flags);
        } else {
            return self.serve(&flags);
        }
        ExitCode::SUCCESS
    }

    fn serve(&self, flags: &Flags) -> ExitCode {
        tls::install_provider();
        descriptors::make_room();
        let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return self.fail(&format!("the runtime cannot be started: {error}")),
        };
        let done = runtime.block_on(run::run(self, flags));
        log::finish();
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failure::report_as(&self.file, &error),
        }
    }

    /// A wrong command line: what is wrong, and how it is right.
    fn refuse(&self, error: &FlagError) -> ExitCode {
        if let FlagError::Syntax(SyntaxError::Command(_) | SyntaxError::Text(_)) = error {
            return self.fail(error);
        }
        output::warn(&error.to_string());
        output::say(&help::usage(self.shown));
        ExitCode::FAILURE
    }

    fn fail(&self, error: &dyn std::fmt::Display) -> ExitCode {
        output::warn(&format!("{}: {error}", self.file));
        ExitCode::FAILURE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_name_decides_which_command_line_it_is() {
        for (line, expected) in [
            ("nats-server -p 1", Some(("nats-server", 2))),
            ("/usr/local/bin/nats-server", Some(("nats-server", 0))),
            ("./nats-server broker list", Some(("nats-server", 2))),
            ("cordon broker", Some(("cordon", 0))),
            ("/opt/cordon broker -c x", Some(("cordon", 2))),
            ("cordon broker --help", Some(("cordon", 1))),
            ("cordon broker list --json", None),
            ("cordon", None),
            ("cordon serve", None),
            ("cordon help broker", None),
            ("nats-server-2 -p 1", None),
            ("broker", None),
            ("", None),
        ] {
            let words: Vec<_> = line.split(' ').map(OsString::from).collect();
            let called = Program::called_by(&words).map(|(program, rest)| (program.file, rest.len()));
            assert_eq!(called, expected.map(|(file, rest)| (file.to_owned(), rest)), "{line}");
        }
    }
}
