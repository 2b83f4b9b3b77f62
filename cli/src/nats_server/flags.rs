//! nats-server's flags, and what they say over a configuration file.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgAction, Parser};
use cordon_server::config::layer::Layer;
use zeroize::Zeroizing;

use super::syntax::{self, SyntaxError};

/// What was given. One that was not given says nothing, also not `false`.
#[derive(Parser)]
#[command(
    no_binary_name = true,
    disable_help_flag = true,
    disable_version_flag = true,
    args_override_self = true,
    rename_all = "snake_case"
)]
pub(crate) struct Flags {
    #[arg(long)]
    addr: Option<String>,
    #[arg(long)]
    port: Option<i64>,
    #[arg(long)]
    server_name: Option<String>,
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,
    #[arg(long, action = ArgAction::Set, default_value_t = false)]
    pub(crate) check: bool,
    #[arg(long)]
    pid: Option<String>,
    #[arg(long)]
    ports_file_dir: Option<String>,
    #[arg(long)]
    http_port: Option<i64>,
    #[arg(long)]
    https_port: Option<i64>,
    #[arg(long)]
    client_advertise: Option<String>,
    #[arg(long)]
    pub(crate) signal: Option<String>,
    #[arg(long)]
    log: Option<String>,
    #[arg(long)]
    logtime: Option<bool>,
    #[arg(long)]
    logtime_utc: Option<bool>,
    #[arg(long)]
    syslog: Option<bool>,
    #[arg(long)]
    remote_syslog: Option<String>,
    #[arg(long)]
    debug: Option<bool>,
    #[arg(long)]
    trace: Option<bool>,
    #[arg(long)]
    trace_verbose: Option<bool>,
    #[arg(long)]
    log_size_limit: Option<i64>,
    #[arg(long)]
    max_traced_msg_len: Option<i64>,
    #[arg(long)]
    jetstream: Option<bool>,
    #[arg(long)]
    store_dir: Option<String>,
    #[arg(long)]
    user: Option<Zeroizing<String>>,
    #[arg(long)]
    pass: Option<Zeroizing<String>>,
    #[arg(long)]
    auth: Option<Zeroizing<String>>,
    #[arg(long)]
    tls: Option<bool>,
    #[arg(long)]
    tlsverify: Option<bool>,
    #[arg(long)]
    tlscert: Option<String>,
    #[arg(long)]
    tlskey: Option<String>,
    #[arg(long)]
    tlscacert: Option<String>,
    #[arg(long)]
    cluster: Option<String>,
    #[arg(long)]
    cluster_listen: Option<String>,
    #[arg(long)]
    cluster_name: Option<String>,
    #[arg(long)]
    cluster_advertise: Option<String>,
    #[arg(long)]
    no_advertise: Option<bool>,
    #[arg(long)]
    connect_retries: Option<i64>,
    #[arg(long)]
    routes: Option<String>,
    #[arg(long)]
    profile: Option<i64>,
    #[arg(long)]
    strict: Option<bool>,
    #[arg(long, action = ArgAction::Set, default_value_t = false)]
    pub(crate) help: bool,
    #[arg(long, action = ArgAction::Set, default_value_t = false)]
    pub(crate) version: bool,
    #[arg(long, action = ArgAction::Set, default_value_t = false)]
    pub(crate) help_tls: bool,
}

/// Why flags cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FlagError {
    #[error(transparent)]
    Syntax(#[from] SyntaxError),
    /// A value that is not of the flag's kind.
    #[error("invalid value \"{value}\" for flag --{flag}: parse error")]
    Value { flag: String, value: String },
    /// What clap itself says; none of the flags above leads here.
    #[error("{0}")]
    Other(String),
}

impl Flags {
    /// Reads the words after the program's name.
    ///
    /// # Errors
    ///
    /// [`FlagError`] names the word.
    pub(crate) fn read(words: impl IntoIterator<Item = OsString>) -> Result<Self, FlagError> {
        let words = syntax::normalize(words)?;
        Self::try_parse_from(&words).map_err(|error| {
            let text = |kind| error.get(kind).map(ToString::to_string);
            let flag = text(clap::error::ContextKind::InvalidArg);
            let value = text(clap::error::ContextKind::InvalidValue);
            match (flag, value) {
                (Some(flag), Some(value)) => {
                    let flag = flag.trim_start_matches('-').split([' ', '=']).next().unwrap_or_default().to_owned();
                    FlagError::Value { flag, value }
                }
                _ => FlagError::Other(error.kind().to_string()),
            }
        })
    }

    /// What the flags say over the file.
    pub(crate) fn layer(&self) -> Layer {
        let mut layer = Layer::default();
        if let Some(strict) = self.strict {
            layer.set("--strict", &["strict"], strict);
        }
        self.lay_places(&mut layer);
        self.lay_log(&mut layer);
        self.lay_credentials(&mut layer);
        self.lay_tls(&mut layer);
        layer
    }

    fn lay_places(&self, layer: &mut Layer) {
        let mut text = |flag: &str, option, value: &Option<String>| {
            if let Some(value) = value.as_deref().filter(|value| !value.is_empty()) {
                layer.set(flag, &[option], value);
            }
        };
        text("--addr", "host", &self.addr);
        text("--server_name", "server_name", &self.server_name);
        text("--pid", "pid_file", &self.pid);
        text("--ports_file_dir", "ports_file_dir", &self.ports_file_dir);
        text("--client_advertise", "client_advertise", &self.client_advertise);
        text("--remote_syslog", "remote_syslog", &self.remote_syslog);
        text("--store_dir", "store_dir", &self.store_dir);
        // 0 is not given, as in the file.
        let mut port = |flag: &str, option, value: Option<i64>| {
            if let Some(port) = value.filter(|port| *port != 0) {
                layer.set(flag, &[option], port);
            }
        };
        port("--port", "port", self.port);
        port("--http_port", "http_port", self.http_port);
        port("--https_port", "https_port", self.https_port);
        port("--profile", "prof_port", self.profile);
        match self.jetstream {
            // A block says more than the flag.
            Some(true) => layer.set_default("--jetstream", "jetstream", true),
            Some(false) => layer.remove("jetstream"),
            None => {}
        }
        if let Some(on) = self.syslog {
            layer.set("--syslog", &["syslog"], on);
        }
    }

    fn lay_log(&self, layer: &mut Layer) {
        if let Some(file) = &self.log {
            layer.set("--log", &["log_file"], file.as_str());
        }
        let switches = [
            ("--logtime", "logtime", self.logtime),
            ("--logtime_utc", "logtime_utc", self.logtime_utc),
            ("--debug", "debug", self.debug),
            ("--trace", "trace", self.trace),
            ("-VV", "trace_verbose", self.trace_verbose),
        ];
        for (flag, option, on) in switches {
            if let Some(on) = on {
                layer.set(flag, &[option], on);
            }
        }
        if self.trace == Some(false) {
            // Each of them would turn tracing on again.
            layer.set("--trace", &["trace_verbose"], false);
            layer.set("--trace", &["trace_headers"], false);
        }
        let numbers = [
            ("--log_size_limit", "log_size_limit", self.log_size_limit),
            ("--max_traced_msg_len", "max_traced_msg_len", self.max_traced_msg_len),
        ];
        for (flag, option, number) in numbers {
            if let Some(number) = number {
                layer.set(flag, &[option], number.max(0));
            }
        }
    }

    fn lay_credentials(&self, layer: &mut Layer) {
        let given =
            [("--user", "user", &self.user), ("--pass", "password", &self.pass), ("--auth", "token", &self.auth)];
        for (flag, option, secret) in given {
            if let Some(secret) = secret {
                layer.set(flag, &["authorization", option], secret.as_str());
            }
        }
    }

    fn lay_tls(&self, layer: &mut Layer) {
        if self.tls == Some(false) {
            return layer.remove("tls");
        }
        if self.tls.is_none() && self.tlsverify.is_none() {
            // As upstream: files alone turn nothing on.
            return;
        }
        let files = [
            ("--tlscert", "cert_file", &self.tlscert),
            ("--tlskey", "key_file", &self.tlskey),
            ("--tlscacert", "ca_file", &self.tlscacert),
        ];
        for (flag, option, file) in files {
            if let Some(file) = file {
                layer.set(flag, &["tls", option], file.as_str());
            }
        }
        // Also makes a block where there is none, which then misses its certificate.
        layer.set("--tlsverify", &["tls", "verify"], self.tlsverify == Some(true));
    }

    /// Flags of a cluster, which are known and not acted on: one warning for all of them.
    pub(crate) fn without_effect(&self) -> Option<String> {
        let given = [
            ("--cluster", self.cluster.is_some()),
            ("--cluster_listen", self.cluster_listen.is_some()),
            ("--cluster_name", self.cluster_name.is_some()),
            ("--cluster_advertise", self.cluster_advertise.is_some()),
            ("--no_advertise", self.no_advertise.is_some()),
            ("--connect_retries", self.connect_retries.is_some()),
            ("--routes", self.routes.is_some()),
        ];
        let given: Vec<_> =
            given.into_iter().filter(|(_, given)| *given).map(|(flag, _)| format!("`{flag}`")).collect();
        (!given.is_empty()).then(|| format!("{}: known, and not acted on: this server serves alone", given.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use cordon_server::config::parser;
    use cordon_server::config::value::{Node, Value};

    use super::*;

    /// The options that flags leave of a file, as `name=value` in order of their names.
    fn over(file: &str, flags: &str) -> String {
        let mut root = parser::parse(file, "file", Path::new(".")).unwrap();
        let words = flags.split(' ').filter(|word| !word.is_empty()).map(OsString::from);
        Flags::read(words).unwrap().layer().apply(&mut root);
        shown(&root)
    }

    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Map(entries) => {
                let mut parts: Vec<_> =
                    entries.iter().map(|entry| format!("{}={}", entry.key, shown(&entry.node))).collect();
                parts.sort();
                format!("{{{}}}", parts.join(" "))
            }
            Value::Text(text) => text.clone(),
            Value::Int(number, _) => number.to_string(),
            Value::Bool(on) => on.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn flags_become_options() {
        for (file, flags, expected) in [
            ("", "", "{}"),
            ("listen: \"h:1\"", "-p 2", "{listen=h:1 port=2}"),
            ("port: 1", "-p 0 -a h", "{host=h port=1}"),
            ("net: x", "--net=y", "{host=y}"),
            ("", "-m 8222 -ms 8443 --profile 1", "{http_port=8222 https_port=8443 prof_port=1}"),
            ("debug: true", "-D=false", "{debug=false}"),
            ("trace_verbose: true", "-V=false", "{trace=false trace_headers=false trace_verbose=false}"),
            (
                "",
                "-DVV -T=false --logtime_utc",
                "{debug=true logtime=false logtime_utc=true trace=true trace_verbose=true}",
            ),
            ("logfile: a", "-l b", "{log_file=b}"),
            ("", "--log_size_limit 5 --max_traced_msg_len -1", "{log_size_limit=5 max_traced_msg_len=0}"),
            ("authorization { token: t }", "--user u --pass p", "{authorization={password=p token=t user=u}}"),
            ("", "--auth t", "{authorization={token=t}}"),
            ("tls { verify: true }", "--tls=false", "{}"),
            ("", "--tlscert c --tlskey k", "{}"),
            ("", "--tls --tlscert c --tlskey k", "{tls={cert_file=c key_file=k verify=false}}"),
            ("tls { ca_file: a }", "--tlsverify --tlscacert b", "{tls={ca_file=b verify=true}}"),
            ("jetstream { domain: d }", "-js", "{jetstream={domain=d}}"),
            ("jetstream: true", "-js=false -sd s", "{store_dir=s}"),
            ("strict: true", "--strict=false", "{strict=false}"),
            (
                "",
                "-s -r udp://h:514 --client_advertise h:1",
                "{client_advertise=h:1 remote_syslog=udp://h:514 syslog=true}",
            ),
            ("", "-P p --ports_file_dir d -n name -c file", "{pid_file=p ports_file_dir=d server_name=name}"),
        ] {
            assert_eq!(over(file, flags), expected, "{file} | {flags}");
        }
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        for (flags, told) in [
            ("-p four", "invalid value \"four\" for flag --port: parse error"),
            ("-m=", "invalid value \"\" for flag --http_port: parse error"),
            ("--log_size_limit 1MB", "invalid value \"1MB\" for flag --log_size_limit: parse error"),
            ("--nope", "flag provided but not defined: -nope"),
        ] {
            let words = flags.split(' ').map(OsString::from);
            assert_eq!(Flags::read(words).err().unwrap().to_string(), told);
        }
    }

    #[test]
    fn secrets_given_as_flags_are_not_shown() {
        let flags = Flags::read(["--pass=hunter2", "--auth=t0ken"].map(OsString::from)).unwrap();
        let shown = format!("{:?}", flags.layer());
        assert!(!shown.contains("hunter2") && !shown.contains("t0ken"), "{shown}");
    }
}
