//! Networks in CIDR notation.

use std::fmt;
use std::net::IpAddr;

/// The addresses that share a prefix.
#[derive(Copy, Clone, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// Reads `address/bits`.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] unless it is an IPv4 or IPv6 address with a fitting number of bits.
    pub fn parse(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError { text: text.chars().take(64).collect() };
        let (address, bits) = text.split_once('/').ok_or_else(wrong)?;
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        let prefix_bits: u8 = bits.parse().map_err(|_| wrong())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        if prefix_bits > bits_max {
            return Err(wrong());
        }
        Ok(Self { address, prefix_bits }.canonical())
    }

    /// Whether an address lies inside. An IPv4 address that came over IPv6 counts as IPv4.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self.address, peer.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(peer)) => {
                let differing = u32::from(ours) ^ u32::from(peer);
                differing.leading_zeros() >= u32::from(self.prefix_bits)
            }
            (IpAddr::V6(ours), IpAddr::V6(peer)) => {
                let differing = u128::from(ours) ^ u128::from(peer);
                differing.leading_zeros() >= u32::from(self.prefix_bits)
            }
            _ => false,
        }
    }

    /// Brings `::ffff:a.b.c.d/96+n` into the form that peers are compared in.
    fn canonical(self) -> Self {
        let address = self.address.to_canonical();
        if address.is_ipv4() && self.address.is_ipv6() && self.prefix_bits >= 96 {
            Self { address, prefix_bits: self.prefix_bits.saturating_sub(96) }
        } else {
            self
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a network of the form 192.0.2.0/24 or 2001:db8::/32")]
pub struct NetworkError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_inside_when_the_prefix_is_shared() {
        let table = [
            ("192.0.2.0/24", "192.0.2.255", true),
            ("192.0.2.0/24", "192.0.3.0", false),
            ("192.0.2.77/24", "192.0.2.1", true),
            ("0.0.0.0/0", "203.0.113.9", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("192.0.2.1/32", "192.0.2.1", true),
            ("192.0.2.1/32", "192.0.2.0", false),
            ("192.0.2.0/24", "::ffff:192.0.2.5", true),
            ("::ffff:192.0.2.0/120", "192.0.2.5", true),
            ("2001:db8::/32", "2001:db8:1::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
            ("::1/128", "::1", true),
            ("2001:db8::1/128", "2001:db8::2", false),
            ("2001:db8::/96", "203.0.113.9", false),
            ("::ffff:192.0.2.0/90", "203.0.113.9", false),
        ];
        for (network, peer, inside) in table {
            let found = Network::parse(network).unwrap().contains(peer.parse().unwrap());
            assert_eq!(found, inside, "{peer} in {network}");
        }
    }

    #[test]
    fn a_network_is_written_as_it_is_compared() {
        for (text, written) in [("192.0.2.7/24", "192.0.2.7/24"), ("::ffff:192.0.2.0/120", "192.0.2.0/24")] {
            assert_eq!(Network::parse(text).unwrap().to_string(), written);
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "/",
            "10.0.0.0",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0.0/-1",
            "10.0.0/8",
            "010.0.0.0/8",
            "::1/129",
            "::g/1",
            "10.0.0.0/8 ",
            " 10.0.0.0/8",
            "10.0.0.0/999",
            "a/8",
            "10.0.0.0/8/8",
        ] {
            assert!(Network::parse(text).is_err(), "{text:?}");
        }
    }
}
