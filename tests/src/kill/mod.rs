//! The story of streams under kills: publishers, batches, consumers with acknowledgements that are answered, a process
//! that is killed at any moment, also while it starts, and what must be there when it is back.

mod consumers;
mod look;
mod publishers;
mod truth;
mod wire;

use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng as _;
use rand::rngs::StdRng;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use crate::tls;
use crate::wait::{LONG_PATIENCE, until_time, within_time};
use crate::watched::Watched;
use crate::{binary, process};
use consumers::run as consume;
use look::Look;
use publishers::{Batcher, Publisher, Shared};
use truth::{Answers, Truth};
use wire::Wire;

/// A broker with streams in files, over TLS, that can be killed and started again.
#[derive(Debug)]
pub(crate) struct Site {
    folder: TempDir,
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    starts: u32,
    /// The start that took longest, and the recovery of streams in one.
    slowest: (Duration, Duration),
}

/// Longer than any story takes: ids are remembered so long.
const WINDOW: u64 = 24 * 3600 * 1_000_000_000;

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        certificates(folder.path());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, process::free_port()));
        let config = format!(
            "listen: \"{address}\"\njetstream {{ store_dir: \"streams\" }}\n\
             tls {{ cert_file: \"server.pem\", key_file: \"server.key\" }}\n\
             accounts {{ A {{ jetstream: enabled, users: [ {{ user: u, password: p }} ] }} }}\n"
        );
        fs::write(folder.path().join("broker.conf"), config).unwrap();
        let tls = tls::trusting(&folder.path().join("ca.pem"));
        Self { folder, address, tls, starts: 0, slowest: (Duration::ZERO, Duration::ZERO) }
    }

    /// Starts the process; it may not be ready.
    fn launch(&mut self) -> Watched {
        self.starts += 1;
        let log = format!("broker-{}.log", self.starts);
        let mut command = process::command(self.folder.path(), binary::cordon());
        command.args(["broker", "-c", "broker.conf"]);
        Watched::start(command, self.folder.path(), &log)
    }

    /// Starts the process and waits until it is ready.
    async fn start(&mut self) -> Watched {
        let begun = Instant::now();
        let mut process = self.launch();
        process.says("the broker is ready", |log| log.contains("Server is ready")).await;
        let recovered = recovery(&process.words()).expect("it says how long its streams took");
        self.slowest = (self.slowest.0.max(begun.elapsed()), self.slowest.1.max(recovered));
        process
    }

    async fn wire(&self, inbox: &str) -> io::Result<Wire> {
        let inbox = if inbox == "I.ask" { "I" } else { inbox };
        Wire::open(self.address, self.tls.clone(), inbox).await
    }
}

/// How long the process says that its streams took.
fn recovery(log: &str) -> Option<Duration> {
    let (_, rest) = log.split_once("] Took ")?;
    let (text, _) = rest.split_once(" to start JetStream")?;
    let digits = text.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
    let (number, unit) = text.split_at(digits);
    let second = match unit {
        "s" => 1.0,
        "ms" => 1e-3,
        "µs" => 1e-6,
        _ => return None,
    };
    Some(Duration::from_secs_f64(number.parse::<f64>().ok()? * second))
}

/// An authority, and a certificate of it for the loopback address.
fn certificates(folder: &Path) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    fs::write(folder.join("ca.pem"), authority.self_signed(&key).unwrap().pem()).unwrap();
    let issuer = Issuer::new(authority, key);
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    fs::write(folder.join("server.pem"), server.pem()).unwrap();
    fs::write(folder.join("server.key"), key.serialize_pem()).unwrap();
}

/// What a story came to.
#[derive(Debug, Default)]
pub struct Figures {
    /// Kills.
    pub kills: usize,
    /// Messages whose storing was answered.
    pub stored: usize,
    /// Batches whose commit was answered.
    pub batches: usize,
    /// Acknowledgements that were answered.
    pub acknowledged: usize,
    /// Messages that were published again and known.
    pub repeated: usize,
    /// The start that took longest, until it was ready.
    pub slowest_start: Duration,
    /// The recovery of streams that took longest, by what the process says: its part of a start.
    pub slowest_recovery: Duration,
}

/// Those who work while the process runs.
struct Crowd {
    publishers: Vec<Shared<Publisher>>,
    batchers: Vec<Shared<Batcher>>,
}

impl Crowd {
    fn new() -> Self {
        let publisher = |(stream, name, brief)| Arc::new(tokio::sync::Mutex::new(Publisher::new(stream, name, brief)));
        let all =
            [("LIM", "p0", false), ("LIM", "p1", false), ("LIM", "t0", true), ("WQ", "w0", false), ("WQ", "w1", false)];
        let batcher = |name| Arc::new(tokio::sync::Mutex::new(Batcher::new(name)));
        Self { publishers: all.map(publisher).into(), batchers: ["b0", "b1"].map(batcher).into() }
    }

    /// All of them at work, until the process is gone.
    fn work(&self, site: &Arc<Site>, truth: &Arc<Mutex<Truth>>, answers: &Arc<Answers>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for publisher in &self.publishers {
            let (publisher, site, truth, answers) = (publisher.clone(), site.clone(), truth.clone(), answers.clone());
            tasks.spawn(async move { drop(publisher.lock().await.run(&site, &truth, &answers).await) });
        }
        for batcher in &self.batchers {
            let (batcher, site, truth, answers) = (batcher.clone(), site.clone(), truth.clone(), answers.clone());
            tasks.spawn(async move { drop(batcher.lock().await.run(&site, &truth, &answers).await) });
        }
        for role in [("LIM", "C", "c0"), ("WQ", "C", "c1"), ("WQ", "C", "c2")] {
            let (site, truth, answers) = (site.clone(), truth.clone(), answers.clone());
            tasks.spawn(async move { drop(consume(&site, &truth, &answers, role, false).await) });
        }
        tasks
    }
}

async fn set_up(site: &Site) {
    let limits = json!({"name": "LIM", "subjects": ["lim.>"], "allow_direct": true, "allow_msg_ttl": true,
        "allow_atomic": true, "duplicate_window": WINDOW});
    let queue = json!({"name": "WQ", "subjects": ["wq.>"], "allow_direct": true, "retention": "workqueue",
        "duplicate_window": WINDOW});
    for stream in [limits, queue] {
        let subject = format!("$JS.API.STREAM.CREATE.{}", stream["name"].as_str().unwrap());
        let made = look::ask(site, &subject, &stream).await.unwrap();
        assert!(made["error"].is_null(), "{made}");
    }
    for (stream, filter) in [("LIM", "lim.p0"), ("WQ", "")] {
        let mut config = json!({"durable_name": "C", "ack_policy": "explicit", "ack_wait": 2_000_000_000_u64,
            "max_ack_pending": 5000});
        if !filter.is_empty() {
            config["filter_subject"] = filter.into();
        }
        let subject = format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.C");
        let made = look::ask(site, &subject, &json!({"stream_name": stream, "config": config})).await.unwrap();
        assert!(made["error"].is_null(), "{made}");
    }
}

/// Kills the process so many times under load; panics if anything that was promised is not so.
pub async fn streams_under_kills(kills: usize, most: usize, random: &mut StdRng) -> Figures {
    let mut site = Arc::new(Site::new());
    let truth = Arc::new(Mutex::new(Truth::default()));
    let (crowd, mut look, mut repeated) = (Crowd::new(), Look::default(), 0);
    let mut process = Arc::get_mut(&mut site).unwrap().start().await;
    set_up(&site).await;
    for round in 0..kills {
        let answers = Arc::new(Answers::new(random.gen_range(50..most)));
        let mut tasks = crowd.work(&site, &truth, &answers);
        within_time(LONG_PATIENCE, "enough answers", answers.enough.notified()).await;
        for _ in 0..random.gen_range(0..500) {
            tokio::task::yield_now().await;
        }
        process.kill().await;
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        truth.lock().killed();
        let open = Arc::get_mut(&mut site).unwrap();
        while random.gen_bool(0.3) {
            // Somewhere on its way up.
            let mut early = open.launch();
            let bytes = random.gen_range(0..1500);
            early.says("it starts", |log| log.len() >= bytes || log.contains("is ready")).await;
            early.kill().await;
        }
        process = open.start().await;
        look.go(&site, &truth).await.unwrap();
        look::queue(&site, &truth).await.unwrap();
        let again: Vec<String> = some_settled(&truth, random);
        publishers::repeat(&site, &truth, "WQ", &again).await.unwrap();
        repeated += again.len();
        truth.lock().require_none(&format!("after kill {}", round + 1));
    }
    end(&site, &truth).await;
    let truth = truth.lock();
    Figures {
        kills: site.starts as usize - 1,
        stored: truth.stored.len(),
        batches: truth.batches.values().filter(|(_, answered)| *answered).count(),
        acknowledged: truth.settled.len() + truth.fresh.len(),
        repeated,
        slowest_start: site.slowest.0,
        slowest_recovery: site.slowest.1,
    }
}

/// Some messages of the queue that were acknowledged.
fn some_settled(truth: &Mutex<Truth>, random: &mut StdRng) -> Vec<String> {
    let truth = truth.lock();
    let mut ids: Vec<&String> = truth.settled.iter().filter(|(stream, _)| *stream == "WQ").map(|(_, id)| id).collect();
    ids.sort();
    (0..20_usize.min(ids.len())).map(|_| ids[random.gen_range(0..ids.len())].clone()).collect()
}

/// The queue is emptied, what was to end has ended, and all else is looked at from the beginning.
async fn end(site: &Arc<Site>, truth: &Mutex<Truth>) {
    let answers = Answers::new(usize::MAX);
    let messages = async |filter: Value| {
        let info = look::ask(site, "$JS.API.STREAM.INFO.WQ", &Value::Null).await.unwrap();
        let brief = look::ask(site, "$JS.API.STREAM.INFO.LIM", &filter).await.unwrap();
        (info["state"]["messages"].as_u64().unwrap(), brief["state"]["subjects"].clone())
    };
    until_time(LONG_PATIENCE, "the queue is empty, and brief messages have ended", async || {
        consume(site, truth, &answers, ("WQ", "C", "c1"), true).await.unwrap();
        let (left, brief) = messages(json!({"subjects_filter": "lim.t0"})).await;
        (left == 0 && brief.is_null()).then_some(())
    })
    .await;
    truth.lock().killed();
    look::queue(site, truth).await.unwrap();
    let mut whole = Look::default();
    whole.go(site, truth).await.unwrap();
    let info = look::ask(site, "$JS.API.STREAM.INFO.LIM", &Value::Null).await.unwrap();
    assert_eq!(info["state"]["messages"].as_u64(), Some(whole.messages), "{info}");
    assert!(info["state"]["lost"].is_null(), "{info}");
    truth.lock().require_none("at the end");
}
