//! The top-level options, and what must hold between them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::key::{AccountKey, PublicKey};

use super::accounts::{self, Circumstances, Configured, Written};
use super::authorization::{self, NOT_WITH_OPERATORS};
use super::digest::digest;
use super::domains::DefaultDomains;
use super::features::{self, Features};
use super::jetstream::{self, JetStreamOptions};
use super::known::survey;
use super::leafnodes;
use super::listen::{self, Partial};
use super::proxies::Proxies;
use super::resolver::{self, ResolverConfig};
use super::tls::{self, TlsError, TlsFiles};
use super::value::{Entry, Node, Problem, Value};
use super::websocket::{self, Websocket};
use super::{ConfigError, Identities, LoadedConfig, LogOptions, OperatorConfig, SyslogTo};
use crate::limits;
use crate::options::{BrokerOptions, TrafficOptions, WriteTimeout};
use crate::remote::http::HttpTls;

const CLIENT_PORT: u16 = 4222;
/// A time for CONNECT above this was hardly meant.
const LONG_TIMEOUT: Duration = Duration::from_mins(1);
/// The least time for letting clients go one by one.
const LAME_DUCK_LEAST: Duration = Duration::from_secs(30);
/// Payloads above this make every receiver's buffers large.
const LARGE_PAYLOAD: usize = 8 * 1024 * 1024;

/// Everything as it was read, before it is checked as a whole.
#[derive(Default)]
struct Draft {
    broker: BrokerOptions,
    listen: Partial,
    host: Option<IpAddr>,
    port: Option<u16>,
    monitor: Option<Partial>,
    monitor_secure: Option<Partial>,
    tls: Option<TlsFiles>,
    leaf_tls: Option<TlsFiles>,
    websocket: Option<(Node, Websocket)>,
    allow_plain: bool,
    operators: Vec<String>,
    /// Identities without operators.
    written: Written,
    proxies: Vec<PublicKey>,
    proxy_headers: Proxies,
    resolver: Option<ResolverConfig>,
    resolver_tls: Option<HttpTls>,
    preload: Vec<(AccountKey, String)>,
    pinned: Option<Vec<AccountKey>>,
    sentinel: Option<String>,
    auth_timeout: Option<Duration>,
    insecure_no_auth: bool,
    insecure_no_tls: bool,
    /// `max_payload` is negative: `max_pending` alone bounds messages.
    no_payload_limit: bool,
    data_dir: Option<PathBuf>,
    jetstream: Option<JetStreamOptions>,
    domains: DefaultDomains,
    store_dir: Option<PathBuf>,
    features: Features,
    log: LogOptions,
    pid_file: Option<PathBuf>,
    ports_file_dir: Option<PathBuf>,
    strict: bool,
    warnings: Vec<String>,
    doubts: Vec<Problem>,
}

/// Reads the options of a whole file.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn read(node: &Node) -> Result<LoadedConfig, ConfigError> {
    let mut draft = Draft { insecure_no_auth: true, insecure_no_tls: true, ..Draft::default() };
    let (mut problems, mut nested) = (Vec::new(), Vec::new());
    let survey = survey(node);
    draft.warnings.extend(survey.warnings.iter().map(ToString::to_string));
    draft.doubts.extend(survey.doubts.iter().cloned());
    node.read(&mut problems, |option, value| {
        Ok(draft.listener(option, value, &mut nested)?
            || draft.limit(option, value)?
            || draft.identity(option, value, &mut nested)?
            || draft.other(option, value, &mut nested)?)
    });
    problems.append(&mut nested);
    draft.doubts.extend(nothing(node));
    let loaded = draft.finish(node, &mut problems);
    for problem in &mut problems {
        survey.advise(problem);
    }
    problems.extend(survey.problems);
    match loaded {
        Some(loaded) if problems.is_empty() => Ok(loaded),
        _ => Err(ConfigError(problems)),
    }
}

/// What nats-server doubts of a file without options.
pub(super) fn nothing(node: &Node) -> Option<Problem> {
    node.entries().is_ok_and(<[_]>::is_empty).then(|| node.problem("the configuration has no values"))
}

impl Draft {
    fn listener(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "listen" => self.listen = listen::address(value)?,
            "host" | "net" => self.host = Some(listen::host(value)?),
            "port" => self.port = listen::port_or_none(value)?,
            "server_name" => self.broker.server_name = name(value)?,
            "http" => self.monitor = Some(listen::address(value)?),
            "https" => self.monitor_secure = Some(listen::address(value)?),
            "http_port" | "monitor_port" => monitor_port(&mut self.monitor, value)?,
            "https_port" => monitor_port(&mut self.monitor_secure, value)?,
            "http_base_path" => self.broker.monitor_base = base_path(value)?,
            "client_advertise" => self.broker.advertised = listen::advertised(value)?,
            "tls" => self.tls = tls::read(value, problems),
            "websocket" | "ws" => {
                let block = websocket::read(value, problems);
                self.written.websocket = block.login(value);
                self.websocket = Some((value.clone(), block));
            }
            "proxies" => self.proxies = authorization::proxies(value, problems),
            "proxy_protocol" => self.proxy_headers.on = value.switch()?,
            "proxy_protocol_from" => self.proxy_headers.read_from(value)?,
            "allow_non_tls" => self.allow_plain = value.switch()?,
            "insecure_no_tls" => self.insecure_no_tls = value.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn limit(&mut self, option: &str, value: &Node) -> Result<bool, Problem> {
        let broker = &mut self.broker;
        match option {
            "max_connections" | "max_conn" => broker.max_connections = usize::try_from(value.integer()?).unwrap_or(0),
            "max_subscriptions" | "max_subs" => {
                broker.max_subscriptions = usize::try_from(value.integer()?).ok().filter(|max| *max > 0);
            }
            "max_sub_tokens" | "max_subscription_tokens" => broker.max_sub_tokens = Some(sub_tokens(value)?),
            "max_control_line" => broker.max_control_line = bounded(value, limits::MAX_CONTROL_LINE)?,
            "max_payload" if value.integer()? < 0 => self.no_payload_limit = true,
            "max_payload" => broker.max_payload = bounded(value, limits::MAX_PAYLOAD)?,
            "max_pending" => broker.max_pending = bounded(value, limits::MAX_PENDING)?,
            "ping_interval" => broker.ping_interval = interval(value, limits::PING_INTERVAL)?,
            "ping_max" => broker.ping_max = bounded(value, limits::PING_MAX as usize)? as u32,
            "write_deadline" => broker.write_deadline = interval(value, limits::WRITE_DEADLINE)?,
            "write_timeout" => broker.write_timeout = WriteTimeout::read(value)?.unwrap_or_default(),
            "no_fast_producer_stall" => broker.no_fast_producer_stall = value.switch()?,
            "no_header_support" => broker.headers = !value.switch()?,
            "max_closed_clients" => {
                broker.max_closed = match value.integer()? {
                    0 => limits::MAX_CLOSED_CONNECTIONS,
                    most => usize::try_from(most).unwrap_or(0).min(limits::MAX_CLOSED_CONFIGURED),
                }
            }
            "lame_duck_duration" => broker.lame_duck_duration = lame_duck(value)?,
            "lame_duck_grace_period" => broker.lame_duck_grace = value.duration_text()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn identity(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "operator" | "operators" | "root" | "roots" | "root_operator" | "root_operators" => {
                self.operators = value.items().iter().map(resolver::token).collect::<Result<_, _>>()?;
            }
            "system_account" | "system" => self.written.system_account = Some(value.clone()),
            "resolver" | "account_resolver" | "accounts_resolver" => self.resolver = resolver::read(value, problems),
            "resolver_tls" => self.resolver_tls = Some(resolver::tls(value, problems)),
            "resolver_preload" => self.preload = resolver::preload(value, problems),
            "resolver_pinned_accounts" => self.pinned = Some(resolver::keys(value)?),
            "default_sentinel" => self.sentinel = Some(resolver::token(value)?),
            "authorization" => self.written.authorization = Some(value.clone()),
            "accounts" => self.written.accounts = Some(value.clone()),
            "mappings" | "maps" => self.written.mappings = Some(value.clone()),
            "no_auth_user" => self.written.no_auth_user = Some(value.clone()),
            "no_system_account" | "no_system" | "no_sys_acc" => self.written.no_system_account = value.switch()?,
            "insecure_no_auth" => self.insecure_no_auth = value.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "debug" => self.log.debug = value.switch()?,
            "trace" => self.log.trace = value.switch()?,
            "trace_verbose" => self.log.trace_verbose = value.switch()?,
            "trace_headers" => self.log.trace_headers = value.switch()?,
            "max_traced_msg_len" => self.log.max_traced = bound_or_none(value)?,
            "logtime" => self.log.time = value.switch()?,
            "logtime_utc" => self.log.utc = value.switch()?,
            "log_file" | "logfile" => {
                self.log.file = Some(value.text()?).filter(|name| !name.is_empty()).map(PathBuf::from);
            }
            "log_size_limit" | "logfile_size_limit" => self.log.size_limit = bound_or_none(value)? as u64,
            "log_max_num" | "logfile_max_num" => self.log.files_max = bound_or_none(value)?,
            // That of another machine comes first, wherever it stands.
            "syslog" if value.switch()? => self.log.syslog = self.log.syslog.take().or(Some(SyslogTo::Machine)),
            "syslog" => {}
            "remote_syslog" => self.log.syslog = SyslogTo::read(value)?.or(self.log.syslog.take()),
            "ports_file_dir" => self.ports_file_dir = Some(PathBuf::from(value.text()?)),
            "pid_file" | "pidfile" => self.pid_file = Some(PathBuf::from(value.text()?)),
            "leafnodes" | "leaf" => {
                let (leaf, files) = leafnodes::read(value, problems, &mut self.warnings);
                (self.broker.leaf, self.leaf_tls) = (Arc::new(leaf), files);
            }
            "data_dir" => self.data_dir = Some(PathBuf::from(value.text()?)),
            "server_tags" => self.broker.tags = tags(value)?,
            "server_metadata" => {
                let pair = |entry: &Entry| Ok((entry.key.clone(), entry.node.text()?.to_owned()));
                self.broker.metadata = value.entries()?.iter().map(pair).collect::<Result<_, Problem>>()?;
            }
            "jetstream" => self.jetstream = jetstream::read(value, problems)?,
            "default_js_domain" => self.domains = DefaultDomains::read(value, &mut self.warnings)?,
            "feature_flags" => self.features = features::read(value, &mut self.warnings)?,
            "store_dir" | "storedir" => self.store_dir = jetstream::folder(value)?,
            "strict" => self.strict = value.switch()?,
            "trusted_keys" | "trusted" if value.items().is_empty() => {}
            "trusted_keys" | "trusted" => {
                return Err(value.problem("operators are trusted by their JWT here: name it with `operator`"));
            }
            "resolver_tls" => {
                return Err(value.problem(format!("`{option}` is not supported here: remove it")));
            }
            // What is known and not acted on, `known` excuses.
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(mut self, node: &Node, problems: &mut Vec<Problem>) -> Option<LoadedConfig> {
        if self.strict {
            self.insecure_no_auth = false;
            self.insecure_no_tls = false;
        }
        self.addresses(node, problems);
        let proxies = std::mem::take(&mut self.proxy_headers);
        self.broker.proxies = proxies.finish(self.strict, node, problems, &mut self.warnings);
        self.monitoring(node, problems);
        self.check_limits(node, problems);
        let identities = self.identities(node, problems)?;
        let accounts = match &identities {
            Identities::Configured(configured) => Some(&*configured.accounts),
            Identities::Operator(_) => None,
        };
        self.broker.default_domains = std::mem::take(&mut self.domains).finish(accounts, problems);
        let mut websocket_tls = None;
        if let Some((block, own)) = self.websocket.take() {
            let operators = matches!(identities, Identities::Operator(_));
            websocket_tls.clone_from(&own.files);
            self.broker.websocket = own.finish(&block, operators, problems, &mut self.warnings);
        }
        if let Err(error) = self.certificates() {
            problems.push(node.problem(format!("{error}; see the `tls` block")));
        }
        self.broker.config_digest = digest(node);
        if let Some(timeout) = self.auth_timeout {
            if timeout > LONG_TIMEOUT {
                self.doubts.push(node.problem(format!(
                    "the `timeout` of `authorization` is {timeout:?}: whoever proves nothing holds a connection so long"
                )));
            }
            self.broker.auth_timeout = timeout;
        }
        self.logging();
        self.broker.security_dir = self.data_dir.as_ref().map(|folder| folder.join("security"));
        if self.broker.security_dir.is_none() {
            self.warnings
                .push("security events are kept in memory only: set `data_dir` to keep them on disk".to_owned());
        }
        if let Some(streams) = &mut self.jetstream {
            streams.store_dir = streams.store_dir.take().or(self.store_dir);
            streams.long_acks = self.features.long_acks;
        }
        Some(LoadedConfig {
            jetstream: self.jetstream,
            trusted_proxies: self.proxies,
            tls: self.tls,
            websocket_tls,
            leaf_tls: self.leaf_tls,
            log: self.log,
            pid_file: self.pid_file,
            ports_file_dir: self.ports_file_dir,
            warnings: self.warnings,
            doubts: self.doubts,
            digest: self.broker.config_digest.clone(),
            ..LoadedConfig::new(self.broker, identities)
        })
    }

    fn logging(&mut self) {
        // The one asks for the other, whichever comes first.
        self.log.trace |= self.log.trace_verbose || self.log.trace_headers;
        if self.log.trace && !self.log.trace_headers {
            self.warnings.push(
                "INSECURE: `trace` writes the messages of all accounts into the log: use it for a short time, with \
                 `trace_headers` where their payloads are not needed"
                    .to_owned(),
            );
        }
        if let Some(to) = self.log.syslog.as_ref().filter(|to| to.is_exposed() && self.log.file.is_none()) {
            self.warnings
                .push(format!("INSECURE: the log goes to {to} in plain text: whoever is on the way can read it"));
        }
        self.broker.traffic = TrafficOptions {
            verbose: self.log.trace_verbose,
            headers_only: self.log.trace_headers,
            max_payload: self.log.max_traced,
        };
    }

    fn addresses(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        let given = Partial { host: self.host.or(self.listen.host), port: self.port.or(self.listen.port) };
        self.broker.listen = given.or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), CLIENT_PORT);
        let listen = self.broker.listen;
        if self.tls.is_none() {
            if !listen.ip().is_loopback() && !self.insecure_no_tls {
                problems.push(node.problem(format!(
                    "without TLS, everybody on the way to {listen} can read and change what clients send: add a `tls` block, \
                     listen on loopback (listen: \"127.0.0.1:{}\"), or ask for plain text with `insecure_no_tls: true`",
                    listen.port()
                )));
            }
            let exposed =
                if listen.ip().is_loopback() { "" } else { ", which whoever is on the way can read and change" };
            self.warnings.push(format!("INSECURE: clients on {listen} speak plain text{exposed}: add a `tls` block"));
        } else if self.allow_plain {
            self.warnings.push("INSECURE: `allow_non_tls` lets clients speak plain text".to_owned());
        }
    }

    /// Where the clients are, unless it says otherwise or everything has to be strict: the pages ask nobody.
    fn monitoring(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        let given = |asked: Option<Partial>| asked.filter(|asked| asked.port.is_some());
        let (plain, secure) = (given(self.monitor), given(self.monitor_secure));
        if plain.is_some() && secure.is_some() {
            problems.push(node.problem("monitoring is either on `http` or on `https`: keep one of them"));
        }
        if secure.is_some() && self.tls.is_none() {
            problems.push(node.problem("`https` needs the certificate of a `tls` block: add one, or use `http`"));
        }
        let Some(asked) = secure.or(plain) else { return };
        let usual = if self.strict { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { self.broker.listen.ip() };
        let monitor = asked.or(usual, 0);
        if !monitor.ip().is_loopback() {
            self.warnings.push(format!("INSECURE: monitoring on {monitor} can be read by everybody who reaches it"));
        }
        self.broker.monitor = Some(monitor);
    }

    /// Reads the files of the `tls` block; what clients may take to authenticate depends on it.
    fn certificates(&mut self) -> Result<(), TlsError> {
        let Some(files) = &mut self.tls else { return Ok(()) };
        files.allow_plain = self.allow_plain;
        self.warnings.extend(files.remarks.drain(..).map(|remark| remark.to_string()));
        self.broker.map_certificates = files.map;
        self.broker.handshake_rate = files.rate;
        self.broker.auth_timeout = files.timeout + Duration::from_secs(1);
        self.broker.tls = Some(files.options()?);
        if self.monitor_secure.is_some() {
            self.broker.monitor_tls = Some(files.without_clients()?);
        }
        Ok(())
    }

    fn check_limits(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        let broker = &mut self.broker;
        if self.no_payload_limit {
            broker.max_payload = broker.max_pending;
            self.warnings.push(format!("`max_payload` is that of `max_pending`: {} bytes", broker.max_pending));
        }
        if broker.max_payload > broker.max_pending {
            problems.push(node.problem(format!(
                "`max_payload` ({}) cannot be higher than `max_pending` ({}): lower the one or raise the other",
                broker.max_payload, broker.max_pending
            )));
        }
        if broker.max_control_line * 2 >= limits::READ_BUFFER {
            broker.max_control_line = limits::READ_BUFFER / 2 - 1;
            self.warnings.push(format!("`max_control_line` is {}: more is not possible here", broker.max_control_line));
        }
        if broker.max_connections == 0 {
            self.warnings.push("`max_connections` is 0: nobody can connect".to_owned());
        }
        if broker.no_fast_producer_stall {
            self.warnings.push("`no_fast_producer_stall` drops messages for receivers that are behind".to_owned());
        }
        if broker.lame_duck_grace >= broker.lame_duck_duration {
            problems.push(node.problem(format!(
                "`lame_duck_grace_period` ({:?}) must be shorter than `lame_duck_duration` ({:?})",
                broker.lame_duck_grace, broker.lame_duck_duration
            )));
        }
        if broker.max_payload > LARGE_PAYLOAD {
            self.warnings.push(format!("`max_payload` is above the {LARGE_PAYLOAD} bytes that are advised"));
        }
    }

    fn identities(&mut self, node: &Node, problems: &mut Vec<Problem>) -> Option<Identities> {
        if self.operators.is_empty() {
            return self.configured(node, problems).map(Identities::Configured);
        }
        match self.written.timeout_alone() {
            Ok(timeout) => self.auth_timeout = timeout,
            Err(problem) => problems.push(problem),
        }
        if self.written.no_system_account {
            let text = "`no_system_account` is not acted on: operators name the system account, or none does";
            self.warnings.push(text.to_owned());
        }
        if self.written.mappings.is_some() {
            let text =
                "`mappings` are those of `$G`, which nobody is in with operators: mappings stand in the accounts' JWTs";
            self.warnings.push(text.to_owned());
        }
        let others = [&self.written.accounts, &self.written.no_auth_user];
        problems.extend(others.into_iter().flatten().map(|node| node.problem(NOT_WITH_OPERATORS)));
        if let ([operator], None) = (self.operators.as_slice(), &self.resolver) {
            self.resolver = resolver::of_operator(operator);
        }
        let Some(resolver) = self.resolver.take().map(|resolver| self.with_tls(node, resolver, problems)) else {
            problems.push(
                node.problem("operators need a resolver: add `resolver: MEMORY`, or a map with `type: full` and `dir`"),
            );
            return None;
        };
        let system_account = match self.written.system_account.as_ref().map(resolver::key).transpose() {
            Ok(key) => key,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if let ResolverConfig::Directory(_, options, _) = &resolver {
            self.broker.allow_delete = options.delete != cordon_auth::resolver::DeleteMode::Refuse;
        }
        Some(Identities::Operator(OperatorConfig {
            operators: std::mem::take(&mut self.operators),
            system_account,
            resolver,
            preload: std::mem::take(&mut self.preload),
            pinned_accounts: self.pinned.take(),
            default_sentinel: self.sentinel.take(),
        }))
    }

    /// What goes with one kind of resolver and not with another.
    fn with_tls(&mut self, node: &Node, resolver: ResolverConfig, problems: &mut Vec<Problem>) -> ResolverConfig {
        match (resolver, self.resolver_tls.take()) {
            (ResolverConfig::Url(..), _) if !self.preload.is_empty() => {
                problems.push(node.problem("`resolver_preload` does not go with a resolver that only reads, URL(..)"));
                ResolverConfig::Memory
            }
            (ResolverConfig::Url(address, _), Some(tls)) => ResolverConfig::Url(address, tls),
            (resolver, None) => resolver,
            (resolver, Some(_)) => {
                self.warnings.push("`resolver_tls` has no effect: it is for `resolver: URL(..)`".to_owned());
                resolver
            }
        }
    }

    fn configured(&mut self, node: &Node, problems: &mut Vec<Problem>) -> Option<Configured> {
        if self.resolver.is_some() || !self.preload.is_empty() {
            problems.push(node.problem("a resolver needs an `operator` whose accounts it keeps: add `operator`"));
        }
        if !self.written.asks_who() && !self.insecure_no_auth {
            problems.push(node.problem(
                "nobody would be asked who they are: add `operator` with a `resolver`, or `authorization`, \
                 or ask for anonymous clients with `insecure_no_auth: true`",
            ));
            return None;
        }
        if !self.written.asks_who() {
            self.warnings.push(
                "INSECURE: clients are not asked who they are: add `operator` with a `resolver`, `authorization` or `accounts`"
                    .to_owned(),
            );
        }
        let circumstances = Circumstances {
            open: self.insecure_no_auth,
            maps_certificates: self.tls.as_ref().is_some_and(|files| files.map),
            cluster: accounts::cluster_name(node),
        };
        let configured = self.written.compile(circumstances, problems, &mut self.warnings)?;
        self.auth_timeout = configured.timeout;
        Some(configured)
    }
}

fn name(value: &Node) -> Result<String, Problem> {
    let name = value.text()?;
    if name.contains(char::is_whitespace) {
        return Err(value.problem("`server_name` must be a word without blanks"));
    }
    Ok(name.to_owned())
}

/// A port of monitoring, for the host that is named elsewhere; none when 0.
fn monitor_port(asked: &mut Option<Partial>, value: &Node) -> Result<(), Problem> {
    let port = listen::port_or_none(value)?;
    asked.get_or_insert_default().port = port;
    Ok(())
}

/// Empty, or names with a slash before each.
fn base_path(value: &Node) -> Result<String, Problem> {
    let text = value.text()?;
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '~');
    if parts.iter().any(|part| part.starts_with('.') || !part.chars().all(plain)) {
        return Err(
            value.problem(format!("`{text}` is no path: letters, digits and `-_.~`, with slashes between them"))
        );
    }
    Ok(parts.iter().flat_map(|part| ["/", part]).collect())
}

fn tags(value: &Node) -> Result<Vec<String>, Problem> {
    let mut tags: Vec<String> = Vec::new();
    for text in value.texts()? {
        let tag = text.trim();
        if !tag.is_empty() && !tags.iter().any(|known| known == tag) {
            tags.push(tag.to_owned());
        }
    }
    Ok(tags)
}

/// From 1 to 2^31 - 1; 0 is what nats-server takes for "not given".
fn bounded(value: &Node, default: usize) -> Result<usize, Problem> {
    let number = value.integer()?;
    let fits = usize::try_from(number).ok().filter(|number| i32::try_from(*number).is_ok());
    let number = fits.ok_or_else(|| {
        value.problem(format!("`{number}` is out of range: it must be from 1 to {}, or 0 for {default}", i32::MAX))
    })?;
    Ok(if number == 0 { default } else { number })
}

/// A bound; 0 or less is none.
fn bound_or_none(value: &Node) -> Result<usize, Problem> {
    Ok(usize::try_from(value.integer()?).unwrap_or(0))
}

fn sub_tokens(value: &Node) -> Result<usize, Problem> {
    let number = value.integer()?;
    let fits = usize::try_from(number).ok().filter(|number| (1..=255).contains(number));
    fits.ok_or_else(|| value.problem(format!("`{number}` is out of range: it must be from 1 to 255")))
}

/// A duration, or whole seconds; 0 is what nats-server takes for "not given".
fn interval(value: &Node, default: Duration) -> Result<Duration, Problem> {
    if matches!(value.value, Value::Float(_)) {
        return Err(value.problem("expected a duration like \"500ms\", or whole seconds"));
    }
    let duration = value.duration()?;
    Ok(if duration.is_zero() { default } else { duration })
}

fn lame_duck(value: &Node) -> Result<Duration, Problem> {
    let duration = value.duration_text()?;
    if duration < LAME_DUCK_LEAST {
        return Err(value.problem(format!("`lame_duck_duration` of {duration:?} is too short: 30s is the least")));
    }
    Ok(duration)
}
