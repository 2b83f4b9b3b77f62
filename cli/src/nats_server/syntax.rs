//! The way nats-server's flags are written, turned into the way clap reads them.
//!
//! One dash or two before any name; a value behind `=` or as the next word, whatever that begins with; switches
//! alone or with `=false`; nothing bundled; the first word that is no flag ends the flags. What comes out has one
//! name for each flag, two dashes and `=`: `--port=-1`.

use std::ffi::OsString;

/// What stands behind a flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Nothing, or `=true`, `=false`.
    Switch,
    /// A value.
    Value,
}

use Kind::{Switch, Value};

/// Every flag: its names, the flags that it stands for in one-name form, and what follows it.
const FLAGS: &[(&[&str], &[&str], Kind)] = &[
    (&["a", "addr", "net"], &["addr"], Value),
    (&["p", "port"], &["port"], Value),
    (&["n", "name", "server_name"], &["server_name"], Value),
    (&["c", "config"], &["config"], Value),
    (&["t"], &["check"], Switch),
    (&["P", "pid"], &["pid"], Value),
    (&["ports_file_dir"], &["ports_file_dir"], Value),
    (&["m", "http_port", "http-port"], &["http_port"], Value),
    (&["ms", "https_port"], &["https_port"], Value),
    (&["client_advertise"], &["client_advertise"], Value),
    (&["sl", "signal"], &["signal"], Value),
    (&["l", "log"], &["log"], Value),
    (&["T", "logtime"], &["logtime"], Switch),
    (&["logtime_utc"], &["logtime_utc"], Switch),
    (&["s", "syslog"], &["syslog"], Switch),
    (&["r", "remote_syslog"], &["remote_syslog"], Value),
    (&["D", "debug"], &["debug"], Switch),
    (&["V", "trace"], &["trace"], Switch),
    (&["VV"], &["trace", "trace_verbose"], Switch),
    (&["DV"], &["debug", "trace"], Switch),
    (&["DVV"], &["debug", "trace", "trace_verbose"], Switch),
    (&["log_size_limit"], &["log_size_limit"], Value),
    (&["max_traced_msg_len"], &["max_traced_msg_len"], Value),
    (&["js", "jetstream"], &["jetstream"], Switch),
    (&["sd", "store_dir"], &["store_dir"], Value),
    (&["user"], &["user"], Value),
    (&["pass"], &["pass"], Value),
    (&["auth"], &["auth"], Value),
    (&["tls"], &["tls"], Switch),
    (&["tlsverify"], &["tlsverify"], Switch),
    (&["tlscert"], &["tlscert"], Value),
    (&["tlskey"], &["tlskey"], Value),
    (&["tlscacert"], &["tlscacert"], Value),
    (&["cluster"], &["cluster"], Value),
    (&["cluster_listen"], &["cluster_listen"], Value),
    (&["cluster_name"], &["cluster_name"], Value),
    (&["cluster_advertise"], &["cluster_advertise"], Value),
    (&["no_advertise"], &["no_advertise"], Switch),
    (&["connect_retries"], &["connect_retries"], Value),
    (&["routes"], &["routes"], Value),
    (&["profile"], &["profile"], Value),
    (&["strict"], &["strict"], Switch),
    (&["h", "help"], &["help"], Switch),
    (&["v", "version"], &["version"], Switch),
    (&["help_tls"], &["help_tls"], Switch),
];

/// What is wrong with a command line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SyntaxError {
    #[error("bad flag syntax: {0}")]
    Syntax(String),
    #[error("flag provided but not defined: -{0}")]
    Unknown(String),
    #[error("flag needs an argument: -{0}")]
    NoValue(String),
    #[error("invalid boolean value \"{1}\" for -{0}: parse error")]
    NoSwitch(String, String),
    #[error("unrecognized command: \"{0}\"")]
    Command(String),
    #[error("`{0}` is not readable text: write it in UTF-8")]
    Text(String),
}

/// The flags in the form that clap reads, without a program before them.
///
/// # Errors
///
/// [`SyntaxError`], at the first word that is wrong.
pub(crate) fn normalize(words: impl IntoIterator<Item = OsString>) -> Result<Vec<String>, SyntaxError> {
    let mut words = words
        .into_iter()
        .map(|word| word.into_string().map_err(|word| SyntaxError::Text(word.to_string_lossy().into_owned())));
    let mut flags = Vec::new();
    while let Some(word) = words.next().transpose()? {
        let Some(flag) = word.strip_prefix('-').filter(|rest| !rest.is_empty()) else {
            flags.push(command(&word)?);
            break;
        };
        let flag = flag.strip_prefix('-').unwrap_or(flag);
        if flag.is_empty() {
            // Two dashes alone end the flags.
            if let Some(word) = words.next().transpose()? {
                flags.push(command(&word)?);
            }
            break;
        }
        if flag.starts_with(['-', '=']) {
            return Err(SyntaxError::Syntax(word));
        }
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (flag, None),
        };
        let known = FLAGS.iter().find(|(names, ..)| names.contains(&name));
        let Some((_, plain, kind)) = known else { return Err(SyntaxError::Unknown(name.to_owned())) };
        let value = match (kind, value) {
            (Switch, None) => "true".to_owned(),
            (Switch, Some(value)) => switch(name, value)?,
            (Value, Some(value)) => value,
            (Value, None) => words.next().transpose()?.ok_or_else(|| SyntaxError::NoValue(name.to_owned()))?,
        };
        flags.extend(plain.iter().map(|plain| format!("--{plain}={value}")));
    }
    Ok(flags)
}

/// A word instead of a flag.
fn command(word: &str) -> Result<String, SyntaxError> {
    match word.to_ascii_lowercase().as_str() {
        "version" => Ok("--version=true".to_owned()),
        "help" => Ok("--help=true".to_owned()),
        _ => Err(SyntaxError::Command(word.to_owned())),
    }
}

/// A switch's value in any form that nats-server takes.
fn switch(name: &str, value: String) -> Result<String, SyntaxError> {
    match value.as_str() {
        "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok("true".to_owned()),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok("false".to_owned()),
        _ => Err(SyntaxError::NoSwitch(name.to_owned(), value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<String, SyntaxError> {
        normalize(line.split(' ').filter(|word| !word.is_empty()).map(OsString::from)).map(|flags| flags.join(" "))
    }

    #[test]
    fn flags_are_read_as_nats_server_reads_them() {
        for (line, expected) in [
            ("", ""),
            ("-p 4222", "--port=4222"),
            ("--p 4222", "--port=4222"),
            ("-port=4222", "--port=4222"),
            ("--port -1", "--port=-1"),
            ("-p=-1 -a ::1", "--port=-1 --addr=::1"),
            ("-p 1 -p 2", "--port=1 --port=2"),
            ("-js -sd /path", "--jetstream=true --store_dir=/path"),
            ("-sd=/path", "--store_dir=/path"),
            ("-D=false", "--debug=false"),
            ("-D=F -T=0", "--debug=false --logtime=false"),
            ("-DV", "--debug=true --trace=true"),
            ("--DVV", "--debug=true --trace=true --trace_verbose=true"),
            ("-VV=false", "--trace=false --trace_verbose=false"),
            ("-user a -pass=b", "--user=a --pass=b"),
            ("--signal ldm=12", "--signal=ldm=12"),
            ("-sl=quit=/a=b", "--signal=quit=/a=b"),
            ("--cluster nats://u:p@h:1 --routes a,b", "--cluster=nats://u:p@h:1 --routes=a,b"),
            ("version", "--version=true"),
            ("-p 1 HELP", "--port=1 --help=true"),
            ("version -p", "--version=true"),
            ("-- version", "--version=true"),
            ("-c -t", "--config=-t"),
            ("-log=", "--log="),
            ("-m 8222 -ms 8443", "--http_port=8222 --https_port=8443"),
        ] {
            assert_eq!(read(line).as_deref(), Ok(expected), "{line}");
        }
    }

    #[test]
    fn what_is_no_flag_is_refused() {
        for (line, expected) in [
            ("-T false", "unrecognized command: \"false\""),
            ("foo -p 1", "unrecognized command: \"foo\""),
            ("-", "unrecognized command: \"-\""),
            ("-x", "flag provided but not defined: -x"),
            ("--x=1", "flag provided but not defined: -x"),
            ("-pD 1", "flag provided but not defined: -pD"),
            ("-d", "flag provided but not defined: -d"),
            ("---p 1", "bad flag syntax: ---p"),
            ("-=1", "bad flag syntax: -=1"),
            ("-p", "flag needs an argument: -p"),
            ("-D -c", "flag needs an argument: -c"),
            ("-D=maybe", "invalid boolean value \"maybe\" for -D: parse error"),
            ("-D=", "invalid boolean value \"\" for -D: parse error"),
            ("-- foo", "unrecognized command: \"foo\""),
        ] {
            assert_eq!(read(line).map_err(|error| error.to_string()), Err(expected.to_owned()), "{line}");
        }
    }

    #[test]
    fn no_name_stands_for_two_flags() {
        let mut names: Vec<_> = FLAGS.iter().flat_map(|(names, ..)| names.iter()).collect();
        let all = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
