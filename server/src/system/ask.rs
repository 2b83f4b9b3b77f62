//! What a request's subject asks for.

/// Where subscriptions are counted.
pub const SUBSCRIBERS: &str = "$SYS.DEBUG.SUBSCRIBERS";

/// A request, as far as its subject tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ask {
    /// About one account.
    Account(String, AccountAsk),
    /// About account JWTs.
    Claims(ClaimsAsk),
    /// Of all servers, or of this one.
    Server(ServerAsk),
    /// How many subscriptions the asker's account has for a subject.
    Subscribers,
    /// The asker's own user.
    UserInfo(Option<String>),
}

/// What is asked about an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountAsk {
    /// Its connections.
    Connz,
    /// The event about its connection count, now.
    Conns,
    /// Its details.
    Info,
    /// Its JetStream.
    Jsz,
    /// Its leaf nodes.
    Leafz,
    /// Its figures.
    Statz,
    /// Its subscriptions.
    Subsz,
}

/// What is asked about account JWTs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimsAsk {
    /// Take these accounts away.
    Delete,
    /// Which accounts are stored?
    List,
    /// The stored JWT of this account.
    LookUp(String),
    /// Everything that is stored.
    Pack,
    /// Store and use this JWT; of this account, if the subject says.
    Update(Option<String>),
}

/// What is asked of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerAsk {
    /// Accounts.
    Accountz,
    /// Connections.
    Connz,
    /// Kept security events.
    Events,
    /// Gateways.
    Gatewayz,
    /// Health.
    Healthz,
    /// Name and id.
    Idz,
    /// JetStream.
    Jsz,
    /// End a connection.
    Kick,
    /// Tell a connection to go elsewhere.
    LameDuck,
    /// Leaf nodes.
    Leafz,
    /// Read the configuration again.
    Reload,
    /// Routes.
    Routez,
    /// Figures; also the bare PING.
    Statsz,
    /// Subscriptions.
    Subsz,
    /// Everything at a glance.
    Varz,
}

impl Ask {
    /// What `subject` asks of the server `id`; `None` if nothing that it answers.
    pub fn parse(subject: &[u8], id: &str) -> Option<Self> {
        let subject = std::str::from_utf8(subject).ok()?;
        if let Some(rest) = subject.strip_prefix("$SYS.REQ.SERVER.PING") {
            let kind = if rest.is_empty() { ServerAsk::Statsz } else { ServerAsk::of_all(rest.strip_prefix('.')?)? };
            return Some(Self::Server(kind));
        }
        if let Some(rest) = subject.strip_prefix("$SYS.REQ.SERVER.") {
            return ServerAsk::of_one(rest.strip_prefix(id)?.strip_prefix('.')?).map(Self::Server);
        }
        if subject == SUBSCRIBERS {
            return Some(Self::Subscribers);
        }
        if let Some(rest) = subject.strip_prefix("$SYS.REQ.ACCOUNT.") {
            return Self::about_account(rest);
        }
        if let Some(rest) = subject.strip_prefix("$SYS.ACCOUNT.") {
            let account = rest.strip_suffix(".CLAIMS.UPDATE")?;
            return Some(Self::Claims(ClaimsAsk::Update(Some(account.to_owned()))));
        }
        if let Some(rest) = subject.strip_prefix("$SYS.REQ.USER.") {
            let account = if rest == "INFO" { None } else { Some(rest.strip_suffix(".INFO")?.to_owned()) };
            return Some(Self::UserInfo(account));
        }
        let claims = match subject.strip_prefix("$SYS.REQ.CLAIMS.")? {
            "DELETE" => ClaimsAsk::Delete,
            "LIST" => ClaimsAsk::List,
            "PACK" => ClaimsAsk::Pack,
            "UPDATE" => ClaimsAsk::Update(None),
            _ => return None,
        };
        Some(Self::Claims(claims))
    }

    /// The account that the subject names.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Account(account, _) | Self::UserInfo(Some(account)) => Some(account),
            Self::Claims(_) | Self::Server(_) | Self::Subscribers | Self::UserInfo(None) => None,
        }
    }

    fn about_account(rest: &str) -> Option<Self> {
        let (account, kind) = rest.split_once('.')?;
        let account = account.to_owned();
        let kind = match kind {
            "CLAIMS.LOOKUP" => return Some(Self::Claims(ClaimsAsk::LookUp(account))),
            "CLAIMS.UPDATE" => return Some(Self::Claims(ClaimsAsk::Update(Some(account)))),
            "CONNS" => AccountAsk::Conns,
            "CONNZ" => AccountAsk::Connz,
            "INFO" => AccountAsk::Info,
            "JSZ" => AccountAsk::Jsz,
            "LEAFZ" => AccountAsk::Leafz,
            "STATZ" => AccountAsk::Statz,
            "SUBSZ" => AccountAsk::Subsz,
            _ => return None,
        };
        Some(Self::Account(account, kind))
    }
}

impl ServerAsk {
    fn of_all(kind: &str) -> Option<Self> {
        Some(match kind {
            "ACCOUNTZ" => Self::Accountz,
            "CONNZ" => Self::Connz,
            "GATEWAYZ" => Self::Gatewayz,
            "HEALTHZ" => Self::Healthz,
            "IDZ" => Self::Idz,
            "JSZ" => Self::Jsz,
            "LEAFZ" => Self::Leafz,
            "ROUTEZ" => Self::Routez,
            "STATSZ" => Self::Statsz,
            "SUBSZ" => Self::Subsz,
            "VARZ" => Self::Varz,
            _ => return None,
        })
    }

    /// What has an effect, and what is kept by one server, must name it.
    fn of_one(kind: &str) -> Option<Self> {
        match kind {
            "CORDON.EVENTS" => Some(Self::Events),
            "KICK" => Some(Self::Kick),
            "LDM" => Some(Self::LameDuck),
            "RELOAD" => Some(Self::Reload),
            other => Self::of_all(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "NSERVER";

    #[test]
    fn subjects_ask_for_what_nats_server_answers() {
        let account = |kind| Ask::Account("A1".to_owned(), kind);
        for (subject, ask) in [
            ("$SYS.REQ.SERVER.PING", Ask::Server(ServerAsk::Statsz)),
            ("$SYS.REQ.SERVER.PING.STATSZ", Ask::Server(ServerAsk::Statsz)),
            ("$SYS.REQ.SERVER.PING.VARZ", Ask::Server(ServerAsk::Varz)),
            ("$SYS.REQ.SERVER.NSERVER.VARZ", Ask::Server(ServerAsk::Varz)),
            ("$SYS.REQ.SERVER.NSERVER.KICK", Ask::Server(ServerAsk::Kick)),
            ("$SYS.REQ.SERVER.NSERVER.RELOAD", Ask::Server(ServerAsk::Reload)),
            ("$SYS.REQ.SERVER.NSERVER.CORDON.EVENTS", Ask::Server(ServerAsk::Events)),
            ("$SYS.REQ.ACCOUNT.A1.CONNZ", account(AccountAsk::Connz)),
            ("$SYS.REQ.ACCOUNT.A1.INFO", account(AccountAsk::Info)),
            ("$SYS.REQ.ACCOUNT.A1.CLAIMS.UPDATE", Ask::Claims(ClaimsAsk::Update(Some("A1".to_owned())))),
            ("$SYS.ACCOUNT.A1.CLAIMS.UPDATE", Ask::Claims(ClaimsAsk::Update(Some("A1".to_owned())))),
            ("$SYS.REQ.ACCOUNT.A1.CLAIMS.LOOKUP", Ask::Claims(ClaimsAsk::LookUp("A1".to_owned()))),
            ("$SYS.REQ.CLAIMS.UPDATE", Ask::Claims(ClaimsAsk::Update(None))),
            ("$SYS.REQ.CLAIMS.PACK", Ask::Claims(ClaimsAsk::Pack)),
            ("$SYS.REQ.USER.A1.INFO", Ask::UserInfo(Some("A1".to_owned()))),
            ("$SYS.REQ.USER.INFO", Ask::UserInfo(None)),
            ("$SYS.DEBUG.SUBSCRIBERS", Ask::Subscribers),
        ] {
            assert_eq!(Ask::parse(subject.as_bytes(), ID), Some(ask), "{subject}");
        }
    }

    #[test]
    fn other_subjects_are_nobodys() {
        for subject in [
            "$SYS.REQ.SERVER.OTHER.VARZ",
            "$SYS.REQ.SERVER.PING.KICK",
            "$SYS.REQ.SERVER.PING.RELOAD",
            "$SYS.REQ.SERVER.PING.CORDON.EVENTS",
            "$SYS.REQ.SERVER.PINGVARZ",
            "$SYS.REQ.SERVER.NSERVER",
            "$SYS.REQ.SERVER.NSERVER.NONSENSE",
            "$SYS.REQ.ACCOUNT.A1",
            "$SYS.REQ.ACCOUNT.A1.CLAIMS.DELETE",
            "$SYS.REQ.CLAIMS.LOOKUP",
            "$SYS.ACCOUNT.A1.CONNECT",
            "$SYS.REQ.USER.A1",
            "$SYS.DEBUG.SUBSCRIBERS.A1",
            "",
        ] {
            assert_eq!(Ask::parse(subject.as_bytes(), ID), None, "{subject}");
        }
        assert_eq!(Ask::parse(b"$SYS.REQ.SERVER.PING.\xff", ID), None);
    }
}
