//! `syslog` and `remote_syslog`: a log that others keep.

use std::fmt;
use std::path::PathBuf;

use super::value::{Node, Problem};

/// Where a log goes that others keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogTo {
    /// The log of this machine.
    Machine,
    /// A socket in the file system.
    Socket(PathBuf),
    /// Datagrams to this host and port.
    Udp(String),
    /// A connection to this host and port.
    Tcp(String),
}

impl SyslogTo {
    /// `udp://host:port`, `tcp://host:port`, `unix:///path`, or host and port alone, which are datagrams; `None` if
    /// nothing is given.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is none of these.
    pub(super) fn read(value: &Node) -> Result<Option<Self>, Problem> {
        let text = value.text()?;
        let wrong = || {
            let forms = "write it like \"udp://host:514\", \"tcp://host:514\" or \"unix:///path\"";
            value.problem(format!("`{text}` is no address of a syslog: {forms}"))
        };
        if text.is_empty() {
            return Ok(None);
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
        match scheme.to_ascii_lowercase().as_str() {
            "unix" if rest.starts_with('/') => Ok(Some(Self::Socket(PathBuf::from(rest)))),
            "udp" if is_address(rest) => Ok(Some(Self::Udp(rest.to_owned()))),
            "tcp" if is_address(rest) => Ok(Some(Self::Tcp(rest.to_owned()))),
            _ => Err(wrong()),
        }
    }

    /// It is carried, in plain text, where others may read it.
    pub fn is_exposed(&self) -> bool {
        let (Self::Udp(address) | Self::Tcp(address)) = self else { return false };
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        !is_loopback && !host.eq_ignore_ascii_case("localhost")
    }
}

impl fmt::Display for SyslogTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Machine => f.write_str("the log of this machine"),
            Self::Socket(path) => write!(f, "unix://{}", path.display()),
            Self::Udp(address) => write!(f, "udp://{address}"),
            Self::Tcp(address) => write!(f, "tcp://{address}"),
        }
    }
}

/// Whether it is a host, an IPv6 address in brackets, and a port that can be sent to.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')),
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

#[cfg(test)]
mod tests {
    use super::super::load_text;
    use super::*;

    fn read(text: &str) -> Option<SyslogTo> {
        load_text(text, "t.conf").unwrap().log.syslog
    }

    #[test]
    fn the_log_of_another_machine_comes_before_that_of_this_one() {
        let udp = |address: &str| Some(SyslogTo::Udp(address.to_owned()));
        for (text, expected) in [
            ("port: 1", None),
            ("syslog: false", None),
            ("syslog: true", Some(SyslogTo::Machine)),
            ("syslog: true\nremote_syslog: \"\"", Some(SyslogTo::Machine)),
            ("remote_syslog: \"\"\nsyslog: true", Some(SyslogTo::Machine)),
            ("remote_syslog: \"udp://logs:514\"\nsyslog: true", udp("logs:514")),
            ("syslog: true\nremote_syslog: \"udp://logs:514\"", udp("logs:514")),
            ("syslog: false\nremote_syslog: \"logs:514\"", udp("logs:514")),
            ("remote_syslog: \"UDP://[::1]:1514\"", udp("[::1]:1514")),
            ("remote_syslog: \"tcp://10.0.0.1:601\"", Some(SyslogTo::Tcp("10.0.0.1:601".to_owned()))),
            ("remote_syslog: \"unix:///dev/log\"", Some(SyslogTo::Socket("/dev/log".into()))),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_address_of_a_syslog_is_refused_at_its_place() {
        for address in [
            "udp://logs",
            "udp://:514",
            "udp://logs:0",
            "udp://logs:65536",
            "udp://a b:514",
            "tcp://::1:514",
            "tls://logs:6514",
            "unix://dev/log",
            "logs",
            "/dev/log",
            "udp://u:p@logs:514",
        ] {
            let problem =
                load_text(&format!("port: 1\nremote_syslog: \"{address}\""), "t.conf").unwrap_err().to_string();
            let start = format!("t.conf:2:16: `{address}` is no address of a syslog: write it like");
            assert!(problem.starts_with(&start), "{problem}");
        }
    }

    #[test]
    fn a_log_that_others_may_read_on_its_way_is_warned_of() {
        for (address, is_warned) in [
            ("udp://logs:514", true),
            ("tcp://10.0.0.1:601", true),
            ("udp://127.0.0.1:514", false),
            ("tcp://[::1]:601", false),
            ("localhost:514", false),
            ("unix:///dev/log", false),
        ] {
            let warnings = load_text(&format!("remote_syslog: \"{address}\""), "t.conf").unwrap().warnings;
            let about = warnings.iter().any(|warning| warning.contains("INSECURE: the log goes to"));
            assert_eq!(about, is_warned, "{address}: {warnings:?}");
        }
    }
}
