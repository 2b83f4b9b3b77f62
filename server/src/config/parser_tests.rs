//! The language: what is read, and what is refused where.

use super::*;

fn read(text: &str) -> Result<Node, Problem> {
    parse(text, "t.conf", Path::new("."))
}

/// A short form of a value, for comparing.
fn short(value: &Value) -> String {
    match value {
        Value::Bool(on) => on.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Int(number, _) => number.to_string(),
        Value::List(items) => {
            format!("[{}]", items.iter().map(|item| short(&item.value)).collect::<Vec<_>>().join(" "))
        }
        Value::Map(entries) => {
            format!(
                "{{{}}}",
                entries
                    .iter()
                    .map(|entry| format!("{}={}", entry.key, short(&entry.node.value)))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
        }
        Value::Text(text) => format!("{text:?}"),
    }
}

#[test]
fn every_form_of_value_is_read() {
    for (text, expected) in [
        ("a: 1", "{a=1}"),
        ("a = -7; b 8, c: 007", "{a=-7 b=8 c=7}"),
        ("a: 1k b: 2", ""),
        ("a: 1kb\nb: 2M\nc: 3gib", "{a=1024 b=2000000 c=3221225472}"),
        ("a: 1.5", "{a=1.5}"),
        ("a: 127.0.0.1:4222", "{a=\"127.0.0.1:4222\"}"),
        ("a: 10s\nb: 1m30s\nc: 0x10\nd: 1kbs", "{a=\"10s\" b=\"1m30s\" c=\"0x10\" d=\"1kbs\"}"),
        ("a: yes\nb: OFF\nc: \"true\"", "{a=true b=false c=\"true\"}"),
        (r#"a: "x\ty\x41\"" "#, "{a=\"x\\tyA\\\"\"}"),
        ("a: 'x\\ny'", "{a=\"x\\\\ny\"}"),
        ("a: nats://h#x # comment", "{a=\"nats://h#x\"}"),
        ("// c\na: 1 // d\n# e", "{a=1}"),
        ("a: [1, 2\n3,\n]", "{a=[1 2 3]}"),
        ("a {b: {c: 1}}", "{a={b={c=1}}}"),
        ("tls\n{ x: 1 }", "{tls={x=1}}"),
        ("{\"a\": {\"b\": [true, \"c\"]}, \"d\": 2}", "{a={b=[true \"c\"]} d=2}"),
        ("a: (x\n  y)\n)\nb: 1", "{a=\"x\\n  y)\\n\" b=1}"),
        ("a: 1\na: 2", "{a=2}"),
        ("a: $2a$11$xyz.abc", "{a=\"$2a$11$xyz.abc\"}"),
        ("a: 5\nb: $a\nc { d: $a }", "{a=5 b=5 c={d=5}}"),
        ("operator: eyJ0e-X_.eyJ.a-b_c", "{operator=\"eyJ0e-X_.eyJ.a-b_c\"}"),
        ("", "{}"),
        ("a: []\r\nb: {}\r\n", "{a=[] b={}}"),
    ] {
        match read(text) {
            Ok(node) => assert_eq!(short(&node.value), expected, "{text}"),
            Err(problem) => assert_eq!(expected, "", "{text}: {problem}"),
        }
    }
}

#[test]
fn what_is_wrong_is_refused_at_its_place() {
    for (text, place, part) in [
        ("a: 1\nb: 'x", "t.conf:2:6", "does not end"),
        ("a: \"x\\q\"", "t.conf:1:8", "escape"),
        ("word", "t.conf:1:1", "no value"),
        ("a:\n1", "t.conf:1:3", "same line"),
        ("a: [1,,2]", "t.conf:1:7", "before `,`"),
        ("a: [1 2]", "t.conf:1:7", "expected `,`"),
        ("a: [1", "t.conf:1:6", "does not end"),
        ("a: {b: 1", "t.conf:1:9", "does not end"),
        ("a: x y", "t.conf:1:6", "quotes"),
        ("a: 9999999999999999999", "t.conf:1:4", "out of range"),
        ("a: 10e", "t.conf:1:4", "out of range"),
        ("a: $NOT_SET_ANYWHERE_X", "t.conf:1:4", "NOT_SET_ANYWHERE_X"),
        ("include \"no-such-file.conf\"", "./no-such-file.conf:1:1", "cannot be read"),
        ("a: (x)", "t.conf:1:7", "block"),
        ("}}\nx: 1", "t.conf:1:2", "end of the file"),
    ] {
        let problem = read(text).err().unwrap_or_else(|| panic!("{text} was taken"));
        assert_eq!(problem.place.to_string(), place, "{text}: {problem}");
        assert!(problem.text.contains(part), "{text}: {problem}");
    }
}

#[test]
fn deep_nesting_is_an_error_and_no_crash() {
    assert!(read(&"a: [".repeat(100_000)).is_err());
    assert!(read(&"[".repeat(100_000)).is_err());
    assert!(read(&format!("a: {}", "[".repeat(100_000))).is_err());
    assert!(read(&"a {".repeat(100_000)).is_err());
}

#[test]
fn included_files_are_found_beside_the_including_one_and_loops_end() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    file("main.conf", "a: 1\ninclude 'sub/more.conf'\nb: $c\n");
    file("sub/more.conf", "include least.conf\na: 2\n");
    file("sub/least.conf", "c: 3\n");
    let node = parse_file(&folder.path().join("main.conf")).unwrap();
    assert_eq!(short(&node.value), "{c=3 a=2 b=3}");
    file("loop.conf", "include loop.conf\n");
    assert!(parse_file(&folder.path().join("loop.conf")).unwrap_err().text.contains("loop"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _outcome = read(&text);
    }
}
