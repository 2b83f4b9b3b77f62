//! The header of the PROXY protocol: what a proxy says of a connection before the bytes of its client.
//!
//! Source: the specification of HAProxy (`proxy-protocol.txt`), versions 1 (text) and 2 (binary). Stricter than it asks for:
//! what is no TCP over IPv4 or IPv6 is refused, and a header has a bound.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// A header of either version has no more bytes: the longest one in use holds a certificate of the client.
pub const LONGEST: usize = 4096;

/// How a header of version 1 begins.
const TEXT: &[u8] = b"PROXY ";
/// The longest header of version 1, its line end included.
const TEXT_LONGEST: usize = 107;
/// How a header of version 2 begins.
const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length of the rest.
const FIXED: usize = 16;
/// Addresses and ports of IPv4.
const V4_BLOCK: usize = 12;
/// The same of IPv6.
const V6_BLOCK: usize = 36;

/// What the first bytes of a connection are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// No header, whatever follows.
    None,
    /// Perhaps a header that has not come whole.
    Partial,
    /// A header.
    Header {
        /// Its bytes.
        length: usize,
        /// Where the client is; `None` when the proxy speaks for itself, or does not know.
        source: Option<SocketAddr>,
    },
}

/// Something that begins like a header and is none that can be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// The addresses of version 1 are not what its protocol says.
    #[error("its addresses or ports cannot be read")]
    Addresses,
    /// A command that nobody defined.
    #[error("its command {0} is unknown: it must be 0 or 1")]
    Command(u8),
    /// It ends before it is whole.
    #[error("it did not come whole")]
    Incomplete,
    /// Something else than TCP over IPv4 or IPv6.
    #[error("it is not about TCP over IPv4 or IPv6")]
    Protocol,
    /// There are fewer bytes than addresses need.
    #[error("its {0} bytes are too few for addresses")]
    Short(usize),
    /// There is too much of it.
    #[error("it is longer than {LONGEST} bytes, or than {TEXT_LONGEST} in text")]
    TooLong,
    /// A version that nobody defined.
    #[error("its version {0} is unknown: it must be 1 in text, or 2")]
    Version(u8),
}

/// Reads the beginning of a connection. More bytes change nothing about what is not [`Reading::Partial`].
///
/// # Errors
///
/// [`HeaderError`] for what begins like a header and is none.
pub fn read(bytes: &[u8]) -> Result<Reading, HeaderError> {
    if let Some(rest) = bytes.strip_prefix(TEXT) {
        return text(rest);
    }
    if let Some(rest) = bytes.strip_prefix(SIGNATURE) {
        return binary(rest);
    }
    let begun = TEXT.starts_with(bytes) || SIGNATURE.starts_with(bytes);
    Ok(if begun { Reading::Partial } else { Reading::None })
}

/// Version 1, after its first word: one line.
fn text(rest: &[u8]) -> Result<Reading, HeaderError> {
    let most = TEXT_LONGEST - TEXT.len();
    let Some(end) = rest.iter().take(most).position(|byte| *byte == b'\n') else {
        return if rest.len() < most { Ok(Reading::Partial) } else { Err(HeaderError::TooLong) };
    };
    let line = rest.get(..end).and_then(|line| line.strip_suffix(b"\r")).ok_or(HeaderError::Addresses)?;
    let length = TEXT.len() + end + 1;
    let line = std::str::from_utf8(line).map_err(|_| HeaderError::Addresses)?;
    let mut words = line.split(' ');
    let protocol = words.next().unwrap_or_default();
    if protocol == "UNKNOWN" {
        return Ok(Reading::Header { length, source: None });
    }
    let [Some(source), Some(target), Some(from), Some(to), None] = std::array::from_fn(|_| words.next()) else {
        return Err(if protocol.starts_with("TCP") { HeaderError::Addresses } else { HeaderError::Protocol });
    };
    let (source, _) = match protocol {
        "TCP4" => (address::<Ipv4Addr>(source)?, address::<Ipv4Addr>(target)?),
        "TCP6" => (address::<Ipv6Addr>(source)?, address::<Ipv6Addr>(target)?),
        _ => return Err(HeaderError::Protocol),
    };
    let (port, _) = (port(from)?, port(to)?);
    Ok(Reading::Header { length, source: Some(SocketAddr::new(source, port)) })
}

fn address<A: std::str::FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, HeaderError> {
    text.parse::<A>().map(Into::into).map_err(|_| HeaderError::Addresses)
}

fn port(text: &str) -> Result<u16, HeaderError> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(HeaderError::Addresses)
}

/// Version 2, after its signature.
fn binary(rest: &[u8]) -> Result<Reading, HeaderError> {
    let Some((&version, rest)) = rest.split_first() else { return Ok(Reading::Partial) };
    let (version, command) = (version >> 4, version & 0xf);
    if version != 2 {
        return Err(HeaderError::Version(version));
    }
    if command > 1 {
        return Err(HeaderError::Command(command));
    }
    let Some(([kind, high, low], rest)) = rest.split_first_chunk() else { return Ok(Reading::Partial) };
    let following = usize::from(u16::from_be_bytes([*high, *low]));
    let length = FIXED + following;
    if length > LONGEST {
        return Err(HeaderError::TooLong);
    }
    // The proxy itself, such as when it asks whether anybody is here: what follows means nothing then.
    let block = match (command, kind) {
        (0, _) => 0,
        (_, 0x11) => V4_BLOCK,
        (_, 0x21) => V6_BLOCK,
        _ => return Err(HeaderError::Protocol),
    };
    if following < block {
        return Err(HeaderError::Short(following));
    }
    let Some(rest) = rest.get(..following) else { return Ok(Reading::Partial) };
    let source = match block {
        V4_BLOCK => rest.first_chunk::<4>().map(|octets| IpAddr::from(*octets)).zip(port_at(rest, 8)),
        V6_BLOCK => rest.first_chunk::<16>().map(|octets| IpAddr::from(*octets)).zip(port_at(rest, 32)),
        _ => None,
    };
    Ok(Reading::Header { length, source: source.map(SocketAddr::from) })
}

fn port_at(bytes: &[u8], place: usize) -> Option<u16> {
    bytes.get(place..)?.first_chunk().map(|port| u16::from_be_bytes(*port))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of version 2.
    fn second(command: u8, kind: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [SIGNATURE, &[0x20 | command, kind], &length, rest].concat()
    }

    fn of_addresses(version: u8, source: SocketAddr, target: SocketAddr, further: &[u8]) -> Vec<u8> {
        let (from, to) = (source.port().to_be_bytes(), target.port().to_be_bytes());
        match (version, source.ip(), target.ip()) {
            (1, IpAddr::V4(a), b) => format!("PROXY TCP4 {a} {b} {} {}\r\n", source.port(), target.port()).into(),
            (1, IpAddr::V6(a), b) => format!("PROXY TCP6 {a} {b} {} {}\r\n", source.port(), target.port()).into(),
            (_, IpAddr::V4(a), IpAddr::V4(b)) => {
                second(1, 0x11, &[&a.octets()[..], &b.octets(), &from, &to, further].concat())
            }
            (_, IpAddr::V6(a), IpAddr::V6(b)) => {
                second(1, 0x21, &[&a.octets()[..], &b.octets(), &from, &to, further].concat())
            }
            _ => panic!("addresses of two kinds"),
        }
    }

    #[test]
    fn what_names_nobody_leaves_the_address_of_the_socket() {
        for header in [
            b"PROXY UNKNOWN\r\n".to_vec(),
            b"PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n".to_vec(),
            second(0, 0, b""),
            second(0, 0x11, &[7; 12]),
            second(0, 0x31, &[7; 216]),
        ] {
            assert_eq!(read(&header), Ok(Reading::Header { length: header.len(), source: None }));
        }
    }

    #[test]
    fn what_is_no_header_is_told_as_soon_as_it_shows() {
        for bytes in ["x", "CONNECT {}", "PI", "PUB a 1", "\n", "\r\nPING", "proxy TCP4", "PROXY\t", "\u{16}\u{3}"] {
            assert_eq!(read(bytes.as_bytes()), Ok(Reading::None), "{bytes:?}");
        }
        for bytes in ["", "P", "PROXY", "\r\n", "\r\n\r\n\0\r\nQUIT"] {
            assert_eq!(read(bytes.as_bytes()), Ok(Reading::Partial), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_refused() {
        let line = |line: &str| format!("PROXY {line}").into_bytes();
        let four = [7; 12];
        for (bytes, error) in [
            (line("TCP4 1.2.3.4 5.6.7.8 1 2\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.4 5.6.7.8 1\r\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n"), HeaderError::Addresses),
            (line("TCP4  1.2.3.4 5.6.7.8 1 2\r\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.4 5.6.7.8 1 65536\r\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.4 5.6.7.8 +1 2\r\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.4 5.6.7.8 -1 2\r\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.04 5.6.7.8 1 2\r\n"), HeaderError::Addresses),
            (line("TCP4 1.2.3.4 host 1 2\r\n"), HeaderError::Addresses),
            (line("TCP4 ::1 ::1 1 2\r\n"), HeaderError::Addresses),
            (line("TCP6 1.2.3.4 5.6.7.8 1 2\r\n"), HeaderError::Addresses),
            (line("TCP6 fe80::1%1 ::1 1 2\r\n"), HeaderError::Addresses),
            (line("UDP4 1.2.3.4 5.6.7.8 1 2\r\n"), HeaderError::Protocol),
            (line("\r\n"), HeaderError::Protocol),
            ([b"PROXY TCP4 \xff".as_slice(), b" 1 2 3\r\n"].concat(), HeaderError::Addresses),
            (line(&"U".repeat(200)), HeaderError::TooLong),
            (line(&format!("UNKNOWN {}\r\n", "x".repeat(93))), HeaderError::TooLong),
            (second(1, 0, b""), HeaderError::Protocol),
            (second(1, 0x12, &four), HeaderError::Protocol),
            (second(1, 0x31, &[7; 216]), HeaderError::Protocol),
            (second(2, 0x11, &four), HeaderError::Command(2)),
            (second(1, 0x11, &four[..11]), HeaderError::Short(11)),
            (second(1, 0x21, &four), HeaderError::Short(12)),
            ([SIGNATURE, &[0x11]].concat(), HeaderError::Version(1)),
            ([SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(), HeaderError::TooLong),
        ] {
            assert_eq!(read(&bytes), Err(error), "{:?}", String::from_utf8_lossy(&bytes));
        }
    }

    fn pair() -> impl Strategy<Value = (SocketAddr, SocketAddr)> {
        let four = (any::<[u8; 4]>(), any::<[u8; 4]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
        let six = (any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b)));
        (prop_oneof![four, six], any::<u16>(), any::<u16>())
            .prop_map(|((a, b), from, to)| (SocketAddr::new(a, from), SocketAddr::new(b, to)))
    }

    proptest! {
        #[test]
        fn what_a_proxy_writes_is_read_whole_and_never_before(
            (source, target) in pair(),
            version in 1..=2u8,
            further in prop::collection::vec(any::<u8>(), 0..64),
            after in prop::collection::vec(any::<u8>(), 0..16),
        ) {
            let header = of_addresses(version, source, target, &further);
            let length = header.len();
            for cut in 0..length {
                prop_assert_eq!(read(&header[..cut]), Ok(Reading::Partial));
            }
            let read = read(&[header, after].concat());
            prop_assert_eq!(read, Ok(Reading::Header { length, source: Some(source) }));
        }

        #[test]
        fn whatever_comes_what_is_decided_stays_decided(
            start in prop::sample::select(vec![b"".as_slice(), TEXT, b"PROXY TCP4 ", b"PROXY UNKNOWN", SIGNATURE]),
            bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            let bytes = [start, &bytes].concat();
            let whole = read(&bytes);
            if let Ok(Reading::Header { length, .. }) = whole {
                prop_assert!(length <= bytes.len() && length <= LONGEST);
            }
            for cut in 0..bytes.len() {
                let part = read(&bytes[..cut]);
                prop_assert!(part == Ok(Reading::Partial) || part == whole, "{part:?} at {cut}, then {whole:?}");
            }
        }
    }
}
