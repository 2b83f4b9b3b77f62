//! The digest of a configuration: of its values, not of its text.
//!
//! SHA-256 over the JSON that nats-server's encoder makes of the parsed file, and a line end: keys
//! sorted, no blanks, variables and includes resolved. Comments and layout do not count.

use std::fmt::Write as _;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use super::value::{Entry, Node, Value};

/// The digest of a file, as `sha256:` and hexadecimal digits.
pub fn digest(node: &Node) -> String {
    let mut json = String::new();
    write_value(&node.value, &mut json);
    json.push('\n');
    format!("sha256:{}", HEXLOWER.encode(&Sha256::digest(json.as_bytes())))
}

fn write_value(value: &Value, json: &mut String) {
    match value {
        Value::Bool(on) => json.push_str(if *on { "true" } else { "false" }),
        Value::Date(text) | Value::Text(text) => write_text(text, json),
        Value::Float(number) => write_float(*number, json),
        // Writing to a string cannot fail, here and below.
        Value::Int(number, _) => write!(json, "{number}").unwrap_or_default(),
        Value::List(items) => {
            json.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    json.push(',');
                }
                write_value(&item.value, json);
            }
            json.push(']');
        }
        Value::Map(entries) => write_map(entries, json),
    }
}

fn write_map(entries: &[Entry], json: &mut String) {
    let mut sorted: Vec<&Entry> = entries.iter().collect();
    sorted.sort_by(|one, other| one.key.cmp(&other.key));
    json.push('{');
    for (place, entry) in sorted.into_iter().enumerate() {
        if place > 0 {
            json.push(',');
        }
        write_text(&entry.key, json);
        json.push(':');
        write_value(&entry.node.value, json);
    }
    json.push('}');
}

fn write_text(text: &str, json: &mut String) {
    json.push('"');
    for c in text.chars() {
        match c {
            '"' => json.push_str("\\\""),
            '\\' => json.push_str("\\\\"),
            '\n' => json.push_str("\\n"),
            '\r' => json.push_str("\\r"),
            '\t' => json.push_str("\\t"),
            '\u{8}' => json.push_str("\\b"),
            '\u{c}' => json.push_str("\\f"),
            // Go's encoder makes its output safe for HTML and JavaScript.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                write!(json, "\\u{:04x}", u32::from(c)).unwrap_or_default();
            }
            _ => json.push(c),
        }
    }
    json.push('"');
}

/// As Go writes floats in JSON: plainly from 1e-6 to 1e21, otherwise with an exponent of at least one digit.
fn write_float(number: f64, json: &mut String) {
    let size = number.abs();
    if size == 0.0 || (1e-6..1e21).contains(&size) {
        write!(json, "{number}").unwrap_or_default();
    } else {
        let text = format!("{number:e}");
        let text = if size >= 1e21 { text.replacen('e', "e+", 1) } else { text };
        json.push_str(&text);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parser::parse;

    /// The second column is what nats-server 2.15.0 says of the same text.
    #[test]
    fn digests_are_those_of_nats_server() {
        for (text, expected) in [
            ("foo = bar", "226e49e13d16e5e8aa0d62e58cd63361bf097d3e2b2444aa3044334628a2e8de"),
            ("# c\n\n  'foo'   bar // d\n", "226e49e13d16e5e8aa0d62e58cd63361bf097d3e2b2444aa3044334628a2e8de"),
            ("server_name: x", "1f9cba7347f3988e04c5ac81b44ce5178851ccd14628cae21ce49efb05f78cb9"),
            ("max_subs: -5", "2c9a9e08a3fab988829ed52cbd552fc77ec6ffbb0420eae86f3fed2aa8c26bcd"),
            ("max_subs: 9223372036854775807", "4aa4d6240f84aa5757869d041776e9cd6560848e44d227c13febc74b04a3998b"),
            ("max_subs: -9223372036854775808", "f14122d3ac7c4342d34efe6f33ef94b2628c90d9a71b8f4b78ce143db15add1e"),
            ("server_name: >", "94122df421c50b4d4c1a1870e0dfa520fadbe9a110901d09988eb49599260062"),
            ("server_name: \u{1}", "8666490e88792da701355c0126d53f632f17e154b6adaa698bb47d639d13f923"),
            ("server_name: \"a\tb\"", "192ac1496705d0bc24e1eeb25571b79e1d41c3d3f78e8d02572fc75787a68f90"),
            ("server_name: \u{e9}", "f408476322182d1f9245928541a4016bddccbd79c9f4a1ac118f356b71e6c78f"),
            ("server_name: \"\\xc3\\xa9\"", "f408476322182d1f9245928541a4016bddccbd79c9f4a1ac118f356b71e6c78f"),
            ("server_tags: [a\nb]", "e09a48bacda8a05513e0da3231f1cef15d6c5fc6831f9a9b17c803c10209238c"),
            ("server_name x, port 4", "078837504f8ac8882a33bfe844860e85769bfda603d0f1ad65de2efaf5cb6ed6"),
            ("{server_name: x}\nport: 4", "078837504f8ac8882a33bfe844860e85769bfda603d0f1ad65de2efaf5cb6ed6"),
            ("x {a: b}\nserver_metadata: $x", "45f6beed9eaf8d26c47a795b261a61bdc2273fb17294a8daa887565bea6ebf85"),
            ("jetstream {max_mem: 1GB}", "4c5f3b0949892e325d0036ed2439893f8bf2254cfb5b759edae3e831305ac12b"),
            ("server_name: (a\n)\n", "6378f1a213f821662b32ad9b0b664a09b2f9621c29f4a8fa34de39f0aef919b0"),
        ] {
            let node = parse(text, "t.conf", Path::new(".")).unwrap();
            assert_eq!(digest(&node), format!("sha256:{expected}"), "{text}");
        }
    }

    #[test]
    fn floats_are_written_as_go_writes_them() {
        for (number, expected) in [
            (1.5, "1.5"),
            (1.0, "1"),
            (-0.25, "-0.25"),
            (0.0, "0"),
            (0.000_001, "0.000001"),
            (0.000_000_1, "1e-7"),
            (1e20, "100000000000000000000"),
            (1.5e21, "1.5e+21"),
        ] {
            let mut json = String::new();
            write_float(number, &mut json);
            assert_eq!(json, expected);
        }
    }
}
