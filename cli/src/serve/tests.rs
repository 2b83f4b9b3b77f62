//! `serve` as it is, on folders of its own: first start, second start, what can go wrong.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Parser as _;
use cordon_admin::pki::Authority;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::*;
use crate::args::Args;

fn serve(data: &Path) -> Serve {
    Serve {
        data: data.to_owned(),
        port: 0,
        admin_port: 0,
        monitor_port: 0,
        websocket_port: None,
        websocket_origin: Vec::new(),
        host: Vec::new(),
        keeping: control_plane::Keeping::default(),
        debug: false,
    }
}

async fn start(serve: &Serve) -> anyhow::Result<Site> {
    crate::tls::install_provider();
    Site::start(serve).await
}

async fn refusal(serve: &Serve) -> String {
    match start(serve).await {
        Ok(site) => {
            site.stop().await;
            panic!("it started");
        }
        Err(error) => format!("{error:#}"),
    }
}

/// What must not change between starts: keys, certificates, creds, tokens, account JWTs.
fn lasting(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut work = vec![folder.to_owned()];
    while let Some(next) = work.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().display().to_string();
            let moves = name.starts_with("cordon.db")
                || name.starts_with("broker/security")
                || name == "ledger/checkpoint"
                || name == "run.json";
            if path.is_dir() {
                work.push(path);
            } else if !moves {
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// Runs one command line against the installation in this folder.
async fn run(data: &Path, line: &str) -> anyhow::Result<()> {
    let folder = data.parent().unwrap().display().to_string();
    let line = line.replace('@', &format!("{folder}/"));
    let words = std::iter::once("cordon").chain(line.split(' ')).map(str::to_owned);
    Args::try_parse_from(words.chain(["--data".to_owned(), data.display().to_string()])).unwrap().command.run().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_start_finds_everything_and_changes_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let site = start(&serve(&data)).await.unwrap();
    assert!(site.made.is_some());
    let run = site.folder.paths().read_run().unwrap();
    assert_eq!(run.client_address, Some(site.broker.client_address));
    assert_eq!(run.admin_address, site.control.address);
    assert_eq!(run.monitor_address, site.broker.monitor_address);
    site.stop().await;
    let before = lasting(&data);
    for name in [
        "admin-token",
        "vault.key",
        "ca/ca.pem",
        "tls/server.key",
        "creds/system.creds",
        "creds/default-app.creds",
        "ledger/key.pub",
    ] {
        assert!(before.contains_key(name), "{name} is missing among {:?}", before.keys());
    }
    let site = start(&serve(&data)).await.unwrap();
    assert!(site.made.is_none());
    site.stop().await;
    assert_eq!(lasting(&data), before);
    assert!(!data.join("run.json").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_first_start_is_finished_by_the_next() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let serve = serve(&data);
    let clock = Clock::system();
    let mut folder = DataFolder::open(&data).unwrap();
    crate::tls::install_provider();
    let control = control_plane::open(&folder, &serve, &clock).await.unwrap();
    let operator = setup::operator(&mut folder, &control).await.unwrap();
    // The user is in the store, its creds file was not written any more.
    let system = operator.system_account.unwrap();
    let new = cordon_admin::model::NewUser { name: "system".to_owned(), ..Default::default() };
    control.issuer().create_user(&cordon_admin::issuing::Act::local("test"), &system, new).await.unwrap();
    control.store().close().await;
    drop((control, folder));

    let site = start(&serve).await.unwrap();
    assert_eq!(site.folder.operator(), Some(operator.key.to_string().as_str()));
    assert!(site.folder.paths().system_creds().exists());
    let mut reader = site.control.issuer().store().read().await.unwrap();
    assert_eq!(reader.operators().list(&Page::first()).await.unwrap().len(), 1);
    drop(reader);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_named_with_its_flag() {
    let parent = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let serve = serve(&parent.path().join("data"));
    for (flag, serve) in [
        ("--port", Serve { port, ..serve.clone() }),
        ("--admin-port", Serve { admin_port: port, ..serve.clone() }),
        ("--monitor-port", Serve { monitor_port: port, ..serve.clone() }),
        ("--websocket-port", Serve { websocket_port: Some(port), ..serve.clone() }),
    ] {
        let text = refusal(&serve).await;
        assert!(text.contains(&format!("another with {flag} ")) && text.contains(&port.to_string()), "{flag}: {text}");
    }
    // None of the failures left anything behind that keeps it from starting.
    start(&serve).await.unwrap().stop().await;
}

/// Whether the broker believes what `key` signs comes to be `trusted`.
async fn trust_becomes(site: &Site, key: &cordon_accounts::key::OperatorKey, trusted: bool) {
    let accounts = site.broker.broker.tenants.accounts().unwrap();
    let mut look = tokio::time::interval(Duration::from_millis(20));
    let change = async {
        while accounts.trust().trusts(&key.public()) != trusted {
            look.tick().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), change).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_the_operator_come_and_go_while_clients_are_connected() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let site = start(&serve(&data)).await.unwrap();
    run(&data, "account create acme").await.unwrap();
    run(&data, "user create acme u --allow-sub _INBOX.> --allow-pub help --out @u.creds").await.unwrap();
    let issuer = site.control.issuer();
    let act = cordon_admin::issuing::Act::local("test");
    let operator = site.folder.operator().unwrap().parse().unwrap();
    let before = issuer.operator_keys(&operator).await.unwrap().signing_keys;
    let connected = site.broker.broker.connections.count();

    let added = issuer.add_operator_key(&act, &operator, None).await.unwrap();
    let added = added.key.parse().unwrap();
    trust_becomes(&site, &added, true).await;
    // Accounts that the old keys signed are signed anew by the new one.
    for key in before {
        let key = key.key.parse().unwrap();
        issuer.remove_operator_key(&act, &operator, &key).await.unwrap();
        trust_becomes(&site, &key, false).await;
    }
    assert!(site.broker.broker.connections.count() >= connected, "the control plane is still connected");
    run(&data, "client pub help x --creds @u.creds").await.unwrap();
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_the_folder_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let site = start(&serve(&data)).await.unwrap();
    let text = refusal(&serve(&data)).await;
    assert!(text.contains("in use by another process"), "{text}");
    assert!(data.join("run.json").exists(), "the refused process must leave the other's addresses alone");
    site.stop().await;
}

/// Each works after those before it; `@` is the folder for files.
const DONE: &[&str] = &[
    "health",
    "whoami --json",
    "operator list",
    "account create acme",
    "account create globex --description other --tag b",
    "account edit globex --description another",
    "account show acme",
    "signing-key add acme --role reader --allow-sub news.>",
    "signing-key list acme",
    "user create acme buyer --allow-pub orders.> --allow-pub globex.> --allow-sub _INBOX.> --expires-in 30d --out @buyer.creds",
    "user create acme watcher --signing-key reader --out @watcher.creds",
    "user create globex seller --dry-run",
    "user create globex seller --out @seller.creds",
    "user list acme",
    "export add globex price.get --kind service",
    "export add globex plans --kind stream --private",
    "export list globex",
    "import add acme price.get --from globex --kind service --local-subject globex.price",
    "activation issue globex plans acme --out @plans.token",
    "import add acme plans --from globex --kind stream --activation-file @plans.token",
    "import list acme",
    "activation list globex",
    "explain publish acme buyer secret.plans",
    "explain publish acme buyer orders.new --json",
    "explain import acme price.get",
    "limits set acme --connections 5",
    "limits show acme",
    "client request globex.price apple --creds @buyer.creds",
    "client pub orders.new 7 --creds @buyer.creds",
    "revocation add acme buyer --dry-run",
    "revocation add acme buyer",
    "revocation list acme",
    "user creds acme buyer --rotate-key --out @buyer.creds --force",
    "account suspend globex --dry-run",
    "account suspend globex",
    "account resume globex",
    "connection list",
    "certificate issue --dns a.example.org --cert @a.pem --key @a.key --expires-in 1h",
    "certificate list",
    "certificate ca --out @ca.pem",
    "certificate map a.example.org --creds @buyer.creds",
    "token create ci --role account-admin --account acme --expires-in 1h --out @token",
    "token list",
    "token revoke ci",
    "broker list",
    "audit search --kind user.create --account acme",
    "audit export --out @export.jsonl",
    "audit verify @export.jsonl",
    "audit checkpoint --out @note --key-out @key.pub",
    "audit export --out @export.jsonl",
    "audit verify @export.jsonl --checkpoint @note --key @key.pub",
    "audit verify",
    "audit proof 3",
    "import remove acme price.get",
    "export remove globex price.get",
    "user delete globex seller",
    "account delete globex",
];

/// Each fails after all of the above, and says so.
const REFUSED: &[(&str, &str)] = &[
    ("client pub secret.plans --creds @buyer.creds", "Permissions Violation"),
    ("client sub orders.> --creds @buyer.creds", "Permissions Violation"),
    ("client request globex.none --creds @seller.creds", "cannot connect"),
    ("client pub x", "cannot connect"),
    ("account show nobody", "cordon account list"),
    ("account create acme", "what to do"),
    ("user create acme new", "--out"),
    ("user create acme new --out @buyer.creds", "--force"),
    ("user create acme new --source-network nonsense --show", "is not a network"),
    ("import add acme none --from acme --kind service", "what to do"),
    ("connection kick 999999", "what to do"),
    ("signing-key add acme --allow-pub x", "--role"),
    ("account edit acme", "nothing to change"),
    ("audit verify @buyer.creds", "NOT"),
];

#[tokio::test(flavor = "multi_thread")]
async fn commands_do_what_the_quick_start_says() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let site = start(&serve(&data)).await.unwrap();
    for line in DONE {
        if line.starts_with("client request") {
            let answering = run(&data, "client reply price.get 3 --count 1 --creds @seller.creds");
            tokio::try_join!(answering, run(&data, line)).unwrap();
            continue;
        }
        if let Err(error) = run(&data, line).await {
            panic!("{line}: {error:#}");
        }
    }
    for (line, told) in REFUSED {
        let text = format!("{:#}", run(&data, line).await.expect_err(line));
        assert!(text.contains(told), "{line}: {text}");
    }
    site.stop().await;
    let text = format!("{:#}", run(&data, "account list").await.unwrap_err());
    assert!(text.contains("cordon serve"), "{text}");
    run(&data, "audit verify").await.unwrap();
}

/// Asks for WebSocket over TLS, trusting the installation's authority: the certificate that was shown, and the answer.
fn ask_for_websocket(site: &Site, origin: &str) -> std::io::Result<(Vec<u8>, String)> {
    use std::io::{Read as _, Write as _};
    let mut roots = rustls::RootCertStore::empty();
    let authority = CertificateDer::from_pem_file(site.folder.paths().ca()).unwrap();
    roots.add(authority).unwrap();
    let config = rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    let session = rustls::ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
    let socket = std::net::TcpStream::connect(site.broker.websocket_address.unwrap())?;
    socket.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut stream = rustls::StreamOwned::new(session, socket);
    write!(
        stream,
        "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nOrigin: {origin}\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )?;
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let shown = stream.conn.peer_certificates().unwrap()[0].to_vec();
    Ok((shown, String::from_utf8(head).unwrap()))
}

#[tokio::test(flavor = "multi_thread")]
async fn websocket_is_served_with_the_same_certificate_to_the_pages_that_were_named() {
    let parent = tempfile::tempdir().unwrap();
    let data = parent.path().join("data");
    let origins = vec!["https://app.example.org".parse().unwrap()];
    let plain = serve(&data);
    let serve = Serve { websocket_port: Some(0), websocket_origin: origins, ..plain.clone() };
    let site = start(&serve).await.unwrap();
    let run = site.folder.paths().read_run().unwrap();
    assert_eq!(run.websocket_address, site.broker.websocket_address);
    let own = |site: &Site| CertificateDer::from_pem_file(site.folder.paths().server_certificate()).unwrap().to_vec();
    let (shown, answer) = ask_for_websocket(&site, "https://app.example.org").unwrap();
    assert!(answer.starts_with("HTTP/1.1 101 ") && shown == own(&site), "{answer}");
    let (_, answer) = ask_for_websocket(&site, "https://elsewhere.example.org").unwrap();
    assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    // A new certificate is there for both after a reload.
    let mut names = site.certificate_names.clone();
    names.push("new.example.org".to_owned());
    let authority = Authority::open_or_create(&site.folder.paths().authority(), Clock::system()).unwrap();
    let paths = site.folder.paths();
    authority.issue_server(&names, &paths.server_certificate(), &paths.server_key()).unwrap();
    assert_ne!(ask_for_websocket(&site, "https://app.example.org").unwrap().0, own(&site));
    site.reload().await;
    assert_eq!(ask_for_websocket(&site, "https://app.example.org").unwrap().0, own(&site));
    site.stop().await;
    let site = start(&plain).await.unwrap();
    assert_eq!(site.broker.websocket_address, None, "only where it is asked for");
    site.stop().await;
}
