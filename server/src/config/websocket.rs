//! The `websocket` block: the listener for clients over WebSocket.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use cordon_accounts::name::AccountName;
use cordon_auth::configured::{ConfiguredUser, ConfiguredUsers, ConfiguredUsersBuilder, Credential};
use secrecy::{ExposeSecret as _, SecretString};

use super::listen::{self, Partial};
use super::tls::{self, TlsFiles};
use super::value::{Node, Problem};
use crate::websocket::WebsocketOptions;
use crate::websocket::origin::Origin;

/// Header lines that the answer has of its own, or must not have.
const FORBIDDEN: [&str; 5] = ["connection", "content-length", "host", "nats-no-masking", "upgrade"];
const FORBIDDEN_PREFIX: &str = "sec-websocket-";
/// nats-server warns of a time below this.
const SHORT: Duration = Duration::from_secs(1);

/// The block as it was read.
#[derive(Debug, Default)]
pub struct Websocket {
    options: WebsocketOptions,
    /// The files of its certificate, for reading them again.
    pub files: Option<TlsFiles>,
    listen: Partial,
    no_tls: bool,
    user: Option<String>,
    password: Option<SecretString>,
    token: Option<SecretString>,
}

/// Reads the block; what is wrong goes to `problems`.
pub fn read(node: &Node, problems: &mut Vec<Problem>) -> Websocket {
    let mut block = Websocket::default();
    let (mut nested, mut host) = (Vec::new(), None);
    node.read(problems, |option, value| {
        match option {
            "listen" => block.listen = listen::address(value)?,
            "host" | "net" => host = Some(listen::host(value)?),
            "port" => block.listen.port = Some(listen::port(value)?),
            "no_tls" => block.no_tls = value.switch()?,
            "tls" => block.files = tls::read(value, &mut nested),
            "authorization" | "authentication" => block.authorization(value, &mut nested),
            "headers" => block.headers(value, &mut nested)?,
            _ => return block.policy(option, value),
        }
        Ok(true)
    });
    block.listen.host = host.or(block.listen.host);
    problems.append(&mut nested);
    block
}

impl Websocket {
    fn policy(&mut self, option: &str, value: &Node) -> Result<bool, Problem> {
        let options = &mut self.options;
        match option {
            "advertise" => options.advertise = Some(value.text()?.to_owned()),
            "same_origin" => options.origins.same = value.switch()?,
            "allowed_origins" | "allowed_origin" | "allow_origins" | "allow_origin" | "origins" | "origin" => {
                options.origins.allowed = value.items().iter().map(origin).collect::<Result<_, _>>()?;
            }
            "handshake_timeout" => options.handshake_timeout = not_zero(value)?,
            "compression" | "compress" => options.compression = value.switch()?,
            "jwt_cookie" => options.cookies.jwt = Some(cookie(value)?),
            "user_cookie" => options.cookies.user = Some(cookie(value)?),
            "pass_cookie" => options.cookies.pass = Some(cookie(value)?),
            "token_cookie" => options.cookies.token = Some(cookie(value)?),
            "no_auth_user" => options.no_auth_user = Some(value.text()?.to_owned()),
            "ping_interval" => options.ping_interval = Some(not_zero(value)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn authorization(&mut self, node: &Node, problems: &mut Vec<Problem>) {
        node.read(problems, |option, value| {
            match option {
                "user" | "username" => self.user = Some(value.text()?.to_owned()),
                "pass" | "password" => self.password = Some(SecretString::from(value.text()?)),
                "token" => self.token = Some(SecretString::from(value.text()?)),
                "timeout" => self.options.auth_timeout = Some(not_zero(value)?),
                _ => return Ok(false),
            }
            Ok(true)
        });
        if self.user.is_some() && self.token.is_some() {
            problems.push(node.problem("a `user` excludes a `token`: keep one of them"));
        }
        if self.password.is_some() && self.user.is_none() {
            problems.push(node.problem("`password` without `user`: name the user"));
        }
    }

    fn headers(&mut self, node: &Node, problems: &mut Vec<Problem>) -> Result<(), Problem> {
        for entry in node.entries()? {
            match header(&entry.key, &entry.node) {
                Ok(header) => self.options.headers.push(header),
                Err(problem) => problems.push(problem),
            }
        }
        Ok(())
    }

    /// Who may connect to this listener, where the block says something of it.
    pub fn login(&self, node: &Node) -> Option<Login> {
        let (user, password, token) = (self.user.clone(), self.password.clone(), self.token.clone());
        let no_auth_user = self.options.no_auth_user.clone();
        let says = user.is_some() || token.is_some() || no_auth_user.is_some();
        says.then(|| Login { node: node.clone(), user, password, token, no_auth_user })
    }

    /// The listener; `None` when something is wrong, or it has no port. `operators` says that there are some.
    pub fn finish(
        mut self,
        node: &Node,
        operators: bool,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> Option<WebsocketOptions> {
        let before = problems.len();
        self.check_identities(node, operators, problems);
        if self.listen.port.is_none() {
            warnings.push(format!("{}: `websocket` without `port` listens nowhere: give a port", node.place));
        }
        match &mut self.files {
            None if !self.no_tls => {
                problems.push(node.problem("websocket requires TLS configuration: add `tls`, or `no_tls: true`"));
            }
            None => {}
            Some(files) => {
                self.options.map_certificates = files.map;
                warnings.extend(files.remarks.drain(..).map(|remark| remark.to_string()));
                match files.options() {
                    Ok(options) => self.options.tls = Some(Arc::new(options)),
                    Err(error) => problems.push(node.problem(format!("{error}; see `tls` in `websocket`"))),
                }
                let timeout = files.timeout + SHORT;
                self.options.auth_timeout.get_or_insert(timeout);
            }
        }
        let port = self.listen.port?;
        self.options.listen = self.listen.or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
        self.warn(warnings);
        (problems.len() == before).then_some(self.options)
    }

    fn check_identities(&self, node: &Node, operators: bool, problems: &mut Vec<Problem>) {
        if operators && (self.user.is_some() || self.token.is_some() || self.options.no_auth_user.is_some()) {
            problems.push(node.problem(
                "operators do not go with `authorization` or `no_auth_user` in `websocket`: keep one of the two ways",
            ));
        }
        if !operators && self.options.cookies.jwt.is_some() {
            problems
                .push(node.problem("`jwt_cookie` needs an `operator` whose accounts sign the JWTs: add `operator`"));
        }
        if [&self.password, &self.token].into_iter().flatten().any(|secret| secret.expose_secret().is_empty()) {
            problems.push(node.problem("the password or token of `websocket` is empty: remove it or set one"));
        }
    }

    fn warn(&self, warnings: &mut Vec<String>) {
        let options = &self.options;
        if options.tls.is_none() {
            let listen = options.listen;
            warnings
                .push(format!("INSECURE: WebSocket clients on {listen} speak plain text: add `tls` to `websocket`"));
        } else if self.no_tls {
            warnings.push("`no_tls` of `websocket` has no effect beside `tls`".to_owned());
        }
        if options.handshake_timeout < SHORT {
            let timeout = options.handshake_timeout;
            warnings.push(format!("`handshake_timeout` of {timeout:?} is short: clients far away will not make it"));
        }
    }
}

/// What the block says of who may connect: in place of a user, a token and a `no_auth_user` of the top level.
#[derive(Clone, Debug)]
pub struct Login {
    node: Node,
    user: Option<String>,
    password: Option<SecretString>,
    token: Option<SecretString>,
    no_auth_user: Option<String>,
}

impl Login {
    /// The block.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// The users of this listener. `all` are those of the file; `single` says that they are one, of `authorization`.
    pub fn users(
        &self,
        all: &ConfiguredUsersBuilder,
        single: bool,
        problems: &mut Vec<Problem>,
    ) -> Option<ConfiguredUsersBuilder> {
        let own = self.user.is_some() || self.token.is_some();
        if own && all.has_users() && !single {
            problems.push(self.node.problem(
                "`user` or `token` of `websocket` does not go with users of the configuration: keep one of the two",
            ));
            return None;
        }
        if let Some(token) = &self.token {
            return Some(ConfiguredUsers::builder().token(token.clone()));
        }
        if let Some(name) = &self.user {
            let password = self.password.clone().unwrap_or_else(|| SecretString::from(""));
            let user = ConfiguredUser::new(name, Credential::Password(password), AccountName::global());
            return Some(ConfiguredUsers::builder().user(user));
        }
        self.no_auth_user.as_ref().map(|name| all.clone().no_auth_user(name))
    }
}

fn not_zero(value: &Node) -> Result<Duration, Problem> {
    let duration = value.duration()?;
    if duration.is_zero() {
        Err(value.problem("a duration of zero lets nothing happen: give a longer one"))
    } else {
        Ok(duration)
    }
}

fn origin(value: &Node) -> Result<Origin, Problem> {
    let text = value.text()?;
    text.parse().map_err(|error| value.problem(format!("`{text}` is no origin: {error}")))
}

/// The name of a cookie: a token of RFC 6265.
fn cookie(value: &Node) -> Result<String, Problem> {
    let name = value.text()?;
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(value.problem(format!("`{name}` is no name of a cookie")));
    }
    Ok(name.to_owned())
}

fn header(name: &str, value: &Node) -> Result<(String, String), Problem> {
    let text = value.text()?;
    let lower = name.to_ascii_lowercase();
    if FORBIDDEN.contains(&lower.as_str()) || lower.starts_with(FORBIDDEN_PREFIX) {
        return Err(value.problem(format!("the header `{name}` belongs to the broker: remove it")));
    }
    // A line end would begin a header of its own, or a body.
    if name.is_empty()
        || !name.bytes().all(is_token)
        || text.bytes().any(|byte| byte < b' ' && byte != b'\t' || byte == 0x7f)
    {
        return Err(value.problem(format!(
            "the header `{}` cannot be sent: a name is one word, and a value one line",
            name.escape_debug()
        )));
    }
    Ok((name.to_owned(), text.to_owned()))
}

const fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~')
}

#[cfg(test)]
#[path = "websocket_tests.rs"]
mod tests;
