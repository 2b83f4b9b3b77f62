//! Shows that the binary, under the name of `nats-server`, does what scripts and test suites expect of that command.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use cordon_tests::process::{Finished, Process, free_port, run_nats_server};
use cordon_tests::wait::{until, within};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

/// A broker under that name, and where it serves.
struct Server {
    process: Process,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    async fn start(flags: &str) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), flags).await
    }

    /// Starts and waits for the lines that suites wait for.
    async fn start_in(folder: TempDir, flags: &str) -> Self {
        let process = Process::start_nats_server(folder.path(), "out", flags.split(' '));
        let address = until("the broker is ready", async || {
            let log = log(folder.path(), &process);
            let line = log.lines().find(|line| line.contains(" [INF] Listening for client connections on "))?;
            log.contains(" [INF] Server is ready").then(|| line.rsplit(' ').next().unwrap().parse().unwrap())
        })
        .await;
        Self { process, address, folder }
    }

    fn log(&self) -> String {
        log(self.folder.path(), &self.process)
    }

    async fn logged(&self, text: &str) -> String {
        until(format!("the log says {text}"), async || {
            self.log().lines().find(|line| line.contains(text)).map(str::to_owned)
        })
        .await
    }

    /// A client that has said what it must, and been answered.
    async fn client(&self, connect: &str) -> BufReader<TcpStream> {
        let mut client = BufReader::new(TcpStream::connect(self.address).await.unwrap());
        let mut info = String::new();
        within("INFO comes", client.read_line(&mut info)).await.unwrap();
        client.get_mut().write_all(format!("CONNECT {connect}\r\nPING\r\n").as_bytes()).await.unwrap();
        expect(&mut client, "PONG").await;
        client
    }

    async fn signal(&self, order: &str) {
        let order = format!("{order}={}", self.process.id());
        let done = run_nats_server(self.folder.path(), ["--signal", &order]).await;
        assert!(done.status.success() && done.stdout.is_empty() && done.stderr.is_empty(), "{done:?}");
    }
}

fn log(folder: &Path, process: &Process) -> String {
    fs::read_to_string(folder.join("x.log")).unwrap_or_else(|_| process.log())
}

async fn expect(client: &mut BufReader<TcpStream>, wanted: &str) {
    loop {
        let mut line = String::new();
        within(wanted, client.read_line(&mut line)).await.unwrap();
        assert!(!line.is_empty(), "the connection ended before {wanted}");
        if line.starts_with(wanted) {
            return;
        }
    }
}

/// A page, with its head.
async fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut page = String::new();
    within("the page comes", stream.read_to_string(&mut page)).await.unwrap();
    page
}

async fn run(folder: &Path, flags: &str) -> Finished {
    run_nats_server(folder, flags.split(' ').filter(|flag| !flag.is_empty())).await
}

/// Whether a line is `[pid] 2026/01/31 12:00:00.000000 [INF] text`.
fn has_shape(line: &str, pid: u32) -> bool {
    let Some(rest) = line.strip_prefix(&format!("[{pid}] ")) else { return false };
    let Some((stamp, tag)) = rest.split_at_checked(26) else { return false };
    let digits = stamp.bytes().zip("0000/00/00 00:00:00.000000".bytes());
    let stamped =
        digits.into_iter().all(|(byte, form)| if form == b'0' { byte.is_ascii_digit() } else { byte == form });
    stamped && ["INF", "DBG", "WRN", "ERR", "FTL", "TRC"].iter().any(|level| tag.starts_with(&format!(" [{level}] ")))
}

#[tokio::test]
async fn the_version_is_that_of_the_nats_server_it_stands_for() {
    let folder = tempfile::tempdir().unwrap();
    for flags in ["--version", "-v", "version", "VERSION", "-p 1 --version", "-D=false -version"] {
        let done = run(folder.path(), flags).await;
        assert_eq!(
            (done.status.code(), done.stdout.as_str()),
            (Some(0), "nats-server: v2.15.0\n"),
            "{flags}: {done:?}"
        );
        assert_eq!(done.stderr, "", "{flags}");
    }
    for flags in ["--help", "-h", "help", "--help_tls"] {
        let done = run(folder.path(), flags).await;
        assert!(
            done.status.success() && done.stdout.lines().count() > 5 && done.stderr.is_empty(),
            "{flags}: {done:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_command_line_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for (flags, told, has_usage) in [
        ("--nope", "flag provided but not defined: -nope", true),
        ("-p", "flag needs an argument: -p", true),
        ("-p four", "invalid value \"four\" for flag --port", true),
        ("-D=maybe", "invalid boolean value \"maybe\" for -D", true),
        ("serve", "nats-server: unrecognized command: \"serve\"", false),
        ("-T false", "nats-server: unrecognized command: \"false\"", false),
        ("-p 99999999", "no port", false),
        ("-c missing.conf", "nats-server: missing.conf", false),
        ("--tls -p -1 -a 127.0.0.1", "cert", false),
        ("-p -1 -a no.such.host.invalid", "no.such.host.invalid", false),
        ("-p -1 -l no/such/folder/x.log", "no/such/folder/x.log", false),
        ("--signal nonsense=1", "nats-server: unknown signal \"nonsense\"", false),
        ("--signal reload=abc", "nats-server: invalid pid: abc", false),
        ("--signal ldm=2147483646", "signal \"ldm\" 2147483646: no such process", false),
    ] {
        let done = run(folder.path(), flags).await;
        assert_eq!(done.status.code(), Some(1), "{flags}: {done:?}");
        assert!(done.stderr.contains(told), "{flags}: {done:?}");
        assert_eq!(done.stdout.starts_with("Usage: nats-server"), has_usage, "{flags}: {done:?}");
    }
}

#[tokio::test]
async fn a_check_says_whether_a_configuration_is_valid_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    for (config, status, told) in [
        ("port: 4222\nauthorization { token: \"s3cr3t\" }\n", 0, "nats-server: configuration file nats.conf is valid"),
        ("porty: 1\n", 1, "nats.conf:1:1: "),
        ("port: 4222\nfoo: 2\nbar: 3\n", 1, "nats.conf:3:1: "),
        ("port: \"4222\"\n", 1, "nats.conf:1:7: "),
        ("listen {\n", 1, "nats-server: nats.conf:"),
    ] {
        fs::write(&path, config).unwrap();
        for flags in ["-t -c nats.conf", "--config=nats.conf -t", "-c nats.conf -t -P pid"] {
            let done = run(folder.path(), flags).await;
            assert_eq!(done.status.code(), Some(status), "{config}: {done:?}");
            assert!(done.stderr.contains(told) && done.stdout.is_empty(), "{config}: {done:?}");
            assert!(!done.stderr.contains("s3cr3t") && !folder.path().join("pid").exists());
        }
    }
    for (flags, told) in [("-t", "must specify [-c, --config] option"), ("-t -c missing", "nats-server: missing: ")] {
        let done = run(folder.path(), flags).await;
        assert!(done.status.code() == Some(1) && done.stderr.contains(told), "{flags}: {done:?}");
    }
}

#[tokio::test]
async fn without_a_file_it_serves_everybody_and_warns() {
    let mut server = Server::start("-p -1 -a 127.0.0.1 -m -1 -P x.pid -l x.log --ports_file_dir . -sd store -js").await;
    let (folder, pid) = (server.folder.path(), server.process.id());
    let written = fs::read_to_string(folder.join("x.pid")).unwrap();
    assert_eq!(written, pid.to_string(), "the number alone");
    assert_eq!(fs::metadata(folder.join("x.pid")).unwrap().permissions().mode() & 0o777, 0o600);
    let ports = folder.join(format!("nats-server_{pid}.ports"));
    let text = until("the ports file is there", async || fs::read_to_string(&ports).ok()).await;
    let urls: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(urls["nats"], serde_json::json!([format!("nats://{}", server.address)]));
    let monitor = urls["monitoring"][0].as_str().unwrap();
    let page = get(monitor.strip_prefix("http://").unwrap(), "/varz").await;
    assert!(page.contains("\"version\": \"2.15.0\"") || page.contains("\"version\":\"2.15.0\""), "{page}");
    server.client("{}").await;
    server.process.signal("TERM");
    assert!(server.process.end().await.success());
    assert!(!ports.exists() && folder.join("x.pid").exists());
    let log = server.log();
    for line in log.lines() {
        assert!(has_shape(line, pid), "{line}");
    }
    for said in [
        "[INF] Starting nats-server",
        "[INF]   Version:  2.15.0",
        "[INF] Starting http monitor on 127.0.0.1:",
        "[WRN] INSECURE: clients are not asked who they are",
        "[WRN] INSECURE: clients on",
        "[INF] Starting JetStream",
        "[INF] Trapped \"terminated\" signal",
        "[INF] Initiating Shutdown...",
        "[INF] Server Exiting..",
    ] {
        assert!(log.contains(said), "{said}:\n{log}");
    }
    assert_eq!(server.process.log(), "", "with a log file, standard error stays silent");
    assert!(folder.join("store/jetstream").is_dir());
}

#[tokio::test]
async fn the_ports_file_follows_what_a_reload_moves() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("nats.conf");
    let (one, other) = (free_port(), free_port());
    let text = |more: String| format!("listen: \"127.0.0.1:-1\"\nports_file_dir: \".\"\n{more}");
    fs::write(&config, text(format!("http: \"127.0.0.1:{one}\"\n"))).unwrap();
    let mut server = Server::start_in(folder, "-c nats.conf -l x.log").await;
    let ports = server.folder.path().join(format!("nats-server_{}.ports", server.process.id()));
    let monitoring = async |wanted: serde_json::Value| {
        until(format!("the ports file names {wanted}"), async || {
            let urls: serde_json::Value = serde_json::from_str(&fs::read_to_string(&ports).ok()?).ok()?;
            assert_eq!(urls["nats"], serde_json::json!([format!("nats://{}", server.address)]));
            (urls["monitoring"] == wanted).then_some(())
        })
        .await;
    };
    monitoring(serde_json::json!([format!("http://127.0.0.1:{one}")])).await;
    fs::write(&config, text(format!("http: \"127.0.0.1:{other}\"\n"))).unwrap();
    server.signal("reload").await;
    monitoring(serde_json::json!([format!("http://127.0.0.1:{other}")])).await;
    fs::write(&config, text(String::new())).unwrap();
    server.signal("reload").await;
    monitoring(serde_json::Value::Null).await;
    // Elsewhere, and nowhere in the end.
    fs::create_dir(server.folder.path().join("sub")).unwrap();
    fs::write(&config, text(String::new()).replace("\".\"", "sub")).unwrap();
    server.signal("reload").await;
    let moved = server.folder.path().join("sub").join(ports.file_name().unwrap());
    until("the ports file is elsewhere", async || (moved.exists() && !ports.exists()).then_some(())).await;
    server.process.signal("TERM");
    assert!(server.process.end().await.success() && !moved.exists());
}

#[tokio::test]
async fn whoever_asks_for_it_is_refused_an_open_broker() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("open.conf"), "strict: false\n").unwrap();
    for flags in ["-p -1 -a 127.0.0.1 --strict", "-p -1 --strict --user a --pass b", "-c open.conf -p -1 --strict"] {
        let done = run(folder.path(), flags).await;
        assert!(done.status.code() == Some(1) && done.stderr.contains("insecure_no_"), "{flags}: {done:?}");
    }
}

#[tokio::test]
async fn flags_win_over_the_file_and_leave_the_rest_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let taken = free_port();
    let config = format!(
        "listen: \"127.0.0.1:{taken}\"\nserver_name: from-file\ndebug: true\npid_file: \"file.pid\"\n\
         authorization {{ user: a, password: wrong, timeout: 3 }}\n"
    );
    fs::write(folder.path().join("nats.conf"), config).unwrap();
    let flags = "-c nats.conf -p -1 -n from-flag -D=false -P flag.pid --pass right";
    let server = Server::start_in(folder, flags).await;
    assert_eq!(server.address.ip().to_string(), "127.0.0.1");
    assert_ne!(server.address.port(), taken);
    assert!(server.folder.path().join("flag.pid").exists() && !server.folder.path().join("file.pid").exists());
    server.client(r#"{"user":"a","pass":"right"}"#).await;
    let log = server.log();
    assert!(log.contains("  Name:     from-flag") && !log.contains("[DBG]"), "{log}");
    assert!(log.contains("Using configuration file: nats.conf"), "{log}");
}

#[tokio::test]
async fn flags_win_again_when_the_file_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("nats.conf");
    fs::write(&path, "debug: false\n").unwrap();
    let server = Server::start_in(folder, "-c nats.conf -p -1 -a 127.0.0.1 -V=false").await;
    fs::write(&path, "debug: true\ntrace: true\n").unwrap();
    server.signal("reload").await;
    server.logged("[INF] Reloaded").await;
    server.client("{}").await;
    // Its end is the first thing that is logged at this level.
    server.logged("[DBG]").await;
    assert!(!server.log().contains("[TRC]"), "{}", server.log());
}

#[tokio::test]
async fn on_every_address_clients_of_both_kinds_are_served_under_their_own() {
    let server = Server::start("-p -1").await;
    assert_eq!(server.address.ip().to_string(), "0.0.0.0");
    let has_v6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    for ip in ["127.0.0.1", "::1"].into_iter().take(if has_v6 { 2 } else { 1 }) {
        let stream = TcpStream::connect((ip, server.address.port())).await.unwrap();
        let mut info = String::new();
        within("INFO comes", BufReader::new(stream).read_line(&mut info)).await.unwrap();
        assert!(info.contains(&format!("\"client_ip\":\"{ip}\"")) && info.contains("\"host\":\"0.0.0.0\""), "{info}");
    }
}

#[tokio::test]
async fn an_empty_file_starts() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nats.conf"), "# nothing\n").unwrap();
    let done = run(folder.path(), "-t -c nats.conf").await;
    assert!(done.status.code() == Some(1) && done.stderr.contains("no values"), "{done:?}");
    let server = Server::start_in(folder, "-c nats.conf -p -1 -a 127.0.0.1").await;
    server.client("{}").await;
}

#[tokio::test]
async fn what_keeps_it_from_serving_is_its_last_line() {
    let server = Server::start("-p -1 -a 127.0.0.1").await;
    let folder = server.folder.path();
    let taken = server.address.port();
    for flags in [
        format!("-a 127.0.0.1 -p {taken}"),
        format!("-a 127.0.0.1 -p -1 -m {taken}"),
        "-a 192.0.2.77 -p -1".to_owned(),
        "-a 127.0.0.1 -p -1 -P no/such/folder/pid".to_owned(),
    ] {
        let done = run(folder, &flags).await;
        assert_eq!(done.status.code(), Some(1), "{flags}: {done:?}");
        assert!(done.stderr.lines().last().unwrap().contains(" [FTL] "), "{flags}: {}", done.stderr);
    }
}

#[tokio::test]
async fn orders_reach_a_process_by_its_number_and_by_its_file() {
    let mut server = Server::start("-p -1 -a 127.0.0.1 -P x.pid -l x.log").await;
    server.signal("reload").await;
    server.logged("[ERR] Failed to reload server configuration: can only reload config when a file is provided").await;
    let moved = server.folder.path().join("moved.log");
    fs::rename(server.folder.path().join("x.log"), &moved).unwrap();
    server.signal("reopen").await;
    let fresh = server.folder.path().join("x.log");
    until("the log is there again", async || {
        fs::read_to_string(&fresh).ok().filter(|log| log.contains("[INF] File log re-opened"))
    })
    .await;
    assert!(fs::read_to_string(moved).unwrap().contains("Trapped \"user defined signal 1\" signal"));
    let pid_file = server.folder.path().join("x.pid");
    let done = run_nats_server(server.folder.path(), ["-sl", &format!("ldm={}", pid_file.display())]).await;
    assert!(done.status.success(), "{done:?}");
    assert_eq!(server.process.end().await.code(), Some(0), "nobody is connected: a lame duck ends at once");
    server.logged("Entering lame duck mode").await;
    for (order, code) in [("quit", Some(0)), ("term", Some(0)), ("stop", None)] {
        let mut server = Server::start("-p -1 -a 127.0.0.1").await;
        let _client = server.client("{}").await;
        server.signal(order).await;
        assert_eq!(server.process.end().await.code(), code, "{order}");
        assert_eq!(TcpStream::connect(server.address).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}

#[tokio::test]
async fn a_lame_duck_does_not_hear_term() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("nats.conf"), "lame_duck_duration: \"40s\"\nlame_duck_grace_period: \"30s\"\n")
        .unwrap();
    let mut server = Server::start_in(folder, "-c nats.conf -p -1 -a 127.0.0.1").await;
    let mut client = server.client(r#"{"verbose":false,"protocol":1}"#).await;
    server.process.signal("USR2");
    expect(&mut client, "INFO").await;
    expect(&mut client, "INFO").await;
    server.process.signal("TERM");
    server.logged("Trapped \"terminated\" signal").await;
    client.get_mut().write_all(b"PING\r\n").await.unwrap();
    expect(&mut client, "PONG").await;
    server.process.signal("INT");
    assert!(server.process.end().await.success());
}

#[tokio::test]
async fn traces_show_the_protocol_without_anybodys_secret() {
    let server =
        Server::start("-DV -p -1 -a 127.0.0.1 -l x.log --max_traced_msg_len 4 --user app --pass hunter2").await;
    let connect =
        r#"{"user":"app","pass":"hunter2","name":"cli","lang":"rust","version":"1","verbose":false,"headers":true}"#;
    let mut client = server.client(connect).await;
    client
        .get_mut()
        .write_all(b"SUB foo 1\r\nPUB foo bar 7\r\nhello12\r\nPUB foo 12\r\neyJhbGciOiJl\r\nUNSUB 1\r\nPING\r\n")
        .await
        .unwrap();
    expect(&mut client, "PONG").await;
    let mut stranger = TcpStream::connect(server.address).await.unwrap();
    stranger
        .write_all(b"CONNECT {\"auth_token\":\"tok3n\",\"jwt\":\"eyJhbGci\",\"sig\":\"5igned\"}\r\n")
        .await
        .unwrap();
    within("the stranger is sent away", stranger.read_to_end(&mut Vec::new())).await.unwrap();
    for line in [
        r#"<<- [CONNECT {"user":"app","pass":"[REDACTED]","name":"cli""#,
        r#" - "v1:rust:cli" - "$G/password:app" - <<- [SUB foo 1]"#,
        "<<- [PUB foo bar 7]",
        r#"<<- MSG_PAYLOAD: ["hell..."]"#,
        "->> [MSG foo 1 bar 7]",
        r#"->> MSG_PAYLOAD: ["[REDACTED]"]"#,
        "<<- [UNSUB 1]",
        "<<- [PING]",
        "->> [PONG]",
        "->> [-ERR Authorization Violation]",
    ] {
        assert!(server.logged(line).await.contains("[TRC]"), "{line}");
    }
    let log = server.log();
    for secret in ["hunter2", "tok3n", "5igned", "eyJ", "hello"] {
        assert!(!log.contains(secret), "{secret}:\n{log}");
    }
}

#[tokio::test]
async fn a_log_that_is_too_large_is_put_aside() {
    let server = Server::start("-DV -p -1 -a 127.0.0.1 -l x.log --log_size_limit 3000").await;
    let mut client = server.client("{}").await;
    for _ in 0..60 {
        client.get_mut().write_all(b"PING\r\n").await.unwrap();
        expect(&mut client, "PONG").await;
    }
    let aside = until("a file is put aside", async || {
        let names = fs::read_dir(server.folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter_map(|name| name.into_string().ok()).find(|name| name.starts_with("x.log."))
    })
    .await;
    assert_eq!(aside.len(), "x.log.2026.01.31.12.00.00.000000000".len(), "{aside}");
    let log = server.log();
    assert!(log.lines().next().unwrap().contains("[INF] Rotated log, backup saved as \""), "{log}");
}
