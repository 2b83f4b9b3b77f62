//! Shows that what a client proves itself with is gone from the broker's memory once it was looked at, so
//! that no crash, no debugger and no neighbour's over-read finds it there.
//!
//! Over plain TCP, since what the libraries of TLS and HTTP keep in their buffers is not ours to wipe; that nobody
//! sees those is what forbidding core dumps is for.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::net::SocketAddr;

use cordon_tests::memory;
use cordon_tests::peer::{connect_with, plain};
use cordon_tests::process::Process;
use cordon_tests::wait::{until, within};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const PASSWORD: &str = "canary-of-a-password-0123456789";
/// Argon2id of [`PASSWORD`], cheap.
const HASH: &str = "$argon2id$v=19$m=64,t=1,p=1$gZws9U1kbDbfrxanSZGPzA$N269jU2pP4B3WXFI/CUvdOdPkgbZwURryqFV2922Uc4";

/// Sends these bytes in pieces of `step` and reads until `end` was said, or until the broker hangs up.
async fn say(address: SocketAddr, bytes: &[u8], step: usize, end: &str) -> tokio::net::TcpStream {
    let (mut socket, _info) = plain(address).await;
    for piece in bytes.chunks(step) {
        socket.write_all(piece).await.unwrap();
        socket.flush().await.unwrap();
    }
    let mut heard = Vec::new();
    within(format!("{end} of the broker"), async {
        let mut byte = [0];
        while !heard.ends_with(end.as_bytes()) {
            assert_eq!(socket.read(&mut byte).await.unwrap(), 1, "{}", String::from_utf8_lossy(&heard));
            heard.extend_from_slice(&byte);
        }
    })
    .await;
    socket
}

#[tokio::test]
async fn what_a_client_proved_itself_with_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "listen: \"127.0.0.1:-1\"\nauthorization {{ users: [ {{ user: tenant, password: \"{HASH}\" }} ] }}\ntrace: true\n"
    );
    fs::write(folder.path().join("broker.conf"), config).unwrap();
    // Searching the memory is what forbidding dumps forbids.
    let process = Process::start(folder.path(), "broker.log", ["broker", "-c", "broker.conf"], true);
    let address: SocketAddr = until("the broker is ready", async || {
        let log = process.log();
        let line = log.lines().find(|line| line.contains("Listening for client connections on "))?;
        log.contains("Server is ready").then(|| line.rsplit(' ').next().unwrap().parse().unwrap())
    })
    .await;

    let wrong = ["canary-of-a-guess-0123456789", "canary-of-a-token-0123456789"];
    let mut open = Vec::new();
    for step in [7, 64, 8192] {
        let right = format!("{}PING\r\n", connect_with(json!({"user": "tenant", "pass": PASSWORD})));
        open.push(say(address, right.as_bytes(), step, "PONG\r\n").await);
        let [guess, token] = wrong;
        for fields in [
            json!({"user": "tenant", "pass": guess}),
            json!({"user": "nobody", "pass": guess}),
            json!({"auth_token": token}),
            json!({"nkey": "UNKNOWN", "sig": "c2ln"}),
            json!({"jwt": "not.a.token", "sig": "c2ln"}),
        ] {
            let _closed =
                say(address, connect_with(fields).as_bytes(), step, "-ERR 'Authorization Violation'\r\n").await;
        }
        // Never finished, and cut off.
        let half = connect_with(json!({"user": "tenant", "pass": guess}));
        let (mut socket, _info) = plain(address).await;
        socket.write_all(half.trim_end().as_bytes()).await.unwrap();
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        within("the end of the connection", socket.read_to_end(&mut rest)).await.unwrap();
    }
    let wanted: Vec<_> = wrong.iter().chain([&PASSWORD]).map(|secret| secret.as_bytes()).collect();
    // What is certainly there is found, else nothing would ever be.
    assert!(!memory::search(process.id(), &[HASH.as_bytes()]).is_empty(), "the search finds what is there");
    let found = memory::search(process.id(), &wanted);
    assert!(found.is_empty(), "{found:#?}");
    let log = process.log();
    for secret in wrong.iter().chain([&PASSWORD]) {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}
