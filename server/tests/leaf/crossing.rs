//! Leaf nodes and the border: imports reach across, and nothing else does.

use cordon_accounts::claims::ExportKind::{Service, Stream};
use cordon_accounts::claims::ResponseType;
use data_encoding::BASE64URL_NOPAD;
use serde_json::json;

use crate::house::{Account, House};
use crate::listening;
use crate::support::leaf::RawLeaf;

pub(crate) fn house(accounts: &[&Account]) -> House {
    House::build(accounts, listening(|_| {}), |_| {}, None, None)
}

pub(crate) fn join(house: &House, account: &Account, name: &str) -> RawLeaf {
    let user = account.user(|_| {});
    let mut leaf = RawLeaf::dial(&house.broker);
    let nonce = leaf.info["nonce"].as_str().unwrap().to_owned();
    let sig = BASE64URL_NOPAD.encode(&user.seed.sign(nonce.as_bytes()).unwrap());
    leaf.connect(name, json!({"jwt": user.jwt, "sig": sig}));
    leaf.read_joined();
    leaf
}

#[test]
fn a_service_behind_a_leaf_answers_importers_who_are_told_apart() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "local.svc");
    let house = house(&[&exporter, &importer]);
    let mut leaf = join(&house, &exporter, "far");
    leaf.fenced();
    leaf.send("LS+ svc\r\n");
    leaf.expect_nothing();
    let mut client = house.join(&importer);
    client.send("SUB inbox 1\r\nPUB local.svc inbox 1\r\nq\r\n");
    let told = leaf.line();
    let space = told.strip_prefix("LS+ ").unwrap().strip_suffix('>').unwrap();
    assert!(space.starts_with("_R_."), "{told}");
    let line = leaf.line();
    let parts: Vec<_> = line.split(' ').collect();
    assert_eq!((parts[0], parts[1]), ("HMSG", "svc"));
    let reply = parts[2].to_owned();
    assert!(reply.starts_with(space), "{line}");
    assert_eq!(leaf.line(), "NATS/1.0");
    let info = leaf.line();
    assert!(info.starts_with("Nats-Request-Info: {\"acc\":") && info.contains(&importer.key().to_string()), "{info}");
    leaf.expect(&["", "q"]);
    leaf.send(format!("LMSG {reply} 1\r\na\r\n"));
    client.expect("MSG inbox 1 1\r\na\r\n");
    leaf.send(format!("LMSG {reply} 1\r\nb\r\nLMSG {space}guessed 1\r\nc\r\n"));
    leaf.expect_nothing();
    client.expect_nothing();
}

#[test]
fn a_leaf_of_the_importer_calls_what_the_hub_imports() {
    let exporter = Account::new("exporter").exporting(Service, "svc");
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "local.svc");
    let house = house(&[&exporter, &importer]);
    let mut server = house.join(&exporter);
    server.exchange_only("SUB svc 1\r\n", "");
    let mut leaf = join(&house, &importer, "far");
    assert_eq!(leaf.interest(), ["local.svc"].map(String::from).into());
    let forged = "NATS/1.0\r\nNats-Request-Info: {\"acc\":\"FORGED\"}\r\n\r\n";
    leaf.send(format!("LS+ inbox\r\nHMSG local.svc inbox {0} {1}\r\n{forged}q\r\n", forged.len(), forged.len() + 1));
    leaf.fenced();
    let request = crate::house::Got::next(&mut server);
    let infos = request.values("Nats-Request-Info");
    assert!(
        infos.len() == 1 && infos[0].contains(&importer.key().to_string()) && !infos[0].contains("FORGED"),
        "{infos:?}"
    );
    server.exchange_only(format!("PUB {} 1\r\na\r\n", request.reply), "");
    leaf.expect(&["LMSG inbox 1", "a"]);
}

#[test]
fn who_asks_is_never_what_a_leaf_says() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut leaf = join(&house, &account, "far");
    let mut client = house.join(&account);
    client.exchange_only("SUB x 1\r\n", "");
    leaf.fenced();
    let forged = "NATS/1.0\r\nnats-request-info: {}\r\nA: b\r\n\r\n";
    leaf.send(format!("HMSG x {0} {0}\r\n{forged}\r\n", forged.len()));
    client.expect("HMSG x 1 18 18\r\nNATS/1.0\r\nA: b\r\n\r\n\r\n");
}

#[test]
fn an_imported_stream_reaches_the_importers_leaf_once_under_its_local_subject() {
    let exporter = Account::new("exporter").exporting(Stream, "news.>");
    let importer = Account::new("importer").importing(Stream, &exporter, "news.>", "from.news.>");
    let other = Account::new("other");
    let house = house(&[&exporter, &importer, &other]);
    let (mut leaf, mut stranger) = (join(&house, &importer, "far"), join(&house, &other, "stranger"));
    let mut source = join(&house, &exporter, "source");
    for leaf in [&mut leaf, &mut stranger, &mut source] {
        leaf.fenced();
    }
    for leaf in [&mut leaf, &mut stranger] {
        leaf.send("LS+ from.news.a\r\nLS+ from.>\r\nLS+ from.news.a q 1\r\nLS+ news.>\r\n");
        leaf.expect_nothing();
    }
    let mut told = source.fenced();
    told.sort();
    assert_eq!(told, ["LS+ news.>", "LS+ news.a", "LS+ news.a q 1"]);
    house.join(&exporter).exchange_only("PUB news.a 1\r\nx\r\nPUB other 0\r\n\r\n", "");
    leaf.expect(&["LMSG from.news.a | q 1", "x"]);
    leaf.expect_nothing();
    source.send("LMSG news.a 1\r\ny\r\nLMSG news.a | q 1\r\nz\r\n");
    source.expect_nothing();
    leaf.expect(&["LMSG from.news.a 1", "y", "LMSG from.news.a | q 1", "z"]);
    stranger.expect_nothing();
    drop(leaf);
    let mut ended = [source.line(), source.line(), source.line()];
    ended.sort();
    assert_eq!(ended, ["LS- news.>", "LS- news.a", "LS- news.a q"]);
}

#[test]
fn an_import_that_comes_later_reaches_leafs_that_are_there() {
    let exporter = Account::new("exporter").exporting(Stream, "news");
    let mut importer = Account::new("importer");
    let house = house(&[&exporter, &importer]);
    let mut leaf = join(&house, &importer, "far");
    leaf.fenced();
    leaf.send("LS+ news\r\n");
    leaf.expect_nothing();
    let mut client = house.join(&exporter);
    client.exchange_only("PUB news 0\r\n\r\n", "");
    leaf.expect_nothing();
    importer = importer.importing(Stream, &exporter, "news", "news");
    house.push(&importer);
    client.exchange_only("PUB news 0\r\n\r\n", "");
    let lines: Vec<_> = leaf.fenced().into_iter().filter(|line| !line.starts_with("INFO")).collect();
    assert_eq!(lines, ["LMSG news 0", ""]);
}

#[test]
fn whoever_asks_about_itself_over_a_leaf_is_answered_with_the_leafs_user() {
    let account = Account::new("a");
    let house = house(&[&account]);
    let mut leaf = join(&house, &account, "far");
    let told = leaf.fenced();
    for subject in ["$SYS.REQ.USER.INFO", "$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.PING.STATZ"] {
        assert!(told.contains(&format!("LS+ {subject}")), "{told:?}");
    }
    leaf.send("LS+ _INBOX.me\r\nLMSG $SYS.REQ.USER.INFO _INBOX.me 0\r\n\r\n");
    let line = leaf.line();
    assert!(line.starts_with("LMSG _INBOX.me ") || line.starts_with("HMSG _INBOX.me "), "{line}");
    let answer: serde_json::Value = serde_json::from_str(&leaf.line()).unwrap();
    assert_eq!(answer["data"]["account"], json!(account.key().to_string()));
}

#[test]
fn streams_of_answers_come_back_over_the_leaf_until_their_end() {
    let mut exporter = Account::new("exporter").exporting(Service, "svc");
    exporter.claims.nats.exports[0].response_type = ResponseType::Stream;
    let importer = Account::new("importer").importing(Service, &exporter, "svc", "svc");
    let house = house(&[&exporter, &importer]);
    let (mut provider, mut asker) = (join(&house, &exporter, "provider"), join(&house, &importer, "asker"));
    provider.fenced();
    asker.fenced();
    provider.send("LS+ svc\r\n");
    provider.fenced();
    asker.send("LS+ inbox\r\nLMSG svc inbox 0\r\n\r\n");
    asker.expect_nothing();
    let _space = provider.line();
    let reply = provider.line().split(' ').nth(2).unwrap().to_owned();
    provider.fenced();
    provider
        .send(format!("LMSG {reply} 1\r\n1\r\nLMSG {reply} 1\r\n2\r\nLMSG {reply} 0\r\n\r\nLMSG {reply} 1\r\n4\r\n"));
    provider.expect_nothing();
    asker.expect(&["LMSG inbox 1", "1", "LMSG inbox 1", "2", "LMSG inbox 0", ""]);
    asker.expect_nothing();
}
