//! What a configuration says of the listener for clients, on the wire.

#![expect(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

mod support;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};

use cordon_auth::authenticator::{Authenticator, Mode};
use cordon_auth::clock::Clock;
use cordon_server::tenant::directory::Tenants;
use cordon_server::{BrokerOptions, HandshakeFirst, config};
use support::tls::Certificates;
use support::{PATIENCE, Peer, TestBroker, nobody};

fn configured(text: &str) -> TestBroker {
    let loaded = config::load_text(text, "t.conf").unwrap();
    TestBroker::begin(async || config::start(loaded, Clock::system()).await.unwrap())
}

fn peer(address: impl Into<SocketAddr>) -> Option<Peer> {
    let stream = TcpStream::connect(address.into()).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut peer = Peer::new(stream);
    peer.read_info();
    Some(peer)
}

#[test]
fn clients_are_told_the_address_that_is_advertised() {
    for (advertised, host, port) in
        [("nats.example:4333", "nats.example", Some(4333)), ("nats.example", "nats.example", None)]
    {
        let broker = configured(&format!("listen: \"127.0.0.1:-1\"\nclient_advertise: \"{advertised}\""));
        let info = broker.raw().info();
        assert_eq!(info["host"], host, "{advertised}");
        assert_eq!(info["port"], port.unwrap_or(broker.running.client_address.port()), "{advertised}");
    }
}

#[test]
fn without_header_support_headers_are_refused() {
    let broker = configured("listen: \"127.0.0.1:-1\"\nno_header_support: true");
    assert_eq!(broker.raw().info()["headers"], false);
    let mut peer = broker.peer_with(r#"{"verbose":false,"headers":true}"#);
    peer.send("SUB a 1\r\nHPUB a 12 12\r\nNATS/1.0\r\n\r\n\r\n");
    let rest = String::from_utf8_lossy(&peer.rest()).into_owned();
    assert!(!rest.contains("MSG"), "{rest}");
    let mut peer = broker.raw();
    peer.send("CONNECT {\"headers\":true,\"no_responders\":true}\r\n");
    peer.expect_end("-ERR 'no responders requires headers support'\r\n");
}

#[test]
fn all_addresses_are_those_of_both_families() {
    for host in ["0.0.0.0", "::"] {
        let broker = configured(&format!("host: \"{host}\"\nport: -1"));
        let address = broker.running.client_address;
        assert_eq!(address.ip().to_string(), host, "the address is shown as it was written");
        let peer_of_four = peer((Ipv4Addr::LOCALHOST, address.port())).unwrap();
        // Rules about addresses compare what the peer has.
        assert_eq!(peer_of_four.info()["client_ip"], "127.0.0.1", "{host}");
        assert_eq!(peer_of_four.info()["host"], host);
        // Where there is IPv6 at all.
        if std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
            let peer_of_six = peer((Ipv6Addr::LOCALHOST, address.port())).unwrap();
            assert_eq!(peer_of_six.info()["client_ip"], "::1", "{host}");
        }
    }
}

#[test]
fn handshakes_over_the_rate_of_a_second_are_refused_until_the_next() {
    let certificates = Certificates::new();
    let options = BrokerOptions {
        tls: Some(certificates.server(HandshakeFirst::No, false)),
        handshake_rate: Some(2),
        ..BrokerOptions::default()
    };
    let clock = Clock::manual(1_763_854_479);
    let authenticator = Authenticator::new(Mode::Configured(nobody()), clock.clone());
    let broker = TestBroker::start_with(options, authenticator, Tenants::new(None, None), clock.clone());
    for _ in 0..2 {
        certificates.upgrade(broker.socket()).exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
    }
    broker.raw().expect_end("-ERR 'Connection throttling is active. Please try again later.'\r\n");
    clock.advance(std::time::Duration::from_secs(1));
    certificates.upgrade(broker.socket()).exchange("CONNECT {\"verbose\":false}\r\nPING\r\n", "PONG\r\n");
}
