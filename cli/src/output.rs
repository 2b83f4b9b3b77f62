//! What people and scripts read: tables, records, JSON.
//!
//! Text from the API is foreign: control characters in it are shown, not sent to the terminal.

use std::io::Write as _;

use serde_json::Value;

/// Prints a line on stdout. A reader that has gone away ends nothing but the output.
pub(crate) fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    let _broken_pipe = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush());
}

/// Prints a line on stderr.
pub(crate) fn warn(line: &str) {
    let mut out = std::io::stderr().lock();
    let _broken_pipe = out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n"));
}

/// Prints a value for a script.
pub(crate) fn json(value: &Value) {
    say(&serde_json::to_string_pretty(value).unwrap_or_default());
}

/// A column of a table: its head, and where the cell's value is.
///
/// The path is `/`-separated as in a JSON pointer, without the first slash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) head: &'static str,
    pub(crate) path: &'static str,
}

/// A column named as its field.
pub(crate) const fn column(head: &'static str, path: &'static str) -> Column {
    Column { head, path }
}

/// Lines of a table: heads in capitals, columns as wide as their widest cell.
pub(crate) fn table(columns: &[Column], rows: &[Value]) -> String {
    let mut cells = vec![columns.iter().map(|column| column.head.to_uppercase()).collect::<Vec<_>>()];
    for row in rows {
        cells.push(columns.iter().map(|column| cell(row.pointer(&format!("/{}", column.path)))).collect());
    }
    align(&cells)
}

/// Lines `name  value`, one for each field that says something.
pub(crate) fn record(value: &Value) -> String {
    let mut rows = Vec::new();
    flatten(&mut rows, "", value);
    align(&rows)
}

fn flatten(rows: &mut Vec<Vec<String>>, prefix: &str, value: &Value) {
    let Value::Object(fields) = value else {
        rows.push(vec![prefix.to_owned(), cell(Some(value))]);
        return;
    };
    for (name, value) in fields {
        let name = if prefix.is_empty() { printable(name) } else { format!("{prefix}.{}", printable(name)) };
        match value {
            Value::Object(_) => flatten(rows, &name, value),
            Value::Array(items) if items.iter().any(Value::is_object) => {
                for (index, item) in items.iter().enumerate() {
                    flatten(rows, &format!("{name}[{index}]"), item);
                }
            }
            value => {
                let text = cell(Some(value));
                if text != "-" {
                    rows.push(vec![name, text]);
                }
            }
        }
    }
}

/// One value as a cell: `-` for nothing, lists by commas.
fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) if text.is_empty() => "-".to_owned(),
        Some(Value::String(text)) => printable(text),
        Some(Value::Array(items)) if items.is_empty() => "-".to_owned(),
        Some(Value::Array(items)) => items.iter().map(|item| cell(Some(item))).collect::<Vec<_>>().join(","),
        Some(Value::Bool(true)) => "yes".to_owned(),
        Some(Value::Bool(false)) => "no".to_owned(),
        Some(Value::Number(number)) => number.to_string(),
        Some(object) => printable(&object.to_string()),
    }
}

/// Foreign text, safe for a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            safe.extend(character.escape_default());
        } else {
            safe.push(character);
        }
    }
    safe
}

fn align(rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (index, text) in row.iter().enumerate() {
            let width = text.chars().count();
            match widths.get_mut(index) {
                Some(widest) => *widest = (*widest).max(width),
                None => widths.push(width),
            }
        }
    }
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let padded: Vec<String> = row.iter().zip(&widths).map(|(text, width)| format!("{text:<width$}")).collect();
            padded.join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const COLUMNS: [Column; 3] =
        [column("name", "name"), column("limit", "limits/connections"), column("tags", "tags")];

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [
            json!({ "name": "acme", "limits": { "connections": 10 }, "tags": ["a", "b"] }),
            json!({ "name": "a-longer-name", "limits": { "connections": null }, "tags": [] }),
        ];
        let expected = "NAME           LIMIT  TAGS\nacme           10     a,b\na-longer-name  -      -";
        assert_eq!(table(&COLUMNS, &rows), expected);
    }

    #[test]
    fn an_empty_list_still_has_heads() {
        assert_eq!(table(&COLUMNS, &[]), "NAME  LIMIT  TAGS");
    }

    #[test]
    fn records_leave_out_what_says_nothing() {
        let value = json!({
            "name": "acme", "description": "", "limits": { "connections": 3, "exports": null },
            "exports": [{ "subject": "a.>", "advertise": false }], "tags": [],
        });
        let expected =
            "name                  acme\nlimits.connections    3\nexports[0].subject    a.>\nexports[0].advertise  no";
        assert_eq!(record(&value), expected);
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        let rows = [json!({ "name": "a\u{1b}[2Jb\nc\u{202e}d" })];
        let shown = table(&[column("name", "name")], &rows);
        assert_eq!(shown, "NAME\na\\u{1b}[2Jb\\nc\\u{202e}d");
    }
}
