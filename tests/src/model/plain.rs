//! What should arrive where: accounts, imports and subscriptions as a few lines of obvious code, to
//! hold the broker against.
//!
//! The model knows literal and wildcard subscriptions, queue groups, stream imports and service
//! imports, each import under a local prefix of its own. It does not know chains: exports of an
//! account never cover what it imports.

use std::collections::BTreeMap;

use crate::model::subject::matches;

/// A message as a connection got it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Received {
    /// Its subject, as the receiver sees it.
    pub subject: String,
    /// The receiver's subscription.
    pub sid: u32,
    /// What it says.
    pub payload: String,
}

/// Which way an import lets messages pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the importer to the exporter.
    Service,
    /// From the exporter to the importer.
    Stream,
}

/// One account's import of something.
#[derive(Clone, Debug)]
pub struct Import {
    /// Which way.
    pub kind: Kind,
    /// Index of the exporter.
    pub from: usize,
    /// The exporter's subjects.
    pub remote: String,
    /// What stands before them in the importer, with its dot.
    pub prefix: String,
}

/// One account.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// What it imports.
    pub imports: Vec<Import>,
    /// Plain subscriptions, by number.
    pub plain: BTreeMap<u32, String>,
    /// Queue subscriptions, each held by several connections, by number.
    pub queued: BTreeMap<u32, String>,
}

/// All accounts.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// By index.
    pub accounts: Vec<Account>,
}

impl Model {
    /// What each account should get, sorted, when `account` publishes to `subject`. A queue group's
    /// share stands here once, whichever of its members gets it.
    pub fn publish(&self, account: usize, subject: &str, payload: &str) -> Vec<Vec<Received>> {
        let mut got = vec![Vec::new(); self.accounts.len()];
        self.arrive(account, subject, payload, &mut got);
        for import in &self.accounts[account].imports {
            if let (Kind::Service, Some(remote)) = (import.kind, subject.strip_prefix(&import.prefix))
                && matches(&import.remote, remote)
            {
                self.arrive(import.from, remote, payload, &mut got);
            }
        }
        for received in &mut got {
            received.sort();
        }
        got
    }

    /// A message is in an account: its subscribers get it, and those who import it as a stream.
    fn arrive(&self, account: usize, subject: &str, payload: &str, got: &mut [Vec<Received>]) {
        self.deliver(account, subject, payload, got);
        for (importer, other) in self.accounts.iter().enumerate() {
            for import in &other.imports {
                if import.kind == Kind::Stream && import.from == account && matches(&import.remote, subject) {
                    self.deliver(importer, &format!("{}{subject}", import.prefix), payload, got);
                }
            }
        }
    }

    fn deliver(&self, account: usize, subject: &str, payload: &str, got: &mut [Vec<Received>]) {
        let Account { plain, queued, .. } = &self.accounts[account];
        for (sid, pattern) in plain.iter().chain(queued) {
            if matches(pattern, subject) {
                got[account].push(Received { subject: subject.to_owned(), sid: *sid, payload: payload.to_owned() });
            }
        }
    }
}

/// The messages in what a connection has read.
pub fn received(mut text: &str) -> Vec<Received> {
    let mut all = Vec::new();
    while !text.is_empty() {
        let (line, rest) = text.split_once("\r\n").expect("whole lines");
        let words: Vec<_> = line.split(' ').collect();
        let (headers, size) = match words[0] {
            "MSG" => (0, words[words.len() - 1].parse::<usize>().unwrap()),
            "HMSG" => {
                (words[words.len() - 2].parse::<usize>().unwrap(), words[words.len() - 1].parse::<usize>().unwrap())
            }
            _ => panic!("this is no message: {line}"),
        };
        let (message, after) = rest.split_at(size);
        let (_headers, payload) = message.split_at(headers);
        all.push(Received {
            subject: words[1].to_owned(),
            sid: words[2].parse().unwrap(),
            payload: payload.to_owned(),
        });
        text = after.strip_prefix("\r\n").expect("a message ends its line");
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_with_and_without_headers() {
        let text = "MSG a 1 2\r\nhi\r\nHMSG b 2 r 12 13\r\nNATS/1.0\r\n\r\nx\r\n";
        let subjects: Vec<_> =
            received(text).into_iter().map(|message| (message.subject, message.sid, message.payload)).collect();
        assert_eq!(subjects, [("a".into(), 1, "hi".into()), ("b".into(), 2, "x".into())]);
    }

    #[test]
    fn a_stream_and_a_service_cross_in_opposite_directions() {
        let import = |kind, prefix: &str| Import { kind, from: 0, remote: "a".into(), prefix: prefix.into() };
        let importer =
            Account { imports: vec![import(Kind::Stream, "t."), import(Kind::Service, "s.")], ..Account::default() };
        let mut model = Model { accounts: vec![Account::default(), importer] };
        for account in &mut model.accounts {
            account.plain.insert(1, ">".into());
        }
        let at = |subject: &str| vec![Received { subject: subject.into(), sid: 1, payload: "x".into() }];
        assert_eq!(model.publish(0, "a", "x"), [at("a"), at("t.a")]);
        assert_eq!(model.publish(1, "s.b", "x"), [vec![], at("s.b")]);
        assert_eq!(model.publish(1, "t.a", "x"), [vec![], at("t.a")]);
    }
}
