//! JetStream inside a running broker, over its wire: who has it, what crosses accounts, what stays after a restart.

#![expect(clippy::unwrap_used, reason = "what fails here is the test")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cordon_auth::clock::Clock;
use cordon_jetstream::node::Node;
use cordon_server::RunningBroker;
use cordon_server::config::{self, load_text};
use cordon_server::extension::Extension;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Accounts with and without streams, one that may use those of another, and a user with few rights.
const ACCOUNTS: &str = r#"
accounts {
  JS {
    jetstream: enabled
    users: [
      { user: js, password: p }
      { user: few, password: p, permissions { publish { deny: ["$JS.API.STREAM.DELETE.>"] } } }
    ]
    exports: [ { service: "$JS.API.>", response_type: stream }, { stream: "deliver.>" } ]
  }
  FAR {
    users: [ { user: far, password: p } ]
    imports: [
      { service: { account: JS, subject: "$JS.API.>" }, to: "js.API.>" }
      { stream: { account: JS, subject: "deliver.>" } }
    ]
  }
  NONE { users: [ { user: none, password: p } ] }
  SYS { users: [ { user: sys, password: p } ] }
}
system_account: SYS
"#;

async fn start(folder: &Path, more: &str) -> RunningBroker {
    start_with(folder, &format!("{ACCOUNTS}{more}")).await
}

async fn start_with(folder: &Path, accounts: &str) -> RunningBroker {
    start_by(folder, "domain: hub", accounts).await
}

/// With these options of `jetstream`.
async fn start_by(folder: &Path, options: &str, accounts: &str) -> RunningBroker {
    let text =
        format!("listen: \"127.0.0.1:-1\"\njetstream {{ store_dir: \"{}\", {options} }}\n{accounts}", folder.display());
    let loaded = load_text(&text, "test.conf").unwrap();
    let streams = loaded.jetstream.clone().map(|options| -> Arc<dyn Extension> { Node::new(options) });
    config::start_with(loaded, Clock::system(), streams).await.unwrap()
}

/// A client that speaks the protocol by hand.
struct Client {
    stream: TcpStream,
    read: Vec<u8>,
    next: usize,
}

impl Client {
    async fn of(broker: &RunningBroker, user: &str) -> Self {
        let stream = TcpStream::connect(broker.client_address).await.unwrap();
        let mut client = Self { stream, read: Vec::new(), next: 0 };
        let connect = format!(
            "CONNECT {{\"verbose\":false,\"user\":\"{user}\",\"pass\":\"p\",\"headers\":true,\"no_responders\":true}}\r\n\
             SUB in.> 1\r\nPING\r\n"
        );
        client.send(&connect).await;
        client.until("PONG\r\n").await;
        client
    }

    async fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).await.unwrap();
    }

    /// Everything up to and including `end`.
    async fn until(&mut self, end: &str) -> String {
        let mut buffer = vec![0; 65536];
        loop {
            let text = String::from_utf8_lossy(&self.read).into_owned();
            if let Some(at) = text.find(end) {
                self.read.drain(..at + end.len());
                return text.get(..at + end.len()).unwrap().to_owned();
            }
            let reading = self.stream.read(&mut buffer);
            let read = tokio::time::timeout(Duration::from_secs(20), reading).await;
            assert!(read.is_ok(), "no `{end}` in `{text}`");
            let len = read.unwrap().unwrap();
            assert!(len > 0, "the connection ended: `{text}`");
            self.read.extend_from_slice(buffer.get(..len).unwrap());
        }
    }

    /// Asks, and gives the message that answers.
    async fn ask(&mut self, subject: &str, body: &str) -> String {
        self.next += 1;
        let reply = format!("in.{}", self.next);
        self.send(&format!("PUB {subject} {reply} {}\r\n{body}\r\n", body.len())).await;
        let head = self.until(&format!("{reply} 1 ")).await;
        let sizes = self.until("\r\n").await;
        let size: usize = sizes.trim().rsplit(' ').next().unwrap().parse().unwrap();
        while self.read.len() < size + 2 {
            let mut buffer = vec![0; 65536];
            let len = self.stream.read(&mut buffer).await.unwrap();
            self.read.extend_from_slice(buffer.get(..len).unwrap());
        }
        let body: Vec<u8> = self.read.drain(..size + 2).collect();
        format!("{head}{}", String::from_utf8_lossy(&body))
    }
}

const STREAM: &str = r#"{"name":"S","subjects":["orders.>"],"allow_direct":true}"#;

#[tokio::test(flavor = "multi_thread")]
async fn who_has_no_streams_is_told_so_and_who_asks_what_nobody_answers_hears_that() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    for user in ["none", "sys"] {
        let mut client = Client::of(&broker, user).await;
        for subject in ["$JS.API.INFO", "$JS.API.STREAM.NAMES", "$JS.API.STREAM.CREATE.S"] {
            let told = client.ask(subject, STREAM).await;
            assert!(told.contains("\"err_code\":10039") && told.contains("_response\""), "{user} {subject}: {told}");
        }
    }
    let mut js = Client::of(&broker, "js").await;
    assert!(js.ask("$JS.API.INFO", "").await.contains("account_info_response"));
    for subject in ["$JS.API.CONSUMER.MSG.NEXT.S.c", "$JS.API.DIRECT.GET.S", "$JS.API.DIRECT.GET.S.a"] {
        assert!(js.ask(subject, "").await.contains("NATS/1.0 503"), "{subject}");
    }
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domains_name_and_another_account_give_no_more_rights_over_streams() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let (mut js, mut few) = (Client::of(&broker, "js").await, Client::of(&broker, "few").await);
    assert!(js.ask("$JS.hub.API.STREAM.CREATE.S", STREAM).await.contains("\"did_create\":true"));
    for subject in ["$JS.API.STREAM.DELETE.S", "$JS.hub.API.STREAM.DELETE.S"] {
        few.send(&format!("PUB {subject} in.x 0\r\n\r\nPING\r\n")).await;
        let told = few.until("PONG\r\n").await;
        assert!(told.contains("Permissions Violation"), "{subject}: {told}");
    }
    let told = few.ask("$JS.hub.API.STREAM.INFO.S", "").await;
    assert!(told.contains("\"domain\":\"hub\"") && told.contains("\"name\":\"S\""), "{told}");
    // Nobody else has a stream of that name, and who imports the API of another acts in that one alone.
    let (mut far, mut none) = (Client::of(&broker, "far").await, Client::of(&broker, "none").await);
    assert!(far.ask("js.API.STREAM.INFO.S", "").await.contains("\"name\":\"S\""));
    assert!(far.ask("$JS.API.STREAM.INFO.S", "").await.contains("\"err_code\":10039"));
    assert!(none.ask("js.API.STREAM.INFO.S", "").await.contains("NATS/1.0 503"));
    assert!(none.ask("orders.new", "x").await.contains("NATS/1.0 503"), "its own subjects are not captured");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_crosses_accounts_shows_the_subject_it_was_stored_under_and_tells_who_asked() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let (mut js, mut far) = (Client::of(&broker, "js").await, Client::of(&broker, "far").await);
    assert!(js.ask("$JS.API.STREAM.CREATE.S", STREAM).await.contains("did_create"));
    assert!(js.ask("orders.new", "one").await.contains("\"seq\":1"));
    let pull = r#"{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
    js.ask("$JS.API.CONSUMER.CREATE.S.c", pull).await;
    js.send("SUB $JS.EVENT.ADVISORY.API 7\r\nPING\r\n").await;
    js.until("PONG\r\n").await;
    far.send("PUB js.API.CONSUMER.MSG.NEXT.S.c in.next 1\r\n1\r\n").await;
    let told = far.until("\r\none\r\n").await;
    assert!(told.contains("MSG orders.new 1 $JS.ACK.S.c.1.1.1."), "{told}");
    assert!(far.ask("js.API.STREAM.INFO.S", "").await.contains("\"name\":\"S\""));
    let audit = js.until("\"response\"").await;
    assert!(audit.contains("api_audit") && audit.contains("\"acc\":\"FAR\""), "{audit}");
    far.send("SUB deliver.a 5\r\nPING\r\n").await;
    far.until("PONG\r\n").await;
    let push =
        r#"{"stream_name":"S","config":{"durable_name":"p","ack_policy":"explicit","deliver_subject":"deliver.a"}}"#;
    js.ask("$JS.API.CONSUMER.CREATE.S.p", push).await;
    let told = far.until("\r\none\r\n").await;
    assert!(told.contains("MSG orders.new 5 $JS.ACK.S.p.1.1.1."), "{told}");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_requests_hear_of_the_end_and_what_was_stored_is_there_again() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let mut js = Client::of(&broker, "js").await;
    assert!(js.ask("$JS.API.STREAM.CREATE.S", STREAM).await.contains("did_create"));
    assert!(js.ask("orders.new", "one").await.contains("\"seq\":1"));
    let pull = r#"{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit","deliver_policy":"new"}}"#;
    js.ask("$JS.API.CONSUMER.CREATE.S.c", pull).await;
    js.send("PUB $JS.API.CONSUMER.MSG.NEXT.S.c in.next 1\r\n1\r\nPING\r\n").await;
    js.until("PONG\r\n").await;
    broker.shutdown().await;
    assert!(js.until("Server Shutdown").await.contains("409"));
    let again = start(folder.path(), "").await;
    let mut js = Client::of(&again, "js").await;
    let told = js.ask("$JS.API.STREAM.INFO.S", "").await;
    assert!(told.contains("\"messages\":1") && told.contains("\"consumer_count\":1"), "{told}");
    assert!(js.ask("$JS.API.DIRECT.GET.S.orders.new", "").await.contains("one"));
    assert!(js.ask("orders.new", "two").await.contains("\"seq\":2"));
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_group_shares_what_a_push_consumer_delivers() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let mut js = Client::of(&broker, "js").await;
    assert!(js.ask("$JS.API.STREAM.CREATE.S", STREAM).await.contains("did_create"));
    for _ in 0..64 {
        js.ask("orders.new", "x").await;
    }
    js.send("SUB group.subject g 8\r\nSUB group.subject g 9\r\nPING\r\n").await;
    js.until("PONG\r\n").await;
    let push = r#"{"stream_name":"S","config":{"durable_name":"p","ack_policy":"none","deliver_subject":"group.subject","deliver_group":"g"}}"#;
    js.send(&format!("PUB $JS.API.CONSUMER.CREATE.S.p in.made {}\r\n{push}\r\n", push.len())).await;
    let told = js.until("$JS.ACK.S.p.1.64.").await;
    let of = |sid: &str| told.matches(&format!("MSG orders.new {sid} ")).count();
    assert_eq!(of("8") + of("9"), 64);
    // One of 2^63 times it is all of one's.
    assert!(of("8") > 0 && of("9") > 0, "{} and {}", of("8"), of("9"));
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_fires_when_its_time_comes_and_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let stream = r#"{"name":"S","subjects":["orders.>"],"allow_msg_schedules":true}"#;
    let pull =
        r#"{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit","filter_subject":"orders.t"}}"#;
    let next = "PUB $JS.API.CONSUMER.MSG.NEXT.S.c in.next 1\r\n1\r\n";
    let broker = start(folder.path(), "").await;
    let mut js = Client::of(&broker, "js").await;
    assert!(js.ask("$JS.API.STREAM.CREATE.S", stream).await.contains("did_create"));
    assert!(js.ask("$JS.API.CONSUMER.CREATE.S.c", pull).await.contains("\"name\":\"c\""));
    let header = "NATS/1.0\r\nNats-Schedule: @every 1s\r\nNats-Schedule-Target: orders.t\r\n\r\n";
    js.send(&format!("{next}HPUB orders.s {} {}\r\n{header}body\r\n", header.len(), header.len() + 4)).await;
    let told = js.until("\r\nbody\r\n").await;
    assert!(told.contains("HMSG orders.t 1 ") && told.contains("Nats-Scheduler: orders.s\r\nNats-Schedule-Next: 20"));
    broker.shutdown().await;
    let again = start(folder.path(), "").await;
    let mut js = Client::of(&again, "js").await;
    for run in 2..4 {
        js.send(next).await;
        let told = js.until("\r\nbody\r\n").await;
        assert!(told.contains("HMSG orders.t 1 $JS.ACK.S.c.1."), "run {run}: {told}");
    }
    again.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reply_subjects_name_domain_and_account_where_the_flag_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "feature_flags { js_ack_fc_v2: true }").await;
    let mut js = Client::of(&broker, "js").await;
    assert!(js.ask("$JS.API.STREAM.CREATE.S", STREAM).await.contains("did_create"));
    js.ask("orders.new", "one").await;
    let pull = r#"{"stream_name":"S","config":{"durable_name":"c","ack_policy":"explicit"}}"#;
    js.ask("$JS.API.CONSUMER.CREATE.S.c", pull).await;
    js.send("PUB $JS.API.CONSUMER.MSG.NEXT.S.c in.next 1\r\n1\r\n").await;
    let told = js.until("\r\none\r\n").await;
    let reply = told.split_whitespace().find(|token| token.starts_with("$JS.ACK.")).unwrap().to_owned();
    let tokens: Vec<&str> = reply.split('.').collect();
    assert_eq!((tokens.len(), tokens[2], tokens[3].len(), tokens[4], tokens[5]), (11, "hub", 8, "S", "c"), "{reply}");
    js.ask(&reply, "").await;
    let info = js.ask("$JS.API.CONSUMER.INFO.S.c", "").await;
    assert!(info.contains("\"num_ack_pending\":0") && info.contains("\"ack_floor\":{\"consumer_seq\":1"), "{info}");
    broker.shutdown().await;
}

/// An account in which reading needs the permission to subscribe, and a user who may subscribe to a part.
const CHECKED: &str = r#"
accounts {
  JS {
    jetstream { reads_need_permission: true }
    users: [
      { user: js, password: p }
      { user: eu, password: p, permissions { subscribe: ["eu.>", "in.>"], publish: ">" } }
    ]
  }
  SYS { users: [ { user: sys, password: p } ] }
}
system_account: SYS
"#;

#[tokio::test(flavor = "multi_thread")]
async fn where_reading_needs_permission_nobody_reads_what_it_may_not_subscribe_to() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start_with(folder.path(), CHECKED).await;
    let mut js = Client::of(&broker, "js").await;
    let stream = r#"{"name":"S","subjects":["eu.>","us.>"],"allow_direct":true}"#;
    assert!(js.ask("$JS.API.STREAM.CREATE.S", stream).await.contains("did_create"));
    for subject in ["eu.a", "us.a"] {
        assert!(js.ask(subject, subject).await.contains("\"seq\""));
    }
    let consumer = |name: &str, filter: &str| {
        format!(r#"{{"stream_name":"S","config":{{"name":"{name}","ack_policy":"explicit"{filter}}}}}"#)
    };
    assert!(js.ask("$JS.API.CONSUMER.CREATE.S.all", &consumer("all", "")).await.contains("\"num_pending\":2"));
    // Both have the same inbox; it comes when the other has its answers.
    let mut eu = Client::of(&broker, "eu").await;
    for filter in
        ["", r#","filter_subject":"us.>""#, r#","filter_subject":">""#, r#","filter_subjects":["eu.a","us.a"]"#]
    {
        for subject in ["$JS.API.CONSUMER.CREATE.S.c", "$JS.hub.API.CONSUMER.CREATE.S.c"] {
            let told = eu.ask(subject, &consumer("c", filter)).await;
            assert!(told.contains("\"err_code\":10900") && told.contains("\"code\":403"), "{filter}: {told}");
        }
    }
    let part = consumer("part", r#","filter_subject":"eu.>""#);
    assert!(eu.ask("$JS.API.CONSUMER.CREATE.S.part.eu.>", &part).await.contains("\"num_pending\":1"));
    let wider = consumer("part", r#","filter_subject":"us.>""#);
    assert!(eu.ask("$JS.API.CONSUMER.CREATE.S.part.us.>", &wider).await.contains("10900"), "a change is checked, too");
    for (subject, body, answer) in [
        ("$JS.API.DIRECT.GET.S.eu.a", "", "eu.a"),
        ("$JS.API.DIRECT.GET.S.us.a", "", "403 Permission Violation"),
        ("$JS.API.DIRECT.GET.S", r#"{"seq":1}"#, "403 Permission Violation"),
        ("$JS.API.DIRECT.GET.S", r#"{"multi_last":["eu.a","us.a"]}"#, "403 Permission Violation"),
        ("$JS.API.DIRECT.GET.S", r#"{"last_by_subj":">"}"#, "403 Permission Violation"),
        ("$JS.API.STREAM.MSG.GET.S", r#"{"seq":1}"#, "10900"),
        ("$JS.API.STREAM.MSG.GET.S", r#"{"last_by_subj":"us.a"}"#, "10900"),
        ("$JS.API.STREAM.MSG.GET.S", r#"{"last_by_subj":"eu.a"}"#, "\"subject\":\"eu.a\""),
        ("$JS.API.STREAM.SNAPSHOT.S", r#"{"deliver_subject":"in.x"}"#, "10900"),
        ("$JS.API.CONSUMER.MSG.NEXT.S.all", "1", "403 Permission Violation"),
    ] {
        let told = eu.ask(subject, body).await;
        assert!(told.contains(answer), "{subject} {body}: {told}");
    }
    assert!(eu.ask("$JS.ACK.S.all.1.1.1.1.1", "+NXT 1").await.contains("503"), "an acknowledgement that asks for more");
    eu.send("PUB $JS.API.CONSUMER.MSG.NEXT.S.part in.next 1\r\n1\r\n").await;
    assert!(eu.until("\r\neu.a\r\n").await.contains("MSG eu.a 1 $JS.ACK.S.part.1.1.1."));
    js.send("PUB $JS.API.CONSUMER.MSG.NEXT.S.all in.next 1\r\n2\r\n").await;
    js.until("\r\nus.a\r\n").await;
    broker.shutdown().await;
}

/// What only looks has one lane for each account: however much comes at once, and however many threads there are.
#[tokio::test(flavor = "multi_thread")]
async fn requests_that_come_at_once_are_answered_in_their_order_and_each_once() {
    const REQUESTS: usize = 300;
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let mut js = Client::of(&broker, "js").await;
    js.ask("$JS.API.STREAM.CREATE.S", STREAM).await;
    for number in 0..5 {
        js.ask(&format!("orders.{number}"), "x").await;
    }
    let mut text = String::new();
    for number in 0..REQUESTS {
        let (subject, body) = match number % 4 {
            0 => ("$JS.API.DIRECT.GET.S", format!("{{\"seq\":{}}}", number % 5 + 1)),
            1 => ("$JS.API.DIRECT.GET.S.orders.9", String::new()),
            2 => ("$JS.API.STREAM.MSG.GET.S", "{\"last_by_subj\":\"orders.3\"}".to_owned()),
            _ => ("$JS.API.STREAM.INFO.S", String::new()),
        };
        write!(text, "PUB {subject} in.many.{number:03} {}\r\n{body}\r\n", body.len()).unwrap();
    }
    js.send(&text).await;
    js.send("PUB in.end 0\r\n\r\n").await;
    let mut answers = js.until(&format!("in.many.{:03} ", REQUESTS - 1)).await;
    answers.push_str(&js.until("\r\n").await);
    let order: Vec<usize> =
        answers.split("MSG in.many.").skip(1).map(|answer| answer.get(..3).unwrap().parse().unwrap()).collect();
    assert_eq!(order, (0..REQUESTS).collect::<Vec<_>>());
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_names_the_stream_that_takes_a_message_and_one_only_looked_at_is_not_kept() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let mut js = Client::of(&broker, "js").await;
    js.ask("$JS.API.STREAM.CREATE.S", STREAM).await;
    for (only, kept) in [("", 1), ("Nats-Trace-Only: true\r\n", 1), ("", 2)] {
        let header = format!("NATS/1.0\r\nNats-Trace-Dest: in.report\r\n{only}\r\n");
        let size = header.len();
        js.send(&format!("HPUB orders.a {size} {}\r\n{header}hi\r\n", size + 2)).await;
        let report = js.until("}]}\r\n").await;
        for part in
            ["MSG in.report 1 ", r#""type":"in""#, r#""type":"js""#, r#""stream":"S""#, r#""subject":"orders.a""#]
        {
            assert!(report.contains(part), "`{part}` in {report}");
        }
        assert!(!report.contains("\"error\""), "{report}");
        // Storing is in order: what comes after it is there only once it is.
        js.ask("orders.after", "x").await;
        let state = js.ask("$JS.API.STREAM.INFO.S", r#"{"subjects_filter":"orders.a"}"#).await;
        assert!(state.contains(&format!(r#""subjects":{{"orders.a":{kept}}}"#)), "{only}: {state}");
    }
    let first = js.ask("$JS.API.DIRECT.GET.S", r#"{"seq":1}"#).await;
    assert!(first.contains("Nats-Trace-Dest: trace disabled") && first.ends_with("hi\r\n"), "{first}");
    broker.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn damage_is_found_while_the_broker_runs_and_told() {
    let folder = tempfile::tempdir().unwrap();
    let broker = start(folder.path(), "").await;
    let mut js = Client::of(&broker, "js").await;
    assert!(js.ask("$JS.API.STREAM.CREATE.S", STREAM).await.contains("did_create"));
    for number in 1..=20 {
        assert!(
            js.ask("orders.new", &format!("message number {number}.")).await.contains(&format!("\"seq\":{number}"))
        );
    }
    broker.shutdown().await;
    // What was written before a start is not written any more.
    let broker = start_by(folder.path(), "domain: hub, scrub_rate: 1GB, scrub_interval: \"20ms\"", ACCOUNTS).await;
    let mut js = Client::of(&broker, "js").await;
    js.send("SUB $JS.EVENT.ADVISORY.STREAM.DAMAGE.* 9\r\nPING\r\n").await;
    js.until("PONG\r\n").await;
    let files =
        std::fs::read_dir(folder.path().join("jetstream/JS/streams/S")).unwrap().map(|entry| entry.unwrap().path());
    let path = files.filter(|path| path.extension().is_some_and(|end| end == "seg")).min().unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let place = bytes.windows(17).position(|part| part == b"message number 7.").unwrap() as u64;
    let file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, b"M", place).unwrap();
    let told = js.until("\"lost\":1").await;
    assert!(told.contains("ADVISORY.STREAM.DAMAGE.S") && told.contains("advisory.v1.stream_damage"), "{told}");
    js.until("\r\n").await;
    let told = js.ask("$JS.API.STREAM.INFO.S", "").await;
    assert!(told.contains("\"lost\":{\"msgs\":[7]") && told.contains("\"messages\":19"), "{told}");
    assert!(js.ask("$JS.API.STREAM.MSG.GET.S", r#"{"seq":8}"#).await.contains("\"seq\":8"), "others are there");
    // The round that found it comes to its end.
    let shown = loop {
        let options = cordon_server::monitoring::jsz::JszOptions::default();
        let shown = broker.broker.extension().unwrap().jsz(&options).unwrap();
        if shown["scrub"]["lost"] == 1 {
            break shown;
        }
        js.ask("$JS.API.INFO", "").await;
    };
    assert_eq!(shown["scrub"]["interval"], 20_000_000);
    broker.shutdown().await;
    assert!(std::fs::read(&path).unwrap().len() == bytes.len(), "the file stays as it is");
}
