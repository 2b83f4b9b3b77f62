//! The top-level options, and what must hold between them.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::time::Duration;

use cordon_accounts::key::AccountKey;
use cordon_accounts::name::AccountName;
use cordon_auth::configured::ConfiguredUsers;

use super::authorization::{self, Authorization};
use super::listen::{self, Partial};
use super::resolver::{self, ResolverConfig};
use super::tls::{self, TlsFiles};
use super::value::{Node, Problem};
use super::{ConfigError, Identities, LoadedConfig, LogOptions, OperatorConfig};
use crate::limits;
use crate::options::BrokerOptions;

const CLIENT_PORT: u16 = 4222;
const MONITOR_PORT: u16 = 8222;
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
    tls: Option<TlsFiles>,
    allow_plain: bool,
    operators: Vec<String>,
    system_account: Option<Node>,
    resolver: Option<ResolverConfig>,
    preload: Vec<(AccountKey, String)>,
    pinned: Option<Vec<AccountKey>>,
    sentinel: Option<String>,
    authorization: Authorization,
    no_auth_user: Option<String>,
    insecure_no_auth: bool,
    insecure_no_tls: bool,
    data_dir: Option<PathBuf>,
    log: LogOptions,
    pid_file: Option<PathBuf>,
    warnings: Vec<String>,
}

/// Reads the options of a whole file.
///
/// # Errors
///
/// [`ConfigError`] with everything that is wrong.
pub fn read(node: &Node) -> Result<LoadedConfig, ConfigError> {
    let mut draft = Draft::default();
    let (mut problems, mut nested) = (Vec::new(), Vec::new());
    node.read(&mut problems, |option, value| {
        Ok(draft.listener(option, value, &mut nested)?
            || draft.limit(option, value)?
            || draft.identity(option, value, &mut nested)?
            || draft.other(option, value)?)
    });
    problems.append(&mut nested);
    let loaded = draft.finish(node, &mut problems);
    match loaded {
        Some(loaded) if problems.is_empty() => Ok(loaded),
        _ => Err(ConfigError(problems)),
    }
}

impl Draft {
    fn listener(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "listen" => self.listen = listen::address(value)?,
            "host" | "net" => self.host = Some(listen::host(value)?),
            "port" => self.port = Some(listen::port(value)?),
            "server_name" => self.broker.server_name = name(value)?,
            "http" => self.monitor = Some(listen::address(value)?),
            "http_port" | "monitor_port" => {
                self.monitor = Some(Partial { host: None, port: Some(listen::port(value)?) });
            }
            "tls" => self.tls = tls::read(value, problems),
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
            "max_subscriptions" | "max_subs" => broker.max_subscriptions = Some(value.size()?).filter(|max| *max > 0),
            "max_sub_tokens" | "max_subscription_tokens" => {
                broker.max_sub_tokens = Some(value.size()?).filter(|max| *max > 0);
            }
            "max_control_line" => broker.max_control_line = positive(value)?,
            "max_payload" => broker.max_payload = positive(value)?,
            "max_pending" => broker.max_pending = positive(value)?,
            "ping_interval" => broker.ping_interval = not_zero(value)?,
            "ping_max" => {
                broker.ping_max =
                    u32::try_from(positive(value)?).map_err(|_| value.problem("`ping_max` is too large"))?;
            }
            "write_deadline" => broker.write_deadline = not_zero(value)?,
            "no_fast_producer_stall" => broker.no_fast_producer_stall = value.switch()?,
            "lame_duck_duration" => broker.lame_duck_duration = value.duration()?,
            "lame_duck_grace_period" => broker.lame_duck_grace = value.duration()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn identity(&mut self, option: &str, value: &Node, problems: &mut Vec<Problem>) -> Result<bool, Problem> {
        match option {
            "operator" | "operators" | "root" | "roots" | "root_operator" | "root_operators" => {
                self.operators = value.items().iter().map(resolver::token).collect::<Result<_, _>>()?;
            }
            "system_account" | "system" => self.system_account = Some(value.clone()),
            "resolver" | "account_resolver" | "accounts_resolver" => self.resolver = resolver::read(value, problems),
            "resolver_preload" => self.preload = resolver::preload(value, problems),
            "resolver_pinned_accounts" => self.pinned = Some(resolver::keys(value)?),
            "default_sentinel" => self.sentinel = Some(resolver::token(value)?),
            "authorization" => authorization::read(value, &mut self.authorization, problems),
            "accounts" => authorization::read_accounts(value, &mut self.authorization, problems),
            "no_auth_user" => self.no_auth_user = Some(value.text()?.to_owned()),
            "insecure_no_auth" => self.insecure_no_auth = value.switch()?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn other(&mut self, option: &str, value: &Node) -> Result<bool, Problem> {
        match option {
            "debug" => self.log.debug = value.switch()?,
            "trace" | "trace_verbose" | "trace_headers" => self.log.trace |= value.switch()?,
            "log_file" | "logfile" => self.log.file = Some(PathBuf::from(value.text()?)),
            "pid_file" | "pidfile" => self.pid_file = Some(PathBuf::from(value.text()?)),
            "data_dir" => self.data_dir = Some(PathBuf::from(value.text()?)),
            "logtime"
            | "logtime_utc"
            | "max_traced_msg_len"
            | "disable_sublist_cache"
            | "no_sublist_cache"
            | "connect_error_reports"
            | "reconnect_error_reports"
            | "log_size_limit"
            | "log_max_num"
            | "max_closed_clients" => {
                self.warnings.push(format!("{}: `{option}` has no effect", value.place));
            }
            "jetstream" | "store_dir" | "websocket" | "ws" | "mqtt" | "leafnodes" | "leaf" | "cluster" | "gateway"
            | "https" | "https_port" => {
                return Err(value.problem(format!("`{option}` is not supported by this version: remove it")));
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn finish(mut self, node: &Node, problems: &mut Vec<Problem>) -> Option<LoadedConfig> {
        self.addresses(node, problems);
        self.check_limits(node, problems);
        let identities = self.identities(node, problems)?;
        if let Some(files) = &mut self.tls {
            files.allow_plain = self.allow_plain;
            self.broker.map_certificates = files.map;
            match files.options() {
                Ok(options) => self.broker.tls = Some(options),
                Err(error) => problems.push(node.problem(format!("{error}; see the `tls` block"))),
            }
            self.broker.auth_timeout = files.timeout + Duration::from_secs(1);
        }
        if let Some(timeout) = self.authorization.timeout {
            self.broker.auth_timeout = timeout;
        }
        self.broker.security_dir = self.data_dir.as_ref().map(|folder| folder.join("security"));
        if self.broker.security_dir.is_none() {
            self.warnings
                .push("security events are kept in memory only: set `data_dir` to keep them on disk".to_owned());
        }
        Some(LoadedConfig {
            broker: self.broker,
            identities,
            tls: self.tls,
            log: self.log,
            pid_file: self.pid_file,
            warnings: self.warnings,
        })
    }

    fn addresses(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        let given = Partial { host: self.host.or(self.listen.host), port: self.port.or(self.listen.port) };
        self.broker.listen = given.or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), CLIENT_PORT);
        let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
        // Not the clients' address: the pages ask nobody who they are.
        self.broker.monitor = self.monitor.map(|given| given.or(loopback, MONITOR_PORT));
        if let Some(monitor) = self.broker.monitor.filter(|monitor| !monitor.ip().is_loopback()) {
            self.warnings.push(format!("monitoring on {monitor} can be read by everybody who reaches it"));
        }
        let listen = self.broker.listen;
        if self.tls.is_none() {
            if !listen.ip().is_loopback() && !self.insecure_no_tls {
                problems.push(node.problem(format!(
                    "without TLS, everybody on the way to {listen} can read and change what clients send: add a `tls` block, \
                     listen on loopback (listen: \"127.0.0.1:{}\"), or ask for plain text with `insecure_no_tls: true`",
                    listen.port()
                )));
            }
            self.warnings.push(format!("INSECURE: clients on {listen} speak plain text"));
        } else if self.allow_plain {
            self.warnings.push("INSECURE: `allow_non_tls` lets clients speak plain text".to_owned());
        }
    }

    fn check_limits(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        let broker = &self.broker;
        if broker.max_payload > broker.max_pending {
            problems.push(node.problem(format!(
                "`max_payload` ({}) cannot be higher than `max_pending` ({}): lower the one or raise the other",
                broker.max_payload, broker.max_pending
            )));
        }
        if broker.max_control_line * 2 >= limits::READ_BUFFER {
            problems.push(node.problem(format!("`max_control_line` must be below {}", limits::READ_BUFFER / 2)));
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
            let system = match self.system_account.as_ref().map(Node::text).transpose() {
                Ok(name) => name.map_or_else(AccountName::system, AccountName::new),
                Err(problem) => {
                    problems.push(problem);
                    return None;
                }
            };
            return self.configured(node, problems).map(|users| Identities::Configured(users, system));
        }
        if self.authorization.present || self.no_auth_user.is_some() {
            problems.push(node.problem(
                "operators do not go with `authorization`, `accounts` or `no_auth_user`: keep one of the two ways",
            ));
        }
        let Some(resolver) = self.resolver.take() else {
            problems.push(
                node.problem("operators need a resolver: add `resolver: MEMORY`, or a map with `type: full` and `dir`"),
            );
            return None;
        };
        let system_account = match self.system_account.as_ref().map(resolver::key).transpose() {
            Ok(key) => key,
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        if let ResolverConfig::Directory(_, options) = &resolver {
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

    fn configured(&mut self, node: &Node, problems: &mut Vec<Problem>) -> Option<ConfiguredUsers> {
        if self.resolver.is_some() || !self.preload.is_empty() {
            problems.push(node.problem("a resolver needs an `operator` whose accounts it keeps: add `operator`"));
        }
        if !self.authorization.present && !self.insecure_no_auth {
            problems.push(node.problem(
                "nobody would be asked who they are: add `operator` with a `resolver`, or `authorization`, \
                 or ask for anonymous clients with `insecure_no_auth: true`",
            ));
            return None;
        }
        if !self.authorization.present {
            self.warnings.push("INSECURE: clients are not asked who they are".to_owned());
        }
        let mut users = ConfiguredUsers::builder();
        if self.authorization.present {
            users = users.required();
        }
        for user in std::mem::take(&mut self.authorization.users) {
            users = users.user(user);
        }
        if let Some(token) = self.authorization.token.take() {
            users = users.token(token);
        }
        if let Some(name) = self.no_auth_user.take() {
            users = users.no_auth_user(name);
        }
        match users.build() {
            Ok(users) => {
                let plain = users.plain_passwords().len();
                if plain > 0 {
                    self.warnings.push(format!(
                        "{plain} passwords stand in the configuration in plain text: use nkeys, or hashes"
                    ));
                }
                Some(users)
            }
            Err(error) => {
                problems.push(node.problem(error.to_string()));
                None
            }
        }
    }
}

fn name(value: &Node) -> Result<String, Problem> {
    let name = value.text()?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(value.problem("`server_name` must be a word without blanks"));
    }
    Ok(name.to_owned())
}

fn positive(value: &Node) -> Result<usize, Problem> {
    let number = value.integer()?;
    let fits = usize::try_from(number).ok().filter(|number| (1..=i32::MAX as usize).contains(number));
    fits.ok_or_else(|| value.problem(format!("`{number}` is out of range: it must be from 1 to {}", i32::MAX)))
}

fn not_zero(value: &Node) -> Result<Duration, Problem> {
    let duration = value.duration()?;
    if duration.is_zero() {
        return Err(value.problem("a duration of zero would never let anything happen: give a longer one"));
    }
    Ok(duration)
}
