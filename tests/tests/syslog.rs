//! Shows that the binary sends its log to those who keep it, from its first line to its last.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a story: what fails here is its failure")]

use std::fs;
use std::net::SocketAddr;

use cordon_tests::process::{Process, free_port, run_nats_server};
use cordon_tests::wait::{until, within};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};

/// What a packet says, if it is from the daemon at this address, with this priority.
fn text<'a>(packet: &'a str, priority: u8, process: &Process) -> Option<&'a str> {
    let rest = packet.strip_prefix(&format!("<{priority}>"))?;
    let (head, text) = rest.split_once(&format!(" nats-server[{}]: ", process.id()))?;
    // 2025-11-05T23:34:39Z host
    let (time, host) = head.split_once(' ')?;
    assert!(time.len() >= 20 && time.as_bytes().get(10) == Some(&b'T') && !host.is_empty(), "{packet}");
    text.strip_suffix('\n')
}

async fn packet(socket: &UdpSocket) -> String {
    let mut packet = vec![0; 16 * 1024];
    let length = within("a packet comes", socket.recv(&mut packet)).await.unwrap();
    String::from_utf8_lossy(&packet[..length]).into_owned()
}

/// Waits for a notice that begins so; returns what follows.
async fn notice(socket: &UdpSocket, process: &Process, start: &str) -> String {
    loop {
        let packet = packet(socket).await;
        if let Some(rest) = text(&packet, 29, process).and_then(|text| text.strip_prefix(start)) {
            return rest.to_owned();
        }
    }
}

#[tokio::test]
async fn by_a_flag_another_machine_gets_the_whole_log() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = format!("udp://{}", socket.local_addr().unwrap());
    let flags = ["-a", "127.0.0.1", "-p", "-1", "-r", &address];
    let mut process = Process::start_nats_server(folder.path(), "out", flags);
    let first = packet(&socket).await;
    assert_eq!(text(&first, 29, &process), Some("Starting nats-server"), "{first}");
    let mut warned = 0;
    let port: SocketAddr = loop {
        let packet = packet(&socket).await;
        warned += usize::from(text(&packet, 28, &process).is_some_and(|text| text.contains("plain text")));
        let listens =
            text(&packet, 29, &process).and_then(|text| text.strip_prefix("Listening for client connections on "));
        if let Some(address) = listens {
            break address.parse().unwrap();
        }
    };
    assert_eq!(warned, 1, "warnings have a priority of their own");
    within("it serves", TcpStream::connect(port)).await.unwrap();
    process.signal("TERM");
    notice(&socket, &process, "Server Exiting..").await;
    assert!(process.end().await.success());
    assert_eq!(process.log(), "", "nothing goes elsewhere");
}

#[tokio::test]
async fn a_reload_moves_the_log_and_one_that_cannot_be_reached_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (before, after) =
        (UdpSocket::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let configure = |to: &str| {
        let text = format!("listen: \"127.0.0.1:-1\"\nsyslog: true\nremote_syslog: \"{to}\"\n");
        fs::write(folder.path().join("x.conf"), text).unwrap();
    };
    configure(&format!("udp://{}", before.local_addr().unwrap()));
    let process = Process::start_nats_server(folder.path(), "out", ["-c", "x.conf"]);
    notice(&before, &process, "Server is ready").await;
    configure(&format!("tcp://127.0.0.1:{}", free_port()));
    process.signal("HUP");
    let failed = until("the reload is refused", async || {
        let packet = packet(&before).await;
        text(&packet, 27, &process).map(str::to_owned)
    })
    .await;
    assert!(
        failed.starts_with("Failed to reload server configuration: cannot log to syslog, tcp://127.0.0.1:"),
        "{failed}"
    );
    configure(&format!("tcp://{}", after.local_addr().unwrap()));
    process.signal("HUP");
    let (stream, _) = within("it connects", after.accept()).await.unwrap();
    let mut stream = BufReader::new(stream);
    loop {
        let mut line = String::new();
        within("a line comes", stream.read_line(&mut line)).await.unwrap();
        assert!(!line.is_empty(), "the connection stays");
        if text(&line, 29, &process).is_some_and(|text| text.starts_with("Reloaded server configuration (")) {
            break;
        }
    }
}

#[tokio::test]
async fn the_last_line_of_one_that_cannot_serve_gets_there() {
    let folder = tempfile::tempdir().unwrap();
    let socket = UnixDatagram::bind(folder.path().join("log")).unwrap();
    let to = format!("unix://{}/log", folder.path().display());
    let done = {
        let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = taken.local_addr().unwrap().port().to_string();
        let reader = async {
            let mut packets = Vec::new();
            loop {
                let mut packet = vec![0; 16 * 1024];
                let length = within("a packet comes", socket.recv(&mut packet)).await.unwrap();
                packets.push(String::from_utf8_lossy(&packet[..length]).into_owned());
                if packets.last().is_some_and(|packet| packet.starts_with("<26>")) {
                    return packets;
                }
            }
        };
        let flags = ["-a", "127.0.0.1", "-p", &port, "-r", &to];
        let (packets, done) = tokio::join!(reader, run_nats_server(folder.path(), flags));
        assert!(packets.last().unwrap().contains("]: Error listening on port: 127.0.0.1:"), "{packets:?}");
        done
    };
    assert_eq!((done.status.code(), done.stderr.as_str()), (Some(1), ""));
}

#[tokio::test]
async fn without_who_keeps_its_log_it_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let to = format!("tcp://127.0.0.1:{}", free_port());
    let done = run_nats_server(folder.path(), ["-a", "127.0.0.1", "-p", "-1", "--remote_syslog", &to]).await;
    let start = format!("nats-server: cannot log to syslog, {to}: ");
    assert!(done.status.code() == Some(1) && done.stderr.starts_with(&start), "{done:?}");
    let done = run_nats_server(folder.path(), ["-a", "127.0.0.1", "-p", "-1", "-r", "http://x:1"]).await;
    assert!(
        done.status.code() == Some(1) && done.stderr.contains("`http://x:1` is no address of a syslog"),
        "{done:?}"
    );
}
