//! `proxy_protocol` and `proxy_protocol_from`: whose word about a client's address is taken.

use std::net::IpAddr;

use cordon_accounts::claims::Network;

use super::value::{Node, Problem};
use crate::listener::proxy::ProxyHeaders;

/// What a file says.
#[derive(Debug, Default)]
pub(super) struct Proxies {
    /// `proxy_protocol`.
    pub(super) on: bool,
    /// `proxy_protocol_from`, and its first place.
    from: Option<(Vec<Network>, Node)>,
}

impl Proxies {
    /// Addresses and networks.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the place of what is neither, and for an empty list.
    pub(super) fn read_from(&mut self, value: &Node) -> Result<(), Problem> {
        let networks = value.items().iter().map(network).collect::<Result<Vec<_>, _>>()?;
        if networks.is_empty() {
            return Err(value.problem("`proxy_protocol_from` names no proxy: add one, or remove it"));
        }
        self.from = Some((networks, value.clone()));
        Ok(())
    }

    /// Whose headers are believed.
    pub(super) fn finish(
        self,
        strict: bool,
        node: &Node,
        problems: &mut Vec<Problem>,
        warnings: &mut Vec<String>,
    ) -> ProxyHeaders {
        match (self.on, self.from) {
            (true, Some((networks, _))) => {
                if networks.iter().any(|network| network.to_string().ends_with("/0")) {
                    warnings.push(anybody());
                }
                ProxyHeaders::Of(networks)
            }
            (true, None) => {
                if strict {
                    problems.push(node.problem(
                        "`proxy_protocol` without `proxy_protocol_from` believes whoever reaches the port: name the proxies",
                    ));
                }
                warnings.push(anybody());
                ProxyHeaders::OfAnybody
            }
            (false, Some((_, place))) => {
                warnings.push(
                    place.problem("`proxy_protocol_from` has no effect without `proxy_protocol: true`").to_string(),
                );
                ProxyHeaders::Off
            }
            (false, None) => ProxyHeaders::Off,
        }
    }
}

fn anybody() -> String {
    "INSECURE: `proxy_protocol` believes whoever reaches the port about the address of a client, which networks in \
     credentials and limits then count by: name the proxies with `proxy_protocol_from`"
        .to_owned()
}

fn network(node: &Node) -> Result<Network, Problem> {
    let text = node.text()?;
    let alone = text.parse::<IpAddr>().map(|address| format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 }));
    Network::parse(alone.as_deref().unwrap_or(text)).map_err(|error| node.problem(format!("{error}, and no address")))
}

#[cfg(test)]
mod tests {
    use super::super::load_text;

    #[test]
    fn whose_word_is_taken_is_named_or_warned_of() {
        for (text, shown, insecure) in [
            ("", "off", false),
            ("proxy_protocol: false", "off", false),
            ("proxy_protocol: true", "of anybody", true),
            ("PROXY_PROTOCOL: on, proxy_protocol_from: \"10.0.0.0/8\"", "of 10.0.0.0/8", false),
            (
                "proxy_protocol: true\nproxy_protocol_from: [\"127.0.0.1\", \"2001:db8::/32\", \"::1\"]",
                "of 127.0.0.1/32, 2001:db8::/32, ::1/128",
                false,
            ),
            ("proxy_protocol: true\nproxy_protocol_from: \"0.0.0.0/0\"", "of 0.0.0.0/0", true),
        ] {
            let loaded = load_text(text, "t.conf").unwrap();
            assert_eq!(loaded.broker.proxies.to_string(), shown, "{text}");
            let warned = loaded.warnings.iter().any(|warning| warning.contains("INSECURE: `proxy_protocol`"));
            assert_eq!(warned, insecure, "{text}");
        }
        let idle = load_text("proxy_protocol_from: \"10.0.0.0/8\"", "t.conf").unwrap();
        assert!(
            idle.warnings.iter().any(|warning| warning.contains("t.conf:1:22: `proxy_protocol_from` has no effect"))
        );
    }

    #[test]
    fn what_is_no_network_and_what_is_not_strict_is_refused() {
        for (text, part) in [
            ("proxy_protocol_from: \"10.0.0.0/33\"", "`10.0.0.0/33` is not a network"),
            ("proxy_protocol_from: [\"proxy.example\"]", "`proxy.example` is not a network"),
            ("proxy_protocol_from: []", "names no proxy"),
            ("proxy_protocol_from: 5", "text"),
            ("proxy_protocol: \"v2\"", "true or false"),
            (
                "strict: true\nlisten: \"127.0.0.1:4222\"\nauthorization { token: \"s3cret\" }\nproxy_protocol: true",
                "believes whoever reaches the port",
            ),
        ] {
            let told = load_text(text, "t.conf").err().unwrap_or_else(|| panic!("taken: {text}")).to_string();
            assert!(told.contains(part), "{text}: {told}");
        }
    }
}
