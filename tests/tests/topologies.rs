//! Shows that on random topologies of accounts, exports and imports every message arrives exactly where
//! a simple model says, and nowhere else.
//!
//! A failure: a delivery that the model does not have, or lacks, or has under another subject. Not a
//! failure: an import that the API refuses (the model then does not have it either), which member of a
//! queue group gets a message, the order of deliveries. The seed is printed; `CORDON_MODEL_SEED` takes it.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a story: what fails here is its failure")]

use cordon_tests::model::plain::{Account, Import, Kind, Model, Received, received};
use cordon_tests::{Peer, Serve, Tenant};
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, SeedableRng as _};
use serde_json::json;

const ACCOUNTS: usize = 4;
const IMPORTS: usize = 14;
const MESSAGES: usize = 30;
/// Imports removed, one after the other, between rounds of messages.
const REMOVALS: usize = 3;
/// The number of the queue subscription of each account.
const QUEUE: u32 = 9;

const SERVICES: [&str; 5] = ["s.a", "s.b", "s.a.x", "s.*", "s.>"];
const STREAMS: [&str; 5] = ["t.a", "t.b", "t.a.x", "t.*", "t.>"];
const LITERALS: [&str; 8] = ["s.a", "s.b", "s.a.x", "t.a", "t.b", "t.a.x", "s", "u.a"];
const PATTERNS: [&str; 9] = [">", "s.*", "t.>", "s.a", "*.a", "i0.>", "*.t.*", "i1.s.a", "*.*.a.x"];

struct World {
    random: StdRng,
    tenants: Vec<Tenant>,
    /// Two connections of each account; the first one publishes.
    peers: Vec<[Peer; 2]>,
    /// Ids of the imports in force, beside those of the model.
    ids: Vec<Vec<String>>,
    model: Model,
    serve: Serve,
}

impl World {
    async fn new(seed: u64) -> Self {
        let serve = Serve::start().await;
        let mut random = StdRng::seed_from_u64(seed);
        let (mut tenants, mut peers, mut model) = (Vec::new(), Vec::new(), Model::default());
        for index in 0..ACCOUNTS {
            let tenant = serve.tenant(&format!("account-{index}")).await;
            for (kind, subjects) in [("service", SERVICES), ("stream", STREAMS)] {
                // The widest covers the others; an overlap would be refused.
                let wide = random.gen_bool(0.5);
                let offered: Vec<_> = if wide { vec![subjects[4]] } else { subjects[..3].to_vec() };
                for subject in offered {
                    tenant.export(kind, subject).await;
                }
            }
            let user = tenant.user("any").await;
            let mut pair = [serve.peer(&user.creds).await, serve.peer(&user.creds).await];
            let mut account = Account::default();
            for sid in 1..=3 {
                let pattern = *PATTERNS.choose(&mut random).unwrap();
                account.plain.insert(sid, pattern.to_owned());
                pair[random.gen_range(0..2)].send(format!("SUB {pattern} {sid}\r\n")).await;
            }
            let pattern = *PATTERNS.choose(&mut random).unwrap();
            account.queued.insert(QUEUE, pattern.to_owned());
            for peer in &mut pair {
                // Groups of one name on both sides of a stream would share each message.
                peer.send(format!("SUB {pattern} workers-{index} {QUEUE}\r\n")).await;
                assert_eq!(peer.fence().await, "");
            }
            tenants.push(tenant);
            peers.push(pair);
            model.accounts.push(account);
        }
        Self { random, tenants, peers, ids: vec![Vec::new(); ACCOUNTS], model, serve }
    }

    /// Tries an import; the model follows when it is accepted.
    async fn import(&mut self) {
        let (importer, from) = (self.random.gen_range(0..ACCOUNTS), self.random.gen_range(0..ACCOUNTS));
        let (kind, name, subjects) =
            if self.random.r#gen() { (Kind::Service, "service", SERVICES) } else { (Kind::Stream, "stream", STREAMS) };
        let remote = *subjects.choose(&mut self.random).unwrap();
        let imports = &mut self.model.accounts[importer].imports;
        // Two streams of one exporter would offer each message to the importer's queue group twice, for one
        // of its members to get it once.
        if kind == Kind::Stream
            && (importer == from || imports.iter().any(|import| import.kind == kind && import.from == from))
        {
            return;
        }
        let prefix = format!("i{}.", imports.len());
        let wanted = json!({"kind": name, "account": self.tenants[from].key, "subject": remote, "local_subject": format!("{prefix}{remote}")});
        let api = self.serve.api();
        let answer = api.post(&self.tenants[importer].path("imports"), &wanted).await;
        if answer.status == 201 && answer.body["state"] == "working" {
            self.ids[importer].push(answer.body["id"].as_str().unwrap().to_owned());
            imports.push(Import { kind, from, remote: remote.to_owned(), prefix });
        } else {
            assert!(answer.status == 422, "{wanted}: {}", answer.text);
        }
        api.settle().await;
    }

    /// Removes the newest import of some account, so that prefixes stay unique.
    async fn remove(&mut self) {
        let importer = self.random.gen_range(0..ACCOUNTS);
        if let Some(id) = self.ids[importer].pop() {
            self.model.accounts[importer].imports.pop();
            self.tenants[importer].remove("imports", &id).await;
        }
    }

    async fn publish(&mut self, number: usize) {
        let account = self.random.gen_range(0..ACCOUNTS);
        let literal = *LITERALS.choose(&mut self.random).unwrap();
        let subject = match self.random.gen_range(0..4) {
            0 => literal.to_owned(),
            index => format!("i{}.{literal}", index - 1),
        };
        let payload = format!("message-{number}");
        self.peers[account][0].send(format!("PUB {subject} {}\r\n{payload}\r\n", payload.len())).await;
        // The publisher's fence first: then all is queued to the others.
        let mut got: Vec<Vec<Received>> = vec![Vec::new(); ACCOUNTS];
        got[account] = received(&self.peers[account][0].fence().await);
        for (index, pair) in self.peers.iter_mut().enumerate() {
            for peer in pair {
                got[index].extend(received(&peer.fence().await));
            }
            got[index].sort();
        }
        let expected = self.model.publish(account, &subject, &payload);
        assert_eq!(got, expected, "account {account} published to {subject} in {:#?}", self.model);
    }
}

#[tokio::test]
async fn messages_arrive_where_the_model_says_and_nowhere_else() {
    let seed: u64 = match std::env::var("CORDON_MODEL_SEED") {
        Ok(text) => text.parse().unwrap(),
        Err(_) => rand::thread_rng().r#gen(),
    };
    eprintln!("CORDON_MODEL_SEED={seed}");
    let mut world = World::new(seed).await;
    for _ in 0..IMPORTS {
        world.import().await;
    }
    let imports: usize = world.ids.iter().map(Vec::len).sum();
    eprintln!("{imports} imports are in force");
    for round in 0..=REMOVALS {
        for number in 0..MESSAGES {
            world.publish(round * MESSAGES + number).await;
        }
        world.remove().await;
    }
}
