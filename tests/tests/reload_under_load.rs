//! The configuration is reloaded again and again under busy connections: no message is lost, and nobody is dropped but
//! those whom a change concerns.
//!
//! A small run by default; `CORDON_RELOAD_CONNECTIONS=1000 CORDON_RELOADS=100` makes the full one, and prints figures.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cordon_tests::process::Process;
use cordon_tests::wait::{until, within};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// Messages that a connection publishes before it waits for the broker.
const BATCH: u64 = 8;

/// A number from the environment, or the one of the small run.
fn number(variable: &str, small: usize) -> usize {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(small)
}

/// The configuration as it is the `round`th time: everything in it that can change does, but for the busy user.
fn config(round: usize) -> String {
    let odd = round % 2 == 1;
    let (payload, deadline) = if odd { (900_000, "9s") } else { (1_000_000, "10s") };
    let mut text = format!(
        "listen: \"127.0.0.1:-1\"\nmax_payload: {payload}\nwrite_deadline: \"{deadline}\"\nmax_connections: {}\n\
         ping_interval: \"{}s\"\ndebug: {odd}\naccounts {{\n  BUSY {{ users: [{{user: busy, password: busy}}, {{user: \
         idle, password: idle{}}}]\n    exports: [{{service: \"help.{}\"}}] }}\n",
        60_000 + round,
        100 + round,
        if odd { ", permissions { publish: none }" } else { "" },
        round % 3,
    );
    write!(text, "  OTHER {{ users: [{{user: moved, password: \"{round}\"}}]").unwrap();
    write!(text, "\n    imports: [{{service: {{account: BUSY, subject: \"help.{}\"}}}}] }}\n", round % 3).unwrap();
    if odd {
        text.push_str("  MORE { users: [{user: more, password: more}] }\n");
    }
    text.push_str("}\n");
    text
}

/// A connection, past its CONNECT.
struct Client {
    lines: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Client {
    async fn connect(address: SocketAddr, user: &str, password: &str) -> Self {
        let (read, write) = TcpStream::connect(address).await.unwrap().into_split();
        let mut client = Self { lines: BufReader::new(read), write };
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"protocol\":1,\"user\":\"{user}\",\"pass\":\"{password}\"}}\r\nPING\r\n"
        );
        client.write.write_all(connect.as_bytes()).await.unwrap();
        while client.line().await != "PONG" {}
        client
    }

    /// The next line that a client has to act on.
    async fn line(&mut self) -> String {
        loop {
            let mut line = String::new();
            let count = within("the broker says something", self.lines.read_line(&mut line)).await.unwrap();
            assert_ne!(count, 0, "the broker closed a connection that no change concerns");
            match line.trim_end() {
                "PING" => self.write.write_all(b"PONG\r\n").await.unwrap(),
                info if info.starts_with("INFO ") => {}
                line => return line.to_owned(),
            }
        }
    }
}

/// What all busy connections share.
struct Load {
    sent: Vec<AtomicU64>,
    over: AtomicBool,
    slowest: AtomicU64,
}

/// Publishes numbers on one subject and requires those of the next connection without a gap.
async fn be_busy(address: SocketAddr, place: usize, load: Arc<Load>, ready: Arc<tokio::sync::Barrier>) {
    let next = (place + 1) % load.sent.len();
    let mut client = Client::connect(address, "busy", "busy").await;
    client.write.write_all(format!("SUB load.{next} 1\r\nPING\r\n").as_bytes()).await.unwrap();
    while client.line().await != "PONG" {}
    ready.wait().await;
    let (mut sent, mut got) = (0, 0);
    while !load.over.load(Ordering::Relaxed) {
        let mut batch = String::new();
        for _ in 0..BATCH {
            write!(batch, "PUB load.{place} 8\r\n{sent:08}\r\n").unwrap();
            sent += 1;
        }
        batch.push_str("PING\r\n");
        let begun = Instant::now();
        client.write.write_all(batch.as_bytes()).await.unwrap();
        while take(&mut client, next, &mut got).await {}
        let took = u64::try_from(begun.elapsed().as_micros()).unwrap();
        load.slowest.fetch_max(took, Ordering::Relaxed);
    }
    load.sent.get(place).unwrap().store(sent, Ordering::Release);
    ready.wait().await;
    let all = load.sent.get(next).unwrap().load(Ordering::Acquire);
    while got < all {
        assert!(take(&mut client, next, &mut got).await);
    }
    assert_eq!(got, all, "of connection {next}");
}

/// Takes the next message, which must be the one that is due; `false` for a PONG.
async fn take(client: &mut Client, from: usize, got: &mut u64) -> bool {
    let line = client.line().await;
    if line == "PONG" {
        return false;
    }
    assert_eq!(line, format!("MSG load.{from} 1 8"));
    assert_eq!(client.line().await, format!("{got:08}"), "a message of connection {from} is missing");
    *got += 1;
    true
}

async fn start(folder: &Path) -> (Process, SocketAddr) {
    fs::write(folder.join("broker.conf"), config(0)).unwrap();
    let process = Process::start(folder, "broker.log", ["broker", "-c", "broker.conf"], false);
    let address = until("the broker is ready", async || {
        let log = process.log();
        let line = log.lines().find(|line| line.contains("Listening for client connections on "))?;
        log.contains("Server is ready").then(|| line.rsplit(' ').next().unwrap().parse().unwrap())
    })
    .await;
    (process, address)
}

/// Has the file read again, and waits until that is done; how long it took.
async fn reload(process: &Process, folder: &Path, round: usize) -> Duration {
    fs::write(folder.join("broker.conf"), config(round)).unwrap();
    let begun = Instant::now();
    process.signal("HUP");
    until("the configuration is reloaded", async || {
        let log = process.log();
        assert!(!log.contains("Failed to reload"));
        (log.matches("Reloaded server configuration").count() >= round).then_some(())
    })
    .await;
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_lose_no_message_and_drop_nobody_whom_they_do_not_concern() {
    let (connections, rounds) = (number("CORDON_RELOAD_CONNECTIONS", 40), number("CORDON_RELOADS", 6));
    let folder = tempfile::tempdir().unwrap();
    let (process, address) = start(folder.path()).await;
    let sent = (0..connections).map(|_| AtomicU64::new(0)).collect();
    let load = Arc::new(Load { sent, over: AtomicBool::new(false), slowest: AtomicU64::new(0) });
    let ready = Arc::new(tokio::sync::Barrier::new(connections + 1));
    let busy: Vec<_> =
        (0..connections).map(|place| tokio::spawn(be_busy(address, place, load.clone(), ready.clone()))).collect();
    ready.wait().await;
    let mut idle = Client::connect(address, "idle", "idle").await;

    let (mut longest, begun) = (Duration::ZERO, Instant::now());
    for round in 1..=rounds {
        let mut moved = Client::connect(address, "moved", &(round - 1).to_string()).await;
        longest = longest.max(reload(&process, folder.path(), round).await);
        // Its password is another one now.
        assert_eq!(moved.line().await, "-ERR 'Authorization Violation'");
        assert_eq!(moved.lines.read_to_end(&mut Vec::new()).await.unwrap(), 0);
        idle.write.write_all(b"PUB a 1\r\nx\r\nPING\r\n").await.unwrap();
        if round % 2 == 1 {
            assert_eq!(idle.line().await, "-ERR 'Permissions Violation for Publish to \"a\"'");
        }
        assert_eq!(idle.line().await, "PONG");
    }
    let took = begun.elapsed();
    load.over.store(true, Ordering::Relaxed);
    ready.wait().await;
    for one in busy {
        one.await.unwrap();
    }
    let all: u64 = load.sent.iter().map(|sent| sent.load(Ordering::Relaxed)).sum();
    // What was measured is for whoever reads; that nothing was lost was asserted on the way.
    let _written = writeln!(
        std::io::stderr(),
        "{connections} connections, {rounds} reloads in {took:.1?}, the longest {longest:.1?}; {all} messages, none \
         lost; slowest batch {:.1} ms",
        load.slowest.load(Ordering::Relaxed) as f64 / 1000.0
    );
}
