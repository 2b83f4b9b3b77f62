//! The language: what is read, and what is refused where.

use std::fmt::Write as _;

use super::*;

fn read(text: &str) -> Result<Node, Problem> {
    parse(text, "t.conf", Path::new("."))
}

/// A short form of a value, for comparing.
fn short(value: &Value) -> String {
    match value {
        Value::Bool(on) => on.to_string(),
        Value::Date(text) => text.clone(),
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
        ("'a' 1\n\"b\" 2\n\"c\"3\n'd\\x'=4", "{a=1 b=2 c=3 d\\x=4}"),
        ("{ { a: x } }", "{a=\"x\"}"),
        ("{ a: x\n}\n}", "{a=\"x\"}"),
        ("{ a: x\n", "{a=\"x\"}"),
        ("{a: x} b: 4", "{a=\"x\" b=4}"),
        ("a{b: 1", "{a{b=1}"),
        ("a==x\nb:=y", "{a=\"=x\" b=\"=y\"}"),
        ("a: -1k\nb: 22TB\nc: 1MiB\nd: 5e", "{a=-1000 b=24189255811072 c=1048576 d=5000000000000000000}"),
        ("a: -9223372036854775808\nb: -007", "{a=-9223372036854775808 b=-7}"),
        ("a: -1.5", "{a=-1.5}"),
        ("a: 0.0.0.0:-1\nb: 1.5.\nc: 12:30\nd: 1#c", "{a=\"0.0.0.0:-1\" b=\"1.5.\" c=\"12:30\" d=\"1#c\"}"),
        ("a: 1_000\nb: +1\nc: 3xyz\nd: 500ms", "{a=\"1_000\" b=\"+1\" c=\"3xyz\" d=\"500ms\"}"),
        ("a: 2016-05-04T18:53:41Z", "{a=2016-05-04T18:53:41Z}"),
        ("a: \"2016-05-04\"", "{a=\"2016-05-04\"}"),
        ("a: a$X\nb: '$X'\nc: \"$X\"", "{a=\"a$X\" b=\"$X\" c=\"$X\"}"),
        ("a: \"\\xc3\\xa9\"", "{a=\"\u{e9}\"}"),
        ("a: a\\tb\nb: a=b\nc: a:b\nd: a(b", "{a=\"a\\tb\" b=\"a=b\" c=\"a:b\" d=\"a(b\"}"),
        ("a: [x # c\n y]\nb: [{c: 1}\n{c: 2}]", "{a=[\"x\" \"y\"] b=[{c=1} {c=2}]}"),
        ("a: [\"x\"\n// c\n]", "{a=[\"x\"]}"),
        ("a x;b y,c z", "{a=\"x\" b=\"y\" c=\"z\"}"),
        ("include: x\ninclude = y", "{include=\"y\"}"),
        ("a: (x\n)", "{a=\"x\\n\"}"),
        ("a: (\nx\n )\n)y\n)\n", "{a=\"\\nx\\n )\\n)y\\n\"}"),
        ("a: $2b$11$xyz\nb: $2y$11$q\nc: $2x$1$r", "{a=\"$2b$11$xyz\" b=\"$2y$11$q\" c=\"$2x$1$r\"}"),
        ("a { b: 1, c: $b }\nb: 2\nd: $b", "{a={b=1 c=1} b=2 d=2}"),
        ("a: [1]\nb: $a\nm {x: y}\nn: $m", "{a=[1] b=[1] m={x=\"y\"} n={x=\"y\"}}"),
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
        ("a: 1\ninclude \"no-such-file.conf\"", "t.conf:2:9", "cannot be read"),
        ("include", "t.conf:1:1", "no value"),
        ("a: 1.5k", "t.conf:1:4", "quotes"),
        ("a: 1.5MB", "t.conf:1:4", "quotes"),
        ("a: 1.5s", "t.conf:1:4", "quotes"),
        ("a: .5", "t.conf:1:4", "`0.5`"),
        ("a: 1.", "t.conf:1:4", "quotes"),
        ("a: 1..5", "t.conf:1:4", "quotes"),
        ("a: -abc", "t.conf:1:4", "no number"),
        ("a: -5s", "t.conf:1:4", "no number"),
        ("a: --1", "t.conf:1:4", "no number"),
        ("a: -", "t.conf:1:4", "no number"),
        ("a: -1:2", "t.conf:1:4", "no number"),
        ("a: 10.0.0.0/8", "t.conf:1:4", "quotes"),
        ("a: 1.2.3a", "t.conf:1:4", "quotes"),
        ("a: 2016-05-04", "t.conf:1:4", "date"),
        ("a: 2016-13-04T18:53:41Z", "t.conf:1:4", "date"),
        ("a: 2016-05-04T18:53:41+01:00", "t.conf:1:4", "date"),
        ("a: 1-2", "t.conf:1:4", "date"),
        ("a: 8eib", "t.conf:1:4", "out of range"),
        ("a: -9223372036854775809", "t.conf:1:4", "out of range"),
        ("a: b'c", "t.conf:1:5", "double quotes"),
        ("a: \"b\"c", "t.conf:1:7", "quotes"),
        ("a: \"\\xe9\"", "t.conf:1:10", "no UTF-8"),
        ("a: \"\\x+1\"", "t.conf:1:9", "two hexadecimal"),
        ("a: ${X_NOT_SET}", "t.conf:1:4", "`{X_NOT_SET`"),
        ("c: $d_later\nd_later: 1", "t.conf:1:4", "d_later"),
        ("a { b_inner: 5 }\nc: $b_inner", "t.conf:2:4", "b_inner"),
        ("/* c */\nport: 4", "t.conf:1:6", "quotes"),
        ("a: [x;y]", "t.conf:1:6", "expected `,`"),
        ("a: [{b: 1} {b: 2}]", "t.conf:1:12", "expected `,`"),
        ("a: [,x]", "t.conf:1:5", "before `,`"),
        ("a =\n{b: 1}", "t.conf:1:4", "same line"),
        ("a: x }\n}", "t.conf:2:1", "closes nothing"),
        ("a: (x\n) ", "t.conf:2:3", "does not end"),
        ("\"a\n\": 1", "t.conf:2:1", "quoted key"),
        ("a: (x)", "t.conf:1:7", "block"),
        ("}}\nx: 1", "t.conf:1:2", "closes nothing"),
        ("}\nx: 1", "t.conf:2:1", "end of the file"),
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
fn included_files_are_found_beside_the_including_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    file("main.conf", "a: 1\ninclude 'sub/more.conf'\nb: $c\nm { include sub/least.conf }");
    file("sub/more.conf", "include least.conf; a: 2\n");
    file("sub/least.conf", "c: 3\n");
    let node = parse_file(&folder.path().join("main.conf")).unwrap();
    assert_eq!(short(&node.value), "{c=3 a=2 b=3 m={c=3}}");
    file("absolute.conf", &format!("INCLUDE \"{}\"\n", folder.path().join("sub/least.conf").display()));
    assert_eq!(short(&parse_file(&folder.path().join("absolute.conf")).unwrap().value), "{c=3}");
    // As with nats-server, a path from the root is one from the folder, if there is such a file.
    file("rooted.conf", "include /sub/more.conf\n");
    assert_eq!(short(&parse_file(&folder.path().join("rooted.conf")).unwrap().value), "{c=3 a=2}");
}

#[test]
fn an_included_file_does_not_see_the_variables_of_the_including_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("inner.conf"), "b: $a_of_the_outer\n").unwrap();
    let text = "a_of_the_outer: 1\ninclude inner.conf\n";
    let problem = parse(text, "t.conf", folder.path()).unwrap_err();
    assert!(problem.text.contains("a_of_the_outer") && problem.place.file.ends_with("inner.conf"), "{problem}");
}

#[test]
fn includes_that_loop_or_go_too_deep_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    file("loop.conf", "include loop.conf\n");
    file("one.conf", "a { include ./two.conf }\n");
    file("two.conf", "include one.conf\n");
    for name in ["loop.conf", "one.conf"] {
        let problem = parse_file(&folder.path().join(name)).unwrap_err();
        assert!(problem.text.contains("part of a loop"), "{name}: {problem}");
    }
    for depth in 0..40 {
        file(&format!("deep{depth}.conf"), &format!("include deep{}.conf\n", depth + 1));
    }
    file("deep40.conf", "a: 1\n");
    assert!(parse_file(&folder.path().join("deep0.conf")).unwrap_err().text.contains("flatten"));
    assert!(parse_file(&folder.path().join("deep30.conf")).is_ok());
    // Twice the same file is no loop.
    file("twice.conf", "a { include deep40.conf }\nb { include deep40.conf }\n");
    assert!(parse_file(&folder.path().join("twice.conf")).is_ok());
}

/// The environment of a child process is its own, so that tests do not see each other's.
#[test]
fn variables_of_the_environment_are_read_as_values() {
    const CHILD: &str = "CORDON_TEST_PARSER_CHILD";
    if std::env::var_os(CHILD).is_some() {
        for (text, expected) in [
            ("a: $V_INT", "{a=22}"),
            ("a: $V_TEXT", "{a=\"3xyz\"}"),
            ("a: $V_EMPTY", "{a=\"\"}"),
            ("a: $V_MAP", "{a={x=1}}"),
            ("a: $V_CHAIN", "{a=22}"),
            ("a: $V_ON", "{a=true}"),
            ("a: [$V_INT, $V_INT]", "{a=[22 22]}"),
            ("V_INT: 5\na: $V_INT", "{V_INT=5 a=5}"),
            ("a: $V_HASH", "{a=\"$2a$11$abc\"}"),
        ] {
            assert_eq!(read(text).map(|node| short(&node.value)), Ok(expected.to_owned()), "{text}");
        }
        for (text, part) in [
            ("a: 1\nb: $V_WORDS", "put texts with blanks in quotes"),
            ("a: 1\nb: $V_SELF", "refers to itself"),
            ("a: 1\nb: $V_PAIR_A", "refers to itself"),
            ("a: 1\nb: $V_COMMA", "V_COMMA"),
            ("a: 1\nb: $V_TWO", "no single value"),
            ("a: 1\nb: $V_CLOSED", "V_CLOSED"),
        ] {
            let problem = read(text).err().unwrap_or_else(|| panic!("{text} was taken"));
            assert!(problem.text.contains(part) && problem.place.line == 2, "{text}: {problem}");
        }
        return;
    }
    let test = "config::parser::tests::variables_of_the_environment_are_read_as_values";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", test]).env(CHILD, "1").envs([
        ("V_INT", "22"),
        ("V_TEXT", "'3xyz'"),
        ("V_EMPTY", ""),
        ("V_MAP", "{x:1}"),
        ("V_CHAIN", "$V_INT"),
        ("V_ON", "on"),
        ("V_HASH", "$2a$11$abc"),
        ("V_WORDS", "a b"),
        ("V_SELF", "$V_SELF"),
        ("V_PAIR_A", "$V_PAIR_B"),
        ("V_PAIR_B", "[$V_PAIR_A]"),
        ("V_COMMA", "a,b"),
        ("V_TWO", "1\nb: 2"),
        ("V_CLOSED", "a}b"),
    ]);
    let output = child.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the test did not run");
}

#[test]
fn variables_cannot_copy_without_bound() {
    let mut text = "a0: [1,2,3,4,5,6,7,8,9,10]\n".to_owned();
    for level in 1..20 {
        let copies = vec![format!("$a{}", level - 1); 10].join(",");
        writeln!(text, "a{level}: [{copies}]").unwrap();
    }
    let problem = read(&text).unwrap_err();
    assert!(problem.text.contains("more than"), "{problem}");
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "\\PC{0,200}") {
        let _outcome = read(&text);
    }
}

proptest::proptest! {
    /// Pieces of the language in any order: whatever comes of it has its place in the text, and reads the same twice.
    #[test]
    fn any_order_of_pieces_gives_values_or_a_problem_with_its_place(
        pieces in proptest::collection::vec(proptest::sample::select(PIECES), 0..40)
    ) {
        let text = pieces.concat();
        let parsed = read(&text);
        proptest::prop_assert_eq!(format!("{parsed:?}"), format!("{:?}", read(&text)));
        if let Err(problem) = parsed {
            let line = text.split('\n').nth(problem.place.line - 1).map_or(0, |line| line.chars().count());
            proptest::prop_assert!(!problem.text.is_empty() && problem.place.column <= line + 2, "{}", problem);
        }
    }
}

const PIECES: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    "(",
    ")",
    "\n)\n",
    "\n",
    "\r\n",
    " ",
    ",",
    ";",
    "=",
    ": ",
    "#",
    "//",
    "'",
    "\"",
    "\\",
    "\\x4",
    "$a",
    "$",
    "a",
    "b",
    "a: 1\n",
    "b { ",
    "c [",
    "1",
    "-",
    "1.5",
    ".",
    "2m",
    "9e",
    "2016-05-04T18:53:41Z",
    "include ",
    "include x\n",
    "\u{feff}",
    "\u{e9}",
    "on",
];
