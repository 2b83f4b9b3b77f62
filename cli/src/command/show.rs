//! Answers of the API, for people or for scripts.

use serde_json::Value;

use crate::api::Connect;
use crate::output::{self, Column, printable, record, say, table};

impl Connect {
    /// A list.
    pub(crate) fn show_list(&self, columns: &[Column], items: Vec<Value>) {
        if self.json {
            output::json(&Value::Array(items));
        } else if items.is_empty() {
            output::warn("none");
        } else {
            say(&table(columns, &items));
        }
    }

    /// One object.
    pub(crate) fn show(&self, value: &Value) {
        if self.json { output::json(value) } else { say(&record(value)) }
    }

    /// What a change did, in one sentence; or its effect, if nothing was done.
    pub(crate) fn done(&self, answer: &Value, dry_run: bool, sentence: &str) {
        if self.json {
            output::json(answer);
        } else if dry_run {
            say(&effect(answer));
        } else {
            say(sentence);
        }
    }
}

/// A text field of an answer, safe for a terminal.
pub(crate) fn text(value: &Value, path: &str) -> String {
    value.pointer(path).and_then(Value::as_str).map(printable).unwrap_or_default()
}

/// What a change would do.
fn effect(effect: &Value) -> String {
    let items = |name: &str| effect.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut lines = vec!["dry run: nothing was written".to_owned()];
    if effect.get("disconnects_known") == Some(&Value::Bool(false)) {
        lines.push("who would be disconnected is not known: no broker could be asked".to_owned());
    }
    for one in items("disconnects") {
        let who = [text(&one, "/user_name"), text(&one, "/user")]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default();
        let cid = one.get("cid").map(Value::to_string).unwrap_or_default();
        lines.push(format!(
            "would disconnect {who} ({}, connection {cid}): {}",
            text(&one, "/ip"),
            text(&one, "/reason")
        ));
    }
    for one in items("imports_broken") {
        let importer = [text(&one, "/importer_name"), text(&one, "/importer")]
            .into_iter()
            .find(|name| !name.is_empty())
            .unwrap_or_default();
        lines.push(format!(
            "would break the import of `{}` in {importer}: {}",
            text(&one, "/subject"),
            text(&one, "/detail")
        ));
    }
    for warning in items("warnings") {
        lines.push(format!("note: {}", printable(warning.as_str().unwrap_or_default())));
    }
    if lines.len() == 1 {
        lines.push("nobody would be disconnected, and no import would break".to_owned());
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_effect_names_who_and_what() {
        let answer = json!({
            "dry_run": true, "disconnects_known": true,
            "disconnects": [{ "server": "N", "cid": 7, "account": "A", "user": "UABC", "user_name": "app", "ip": "10.0.0.1", "reason": "revoked" }],
            "imports_broken": [{ "importer": "AB", "importer_name": "other", "subject": "orders.new", "detail": "no such export" }],
            "warnings": ["careful"],
        });
        let expected = "dry run: nothing was written\nwould disconnect app (10.0.0.1, connection 7): revoked\n\
                        would break the import of `orders.new` in other: no such export\nnote: careful";
        assert_eq!(effect(&answer), expected);
    }

    #[test]
    fn an_unknown_effect_is_not_shown_as_none() {
        let text = effect(
            &json!({ "dry_run": true, "disconnects": [], "disconnects_known": false, "imports_broken": [], "warnings": [] }),
        );
        assert!(text.contains("not known") && !text.contains("nobody"), "{text}");
        let text = effect(
            &json!({ "dry_run": true, "disconnects": [], "disconnects_known": true, "imports_broken": [], "warnings": [] }),
        );
        assert!(text.contains("nobody would be disconnected"), "{text}");
    }
}
