//! `write_timeout`: what becomes of a receiver that is too slow.

use super::value::{Node, Problem};
use crate::options::WriteTimeout;

impl WriteTimeout {
    /// `close`, `retry`, or `default`, which is none.
    ///
    /// # Errors
    ///
    /// A [`Problem`] at the value's place, if it is none of these.
    pub(super) fn read(value: &Node) -> Result<Option<Self>, Problem> {
        let text = value.text()?;
        match text.to_ascii_lowercase().as_str() {
            "default" => Ok(None),
            "close" => Ok(Some(Self::Close)),
            "retry" => Ok(Some(Self::Retry)),
            _ => Err(value.problem(format!("`{text}` is no `write_timeout`: write one of default, close, retry"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::load_text;
    use super::*;

    #[test]
    fn what_becomes_of_slow_receivers_is_said_for_clients_and_leaf_nodes() {
        for (text, clients, leafs) in [
            ("", WriteTimeout::Close, None),
            ("write_timeout: default", WriteTimeout::Close, None),
            ("write_timeout: Retry", WriteTimeout::Retry, None),
            (
                "write_timeout: close\nleafnodes { write_timeout: retry }",
                WriteTimeout::Close,
                Some(WriteTimeout::Retry),
            ),
            ("write_timeout: retry\nleaf { write_timeout: default }", WriteTimeout::Retry, None),
        ] {
            let broker = load_text(text, "t.conf").unwrap().broker;
            assert_eq!((broker.write_timeout, broker.leaf.write_timeout), (clients, leafs), "{text}");
        }
        for text in ["write_timeout: later", "write_timeout: 5", "leafnodes { write_timeout: true }"] {
            assert!(load_text(text, "t.conf").is_err(), "{text}");
        }
        let websocket = load_text("websocket { port: 1, no_tls: true, write_timeout: retry }", "t.conf");
        assert!(websocket.unwrap_err().to_string().contains("unknown option `write_timeout`"));
    }
}
