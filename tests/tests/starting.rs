//! Shows starting and ending: the first start sets everything up, a second changes nothing, what is
//! in the way is named with what to do about it, and TERM lets clients go in peace.

#![expect(clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use cordon_tests::{Serve, process, wait};
use serde_json::Value;
use tokio::net::TcpListener;

#[tokio::test]
async fn a_first_start_leaves_everything_ready_to_use() {
    let serve = Serve::start().await;
    for (name, mode) in [
        ("admin-token", 0o600),
        ("vault.key", 0o600),
        ("tls/server.key", 0o600),
        ("creds/system.creds", 0o600),
        ("ca/ca.pem", 0o644),
        ("ledger/key.pub", 0o644),
    ] {
        let found = fs::metadata(serve.data(name)).expect(name).permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name} has mode {found:o}");
    }
    let creds: Vec<_> = fs::read_dir(serve.data("creds")).unwrap().map(|entry| entry.unwrap().path()).collect();
    let tenant = creds.iter().find(|path| !path.ends_with("system.creds")).expect("creds of the first tenant");
    let mut peer = serve.peer(&fs::read_to_string(tenant).unwrap()).await;
    peer.send("SUB greet.* 1\r\nPUB greet.you 5\r\nhello\r\n").await;
    assert_eq!(peer.fence().await, "MSG greet.you 1 5\r\nhello\r\n");
    assert_eq!(peer.info["tls_required"], true);
    let health = serve.api().page("/api/v1/health").await.ok(200);
    assert_eq!(
        (&health["status"], &health["store"], &health["broker"]),
        (&"ok".into(), &"ok".into(), &"connected".into())
    );
    assert!(serve.api().page("/").await.text.contains("<html"));
    assert_eq!(serve.monitor("healthz").await["status"], "ok");
    let told = serve.process.log();
    for text in ["ca.pem", "system.creds", "nats --server tls://", &serve.client_address.port().to_string()] {
        assert!(told.contains(text), "the start does not tell `{text}`: {told}");
    }
}

#[tokio::test]
async fn a_second_start_finds_everything_and_changes_nothing() {
    let serve = Serve::start().await;
    let before = installation(&serve).await;
    let serve = serve.restart().await;
    assert_eq!(installation(&serve).await, before);
}

/// What a second start must not change.
async fn installation(serve: &Serve) -> Vec<String> {
    let api = serve.api();
    let names = ["admin-token", "vault.key", "ca/ca.pem", "tls/server.pem", "creds/system.creds", "ledger/key.pub"];
    let files = names
        .iter()
        .map(|name| fs::read_to_string(serve.data(name)).unwrap_or_else(|_| hex(&fs::read(serve.data(name)).unwrap())));
    let mut all: Vec<String> = files.collect();
    for path in ["operators", "accounts", "tokens"] {
        let items: Vec<Value> = api.list(path).await;
        all.extend(items.iter().map(ToString::to_string));
    }
    all
}

fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

#[tokio::test]
async fn what_is_in_the_way_is_named_with_what_to_do() {
    let serve = Serve::start().await;
    let folder = serve.folder();
    fs::create_dir(folder.join("letters")).unwrap();
    fs::write(folder.join("letters/dear"), "dear").unwrap();
    fs::write(folder.join("file"), "").unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let taken = busy.local_addr().unwrap().port().to_string();
    let cases: [(&[&str], &[&str]); 7] = [
        (&["--data", "data"], &["in use", "--data"]),
        (&["--data", "letters"], &["not empty", "--data"]),
        (&["--data", "file"], &["not a folder", "--data"]),
        (&["--data", "/proc/cordon"], &["/proc/cordon", "--data"]),
        (&["--data", "a", "--port", &taken], &[&taken, "--port"]),
        (&["--data", "b", "--admin-port", &taken], &[&taken, "--admin-port"]),
        (&["--data", "c", "--monitor-port", &taken], &[&taken, "--monitor-port"]),
    ];
    for (arguments, told) in cases {
        let mut line = vec!["serve"];
        line.extend(arguments);
        for port in ["--port", "--admin-port", "--monitor-port"] {
            if !arguments.contains(&port) {
                line.extend([port, "0"]);
            }
        }
        let done = process::run(folder, line).await;
        assert_eq!(done.status.code(), Some(1), "{arguments:?}: {done:?}");
        for text in told {
            assert!(done.stderr.contains(text), "{arguments:?}: no `{text}` in {}", done.stderr);
        }
    }
    drop(busy);
    assert_eq!(fs::read_dir(folder.join("letters")).unwrap().count(), 1, "a foreign folder is left alone");
    assert_eq!(serve.monitor("healthz").await["status"], "ok", "the first one is not disturbed");
}

#[tokio::test]
async fn term_tells_clients_to_leave_and_ends_in_order() {
    let mut serve = Serve::start().await;
    let tenant = serve.tenant("acme").await;
    let user = tenant.user("any").await;
    let mut raw = serve.peer(&user.creds).await;
    let mut library = serve.client(&user.creds).await;
    library.reports("connected").await;
    serve.process.signal("TERM");
    let notice = raw.through("\"ldm\":true").await;
    assert!(notice.contains("INFO {"), "{notice}");
    library.reports("lame duck").await;
    // Still served until it leaves.
    raw.send("SUB a 1\r\nPUB a 1\r\nx\r\n").await;
    raw.through("MSG a 1 1\r\nx\r\n").await;
    drop(raw);
    drop(library);
    assert_eq!(serve.process.end().await.code(), Some(0));
    assert!(!serve.data("run.json").exists());
    assert!(!serve.process.log().contains("panicked"));
    // The order left nothing to repair.
    let serve = serve.restart().await;
    serve.peer(&user.creds).await;
}

#[tokio::test]
async fn the_demo_happens_as_told() {
    let folder = tempfile::tempdir().unwrap();
    let done = process::run(folder.path(), ["demo"]).await;
    assert_eq!(done.status.code(), Some(0), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stdout.lines().count() > 10, "{}", done.stdout);
}

#[tokio::test]
async fn the_command_line_speaks_for_people_and_for_scripts() {
    let serve = Serve::start().await;
    let run = async |line: &str| serve.run(line.split(' ').chain(["--data", "data"])).await;
    for line in [
        "account create maker",
        "account create buyer",
        "user create maker app --out maker.creds",
        "export add maker orders --kind service",
        "import add buyer orders --from maker --kind service --local-subject maker.orders",
        "limits set maker --connections 5",
        "explain publish maker app orders",
        "audit search --kind account.create",
        "connection list",
        "token list",
        "whoami",
        "health",
    ] {
        let done = run(line).await;
        assert_eq!(done.status.code(), Some(0), "{line}: {done:?}");
        assert!(!done.stdout.is_empty(), "{line}");
    }
    let done = run("account list --json").await;
    let accounts: Value = serde_json::from_str(&done.stdout).expect("--json prints JSON");
    assert!(accounts.to_string().contains("\"maker\""), "{accounts}");
    let creds = fs::read_to_string(serve.folder().join("maker.creds")).unwrap();
    wait::within("the creds are good", serve.peer(&creds)).await;
    for (line, status) in
        [("account show nobody", 1), ("user create maker app --out maker.creds", 2), ("account", 2), ("nonsense", 2)]
    {
        let done = run(line).await;
        assert_eq!(done.status.code(), Some(status), "{line}: {done:?}");
        assert!(!done.stderr.is_empty(), "{line}");
    }
}
