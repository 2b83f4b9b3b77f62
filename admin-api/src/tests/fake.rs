//! A broker that does as it is told.

use cordon_accounts::claims::{Account, decode};
use cordon_accounts::key::AccountKey;
use parking_lot::Mutex;
use serde_json::Value;

use crate::broker::{
    Answer, Answering, Broker, BrokerError, BrokerInfo, Connection, ConnectionFilter, KnownBroker, Replay,
};

/// How brokers answer a push.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Mood {
    #[default]
    Accept,
    Refuse(String),
    Silent,
    /// Only the first of the known brokers answers.
    Half,
}

#[derive(Default)]
pub(crate) struct FakeBroker {
    pub(crate) mood: Mutex<Mood>,
    pub(crate) disconnected: Mutex<bool>,
    pub(crate) servers: Mutex<Vec<String>>,
    pub(crate) pushed: Mutex<Vec<String>>,
    pub(crate) deleted: Mutex<Vec<String>>,
    pub(crate) connections: Mutex<Vec<Connection>>,
    pub(crate) kicked: Mutex<Vec<(String, u64)>>,
    /// Numbered events by server id.
    pub(crate) events: Mutex<Vec<(String, Vec<Value>)>>,
}

impl FakeBroker {
    fn ids(&self) -> Vec<String> {
        let servers = self.servers.lock();
        if servers.is_empty() { vec!["N1".to_owned()] } else { servers.clone() }
    }

    fn answers(&self) -> Result<Vec<Answer>, BrokerError> {
        let answer = |id: String, accepted, message: &str| Answer {
            name: id.to_lowercase(),
            broker: id,
            accepted,
            message: message.to_owned(),
        };
        let ids = self.ids().into_iter();
        match &*self.mood.lock() {
            Mood::Accept => Ok(ids.map(|id| answer(id, true, "jwt updated")).collect()),
            Mood::Refuse(why) => Ok(ids.map(|id| answer(id, false, why)).collect()),
            Mood::Silent => Err(BrokerError::Silent),
            Mood::Half => Ok(ids.take(1).map(|id| answer(id, true, "jwt updated")).collect()),
        }
    }

    /// A connection of a user.
    pub(crate) fn connect(&self, account: &str, user: &str, jwt: &str, cid: u64) {
        self.connections.lock().push(Connection {
            server: "N1".to_owned(),
            server_name: "n1".to_owned(),
            cid,
            kind: "Client".to_owned(),
            ip: "198.51.100.1".to_owned(),
            start: format!("2026-01-01T00:00:{:02}Z", cid % 60),
            account: account.to_owned(),
            authorized_user: user.to_owned(),
            jwt: jwt.to_owned(),
            ..Connection::default()
        });
    }

    /// The newest claims that were pushed for an account.
    pub(crate) fn last_pushed(&self, account: &str) -> Option<cordon_accounts::claims::AccountClaims> {
        let pushed = self.pushed.lock();
        let all = pushed.iter().rev().filter_map(|jwt| decode::<Account>(jwt).ok());
        all.map(cordon_accounts::claims::Verified::into_claims).find(|claims| claims.subject.to_string() == account)
    }
}

impl Broker for FakeBroker {
    fn is_connected(&self) -> bool {
        !*self.disconnected.lock()
    }

    fn known(&self) -> Vec<KnownBroker> {
        let one = |id: String| KnownBroker {
            info: BrokerInfo { name: id.to_lowercase(), id, ..BrokerInfo::default() },
            seen_at: super::NOW,
        };
        self.ids().into_iter().map(one).collect()
    }

    fn push<'a>(&'a self, jwt: &'a str) -> Answering<'a, Vec<Answer>> {
        Box::pin(async move {
            self.pushed.lock().push(jwt.to_owned());
            self.answers()
        })
    }

    fn delete<'a>(&'a self, request: &'a str) -> Answering<'a, Vec<Answer>> {
        Box::pin(async move {
            self.deleted.lock().push(request.to_owned());
            self.answers()
        })
    }

    fn lookup<'a>(&'a self, account: &'a AccountKey) -> Answering<'a, Option<String>> {
        Box::pin(async move {
            let account = account.to_string();
            let pushed = self.pushed.lock();
            Ok(pushed
                .iter()
                .rev()
                .find(|jwt| decode::<Account>(jwt).is_ok_and(|claims| claims.subject.to_string() == account))
                .cloned())
        })
    }

    fn list(&self) -> Answering<'_, Vec<(BrokerInfo, Vec<String>)>> {
        Box::pin(async move {
            let held: Vec<String> = self
                .pushed
                .lock()
                .iter()
                .filter_map(|jwt| decode::<Account>(jwt).ok())
                .map(|claims| claims.subject.to_string())
                .collect();
            Ok(self.ids().into_iter().map(|id| (BrokerInfo { id, ..BrokerInfo::default() }, held.clone())).collect())
        })
    }

    fn connections<'a>(&'a self, filter: &'a ConnectionFilter) -> Answering<'a, Vec<Connection>> {
        Box::pin(async move {
            let account = filter.account.map(|account| account.to_string());
            let all = self.connections.lock();
            let wanted = |connection: &&Connection| {
                account.as_ref().is_none_or(|account| connection.account == *account)
                    && filter
                        .one
                        .as_ref()
                        .is_none_or(|(server, cid)| connection.server == *server && connection.cid == *cid)
            };
            Ok(all.iter().filter(wanted).cloned().collect())
        })
    }

    fn kick<'a>(&'a self, server: &'a str, cid: u64) -> Answering<'a, ()> {
        Box::pin(async move {
            self.kicked.lock().push((server.to_owned(), cid));
            Ok(())
        })
    }

    fn replay<'a>(&'a self, server: &'a str, after: u64, limit: u32) -> Answering<'a, Option<Replay>> {
        Box::pin(async move {
            let all = self.events.lock();
            let Some((_, events)) = all.iter().find(|(id, _)| id == server) else { return Ok(None) };
            let seq = |event: &Value| event["seq"].as_u64().unwrap();
            Ok(Some(Replay {
                first: events.first().map_or(0, seq),
                last: events.last().map_or(0, seq),
                events: events.iter().filter(|event| seq(event) > after).take(limit as usize).cloned().collect(),
            }))
        })
    }
}
