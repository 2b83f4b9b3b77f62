//! Which request it is: from its subject (jetstream.md 1.1).

/// A request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Endpoint<'a> {
    Info,
    StreamCreate(&'a str),
    StreamUpdate(&'a str),
    StreamNames,
    StreamList,
    StreamInfo(&'a str),
    StreamDelete(&'a str),
    StreamPurge(&'a str),
    StreamSnapshot(&'a str),
    StreamRestore(&'a str),
    MessageGet(&'a str),
    MessageDelete(&'a str),
    ConsumerCreate {
        stream: &'a str,
        name: Option<&'a str>,
        filter: Option<&'a str>,
    },
    ConsumerDurableCreate {
        stream: &'a str,
        name: &'a str,
    },
    ConsumerNames(&'a str),
    ConsumerList(&'a str),
    ConsumerInfo {
        stream: &'a str,
        name: &'a str,
    },
    ConsumerDelete {
        stream: &'a str,
        name: &'a str,
    },
    ConsumerPause {
        stream: &'a str,
        name: &'a str,
    },
    ConsumerUnpin {
        stream: &'a str,
        name: &'a str,
    },
    ConsumerReset {
        stream: &'a str,
        name: &'a str,
    },
    /// It begins like a request and goes on like none; the last part of its answer's type.
    Malformed(&'static str),
    /// Only a cluster answers.
    Clustered,
}

impl<'a> Endpoint<'a> {
    /// Reads a subject; `None` if it is no request at all.
    pub(super) fn parse(subject: &'a str) -> Option<Self> {
        let rest = subject.strip_prefix("$JS.API.")?;
        let tokens: Vec<&str> = rest.split('.').collect();
        Some(match tokens.as_slice() {
            ["INFO"] => Self::Info,
            ["STREAM", "NAMES"] => Self::StreamNames,
            ["STREAM", "LIST"] => Self::StreamList,
            ["STREAM", "CREATE", name] => Self::StreamCreate(name),
            ["STREAM", "UPDATE", name] => Self::StreamUpdate(name),
            ["STREAM", "INFO", name] => Self::StreamInfo(name),
            ["STREAM", "DELETE", name] => Self::StreamDelete(name),
            ["STREAM", "PURGE", name] => Self::StreamPurge(name),
            ["STREAM", "SNAPSHOT", name] => Self::StreamSnapshot(name),
            ["STREAM", "RESTORE", name] => Self::StreamRestore(name),
            ["STREAM", "MSG", "GET", name] => Self::MessageGet(name),
            ["STREAM", "MSG", "DELETE", name] => Self::MessageDelete(name),
            ["CONSUMER", "CREATE", stream] => Self::ConsumerCreate { stream, name: None, filter: None },
            ["CONSUMER", "CREATE", stream, name] => Self::ConsumerCreate { stream, name: Some(name), filter: None },
            ["CONSUMER", "CREATE", stream, name, ..] => {
                let filter = rest.splitn(5, '.').nth(4);
                Self::ConsumerCreate { stream, name: Some(name), filter }
            }
            ["CONSUMER", "DURABLE", "CREATE", stream, name] => Self::ConsumerDurableCreate { stream, name },
            ["CONSUMER", "NAMES", stream] => Self::ConsumerNames(stream),
            ["CONSUMER", "LIST", stream] => Self::ConsumerList(stream),
            ["CONSUMER", "INFO", stream, name] => Self::ConsumerInfo { stream, name },
            ["CONSUMER", "DELETE", stream, name] => Self::ConsumerDelete { stream, name },
            ["CONSUMER", "PAUSE", stream, name] => Self::ConsumerPause { stream, name },
            ["CONSUMER", "UNPIN", stream, name] => Self::ConsumerUnpin { stream, name },
            ["CONSUMER", "RESET", stream, name] => Self::ConsumerReset { stream, name },
            ["STREAM", "LEADER", "STEPDOWN", _]
            | ["STREAM", "PEER", "REMOVE" | "EVACUATE", _]
            | ["STREAM", "CANCEL_MOVE", _]
            | ["CONSUMER", "LEADER", "STEPDOWN", ..]
            | ["META" | "SERVER", ..]
            | ["ACCOUNT", "STREAM" | "PURGE", ..] => Self::Clustered,
            ["CONSUMER", "DURABLE", ..] => Self::Malformed("consumer_create_response"),
            _ => return None,
        })
    }

    /// The last part of the type of its answers.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Info => "account_info_response",
            Self::StreamCreate(_) => "stream_create_response",
            Self::StreamUpdate(_) => "stream_update_response",
            Self::StreamNames => "stream_names_response",
            Self::StreamList => "stream_list_response",
            Self::StreamInfo(_) => "stream_info_response",
            Self::StreamDelete(_) => "stream_delete_response",
            Self::StreamPurge(_) => "stream_purge_response",
            Self::StreamSnapshot(_) => "stream_snapshot_response",
            Self::StreamRestore(_) => "stream_restore_response",
            Self::MessageGet(_) => "stream_msg_get_response",
            Self::MessageDelete(_) => "stream_msg_delete_response",
            Self::ConsumerCreate { .. } | Self::ConsumerDurableCreate { .. } => "consumer_create_response",
            Self::ConsumerNames(_) => "consumer_names_response",
            Self::ConsumerList(_) => "consumer_list_response",
            Self::ConsumerInfo { .. } => "consumer_info_response",
            Self::ConsumerDelete { .. } => "consumer_delete_response",
            Self::ConsumerPause { .. } => "consumer_pause_response",
            Self::ConsumerUnpin { .. } => "consumer_unpin_response",
            Self::ConsumerReset { .. } => "consumer_reset_response",
            Self::Malformed(kind) => kind,
            Self::Clustered => "error_response",
        }
    }

    /// Its answers come in pages.
    pub(super) fn page_limit(&self) -> Option<usize> {
        match self {
            Self::StreamNames | Self::ConsumerNames(_) => Some(super::paging::NAMES),
            Self::StreamList | Self::ConsumerList(_) => Some(super::paging::ITEMS),
            _ => None,
        }
    }

    /// It is counted, and told of.
    pub(super) fn is_counted(&self) -> bool {
        !matches!(self, Self::MessageGet(_) | Self::ConsumerReset { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_name_requests() {
        for (subject, endpoint) in [
            ("$JS.API.INFO", Some(Endpoint::Info)),
            ("$JS.API.STREAM.INFO.S", Some(Endpoint::StreamInfo("S"))),
            ("$JS.API.STREAM.MSG.GET.S", Some(Endpoint::MessageGet("S"))),
            (
                "$JS.API.CONSUMER.CREATE.S.c.a.*.>",
                Some(Endpoint::ConsumerCreate { stream: "S", name: Some("c"), filter: Some("a.*.>") }),
            ),
            ("$JS.API.CONSUMER.DURABLE.CREATE.S", Some(Endpoint::Malformed("consumer_create_response"))),
            ("$JS.API.STREAM.INFO", None),
            ("$JS.API.STREAM.INFO.a.b", None),
            ("$JS.API.NOTHING", None),
            ("$JS.HUB.API.INFO", None),
        ] {
            assert_eq!(Endpoint::parse(subject), endpoint, "{subject}");
        }
    }
}
