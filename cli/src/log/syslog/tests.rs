//! Lines to sockets that the test owns.

use std::io::BufReader;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::{UnixDatagram, UnixListener};

use super::super::line::Shape;
use super::*;

/// Longest wait for what must come.
const PATIENCE: Duration = Duration::from_secs(20);

fn style() -> Arc<Style> {
    Arc::new(Style::standing(Shape::Server, 1_762_385_679))
}

fn open(to: &SyslogTo) -> Syslog {
    Syslog::open(to, style()).unwrap()
}

fn write(syslog: &Syslog, tag: &str, text: &str) {
    syslog.write(tag, style().line(tag, text).as_bytes());
}

fn received(socket: &UnixDatagram) -> String {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut packet = [0; 16 * 1024];
    let length = socket.recv(&mut packet).unwrap();
    String::from_utf8(packet[..length].to_vec()).unwrap()
}

fn accepted(listener: &TcpListener) -> BufReader<TcpStream> {
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    BufReader::new(stream)
}

fn line(stream: &mut impl std::io::BufRead) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    line
}

/// What a packet says behind the process that sent it.
fn text(packet: &str) -> &str {
    packet.split_once("]: ").unwrap().1.trim_end()
}

#[test]
fn the_socket_of_the_machine_gets_the_text_alone_with_its_priority() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let missing = folder.path().join("missing");
    let syslog = Syslog::open_with(&SyslogTo::Machine, Link::to_any(&[missing, path]), style()).unwrap();
    write(&syslog, "WRN", "[INF] a [WRN] b");
    let packet = received(&socket);
    let start = "<28>Nov  5 23:34:39 ";
    let process = format!("[{}]: ", std::process::id());
    assert!(packet.starts_with(start) && packet.contains(&process), "{packet}");
    assert_eq!(text(&packet), "[INF] a [WRN] b");
    write(&syslog, "DBG", "more");
    assert!(received(&socket).starts_with("<31>"));
}

#[test]
fn a_machine_whose_log_is_a_stream_gets_lines() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let listener = UnixListener::bind(&path).unwrap();
    let syslog = open(&SyslogTo::Socket(path));
    write(&syslog, "INF", "a");
    write(&syslog, "ERR", "b");
    let mut stream = BufReader::new(listener.accept().unwrap().0);
    let lines = [line(&mut stream), line(&mut stream)];
    assert!(lines[0].starts_with("<29>Nov  5") && lines[0].ends_with("]: a\n"), "{lines:?}");
    assert!(lines[1].starts_with("<27>Nov  5") && lines[1].ends_with("]: b\n"), "{lines:?}");
}

#[test]
fn another_machine_gets_datagrams() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let syslog = open(&SyslogTo::Udp(socket.local_addr().unwrap().to_string()));
    write(&syslog, "INF", "a");
    let mut packet = [0; 1024];
    let length = socket.recv(&mut packet).unwrap();
    let packet = String::from_utf8_lossy(&packet[..length]);
    assert!(packet.starts_with("<29>2025-11-05T23:34:39Z "), "{packet}");
    assert_eq!(text(&packet), "a");
}

#[test]
fn a_connection_that_has_ended_is_made_anew_and_no_line_is_lost() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let syslog = open(&SyslogTo::Tcp(listener.local_addr().unwrap().to_string()));
    for number in 0..4 {
        write(&syslog, "INF", &number.to_string());
        // The first is there already; each of the others is made when the one before has ended.
        assert_eq!(text(&line(&mut accepted(&listener))), number.to_string());
    }
}

#[test]
fn who_logs_never_waits_and_what_is_lost_is_said_when_it_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let socket = UnixDatagram::bind(&path).unwrap();
    let syslog = open(&SyslogTo::Socket(path));
    let long = "x".repeat(4000);
    // Nobody reads: what the socket and the queue do not hold is lost.
    let all = 2000;
    for number in 0..all {
        write(&syslog, "INF", &format!("{number} {long}"));
    }
    let (mut next, mut missing) = (0, 0);
    while next < all {
        let packet = received(&socket);
        let (number, rest) = text(&packet).split_once(' ').unwrap();
        let number: u64 = number.parse().unwrap();
        if rest.starts_with("lines of the log are missing here") {
            assert!(packet.starts_with("<28>"), "{packet}");
            missing += number;
            next += number;
        } else {
            assert_eq!((number, rest), (next, &*long), "in order and without a gap that is not told of");
            next += 1;
        }
    }
    assert_eq!(next, all, "every line came or was counted");
    assert!(missing > all / 2, "{missing} were missing: it does not hold everything");
    write(&syslog, "INF", "at last");
    assert_eq!(text(&received(&socket)), "at last");
}

#[test]
fn what_waits_is_sent_before_the_end_unless_nobody_takes_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = SyslogTo::Tcp(listener.local_addr().unwrap().to_string());
    let syslog = open(&to);
    let mut stream = accepted(&listener);
    for number in 0..100 {
        write(&syslog, "INF", &number.to_string());
    }
    syslog.rest().finish();
    for number in 0..100 {
        assert_eq!(text(&line(&mut stream)), number.to_string());
    }
    let syslog = open(&to);
    drop((stream, accepted(&listener), listener));
    write(&syslog, "INF", "for nobody");
    let begun = std::time::Instant::now();
    syslog.rest().finish();
    assert!(begun.elapsed() < FINISH_MAX, "nobody is waited for who does not listen");
}

#[test]
fn whoever_cannot_be_reached_at_the_start_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for to in [SyslogTo::Tcp(gone.to_string()), SyslogTo::Socket(folder.path().join("none"))] {
        assert!(Syslog::open(&to, style()).is_err(), "{to}");
    }
}
