//! Monitoring moves, comes and goes, and speaks TLS or not.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

use crate::site::{OPEN, Site};
use crate::support::PATIENCE;

/// The status of a page; `None` where nobody listens.
fn status(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer).split(' ').nth(1)?.to_owned())
}

fn address(site: &Site) -> SocketAddr {
    site.broker.running.broker.monitoring.address().unwrap()
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Waits until nobody listens there.
fn until_left(address: SocketAddr) {
    let until = std::time::Instant::now() + PATIENCE;
    while TcpStream::connect(address).is_ok() {
        assert!(std::time::Instant::now() < until, "it listens still");
        std::thread::yield_now();
    }
}

#[test]
fn monitoring_comes_moves_and_goes() {
    let site = Site::start(OPEN);
    let mut peer = site.broker.peer();
    assert_eq!(site.broker.running.broker.monitoring.address(), None);
    let (one, other) = (free_port(), free_port());
    assert_eq!(site.reloaded(&format!("{OPEN}http: \"127.0.0.1:{one}\"\n")), [format!("http: added, 127.0.0.1:{one}")]);
    let first = address(&site);
    assert_eq!((first.port(), status(first, "/healthz").as_deref()), (one, Some("200")));
    site.reloaded(&format!("{OPEN}http: \"127.0.0.1:{other}\"\n"));
    assert_eq!((address(&site).port(), status(address(&site), "/healthz").as_deref()), (other, Some("200")));
    until_left(first);
    let second = address(&site);
    site.reloaded(OPEN);
    until_left(second);
    peer.expect_nothing();
}

#[test]
fn an_address_that_is_taken_changes_nothing() {
    let site = Site::start(&format!("{OPEN}http: \"127.0.0.1:-1\"\n"));
    let (before, taken) = (address(&site), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let text = format!("{OPEN}max_payload: 8\nhttp: \"{}\"\n", taken.local_addr().unwrap());
    let told = site.reload(&text).unwrap_err().to_string();
    assert!(told.contains("cannot listen on") && told.contains("monitoring"), "{told}");
    assert_eq!((address(&site), status(before, "/healthz").as_deref()), (before, Some("200")));
    assert_eq!(site.broker.raw().info()["max_payload"], 1_048_576);
}

#[test]
fn the_path_of_its_pages_changes_where_it_is() {
    let text = |path: &str| format!("{OPEN}http: \"127.0.0.1:-1\"\n{path}\n");
    let site = Site::start(&text(""));
    let at = address(&site);
    assert_eq!(status(at, "/healthz").as_deref(), Some("200"));
    site.reloaded(&text("http_base_path: below"));
    assert_eq!(address(&site), at, "the port that was picked stays");
    assert_eq!(status(at, "/below/healthz").as_deref(), Some("200"));
    assert_eq!(status(at, "/healthz").as_deref(), Some("404"));
}
