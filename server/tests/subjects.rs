//! Which subjects are valid, and what matches what.

mod support;

use support::TestBroker;

#[test]
fn malformed_subscription_subjects_are_refused_and_the_connection_stays() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    for subject in ["a..b", ".a", "a.", "a.>.b", ".", ">.a"] {
        peer.exchange_only(format!("SUB {subject} 1\r\n"), "-ERR 'Invalid Subject'\r\n");
    }
    // The id was not taken.
    peer.exchange_only("SUB a 1\r\nPUB a 0\r\n\r\n", "MSG a 1 0\r\n\r\n");
}

#[test]
fn wildcards_inside_a_token_are_letters_like_others() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB foo* 1\r\nSUB fo>o 2\r\nSUB >x 3\r\nPUB foobar 0\r\n\r\nPUB foox 0\r\n\r\n");
    peer.expect_nothing();
    for (subject, sid) in [("foo*", 1), ("fo>o", 2), (">x", 3)] {
        peer.exchange_only(format!("PUB {subject} 0\r\n\r\n"), format!("MSG {subject} {sid} 0\r\n\r\n"));
    }
}

#[test]
fn a_published_wildcard_reaches_wildcards_only() {
    let broker = TestBroker::open();
    let mut publisher = broker.peer();
    for (filter, reached) in [("foo.*", true), ("foo.>", true), (">", true), ("foo.bar", false)] {
        let mut peer = broker.peer();
        peer.exchange_only(format!("SUB {filter} 1\r\n"), "");
        publisher.send("PUB foo.* 0\r\n\r\n");
        publisher.expect_nothing();
        peer.exchange_only("", if reached { "MSG foo.* 1 0\r\n\r\n" } else { "" });
    }
}

#[test]
fn a_subject_with_an_empty_token_reaches_nobody() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.send("SUB > 1\r\nSUB a.* 2\r\nSUB a.> 3\r\nPUB a..b 0\r\n\r\nPUB .a 0\r\n\r\nPUB a. 0\r\n\r\n");
    peer.expect_nothing();
    peer.exchange_only(
        "UNSUB 1\r\nPUB a..b r 0\r\n\r\nSUB r 4\r\nPUB a..b r 0\r\n\r\n",
        "HMSG r 4 36 36\r\nNATS/1.0 503\r\nNats-Subject: a..b\r\n\r\n\r\n",
    );
}

#[test]
fn a_pedantic_publisher_is_told_and_its_message_still_goes() {
    let broker = TestBroker::open();
    let mut peer = broker.peer_with(r#"{"verbose":false,"pedantic":true}"#);
    peer.exchange_only("SUB > 1\r\nPUB foo.* 0\r\n\r\n", "-ERR 'Invalid Publish Subject'\r\nMSG foo.* 1 0\r\n\r\n");
    peer.exchange_only("PUB a..b 0\r\n\r\n", "-ERR 'Invalid Publish Subject'\r\n");
    peer.exchange_only("PUB a.>.b 0\r\n\r\n", "-ERR 'Invalid Publish Subject'\r\nMSG a.>.b 1 0\r\n\r\n");
    peer.exchange_only("PUB foo* a..b 0\r\n\r\n", "MSG foo* 1 a..b 0\r\n\r\n");
}

#[test]
fn one_star_is_one_token_and_an_arrow_at_least_one() {
    let broker = TestBroker::open();
    let cases = [
        ("a.>", "a", false),
        ("a.>", "a.b", true),
        ("a.>", "a.b.c", true),
        ("*", "a.b", false),
        ("*", "a", true),
        ("a.*", "a", false),
        ("a.*.c", "a.b.c", true),
        ("a.*.c", "a.b.d", false),
        ("*.*", "a.b", true),
        (">", "a", true),
        ("a", "A", false),
        ("a.b", "a.b.c", false),
        ("*.b.>", "a.b.c.d", true),
    ];
    let mut publisher = broker.peer();
    for (filter, subject, matched) in cases {
        let mut peer = broker.peer();
        peer.exchange_only(format!("SUB {filter} 1\r\n"), "");
        publisher.send(format!("PUB {subject} 0\r\n\r\n"));
        publisher.expect_nothing();
        let expected = if matched { format!("MSG {subject} 1 0\r\n\r\n") } else { String::new() };
        peer.exchange_only("", expected);
    }
}

#[test]
fn subjects_may_have_many_tokens() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    for tokens in [31, 32, 33, 64, 500] {
        let subject = vec!["t"; tokens].join(".");
        peer.exchange_only(
            format!("SUB {subject} 1\r\nPUB {subject} 0\r\n\r\nUNSUB 1\r\n"),
            format!("MSG {subject} 1 0\r\n\r\n"),
        );
    }
}

#[test]
fn the_number_of_tokens_can_be_bounded() {
    let broker = TestBroker::tuned(|options| options.max_sub_tokens = Some(3));
    let mut peer = broker.peer();
    peer.exchange_only(
        "SUB a.b.c.d 1\r\n",
        "-ERR 'Permissions Violation for Subscription to \"a.b.c.d\", too many tokens'\r\n",
    );
    peer.exchange_only("SUB a.b.c 1\r\nPUB a.b.c 0\r\n\r\n", "MSG a.b.c 1 0\r\n\r\n");
}

#[test]
fn subjects_are_bytes() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    for subject in ["späti.🦀".as_bytes(), b"nul.\0.nul", b"bad.\xff\xfe", b"bell\x07", b"vt\x0b"] {
        peer.exchange_only(
            [b"SUB ", subject, b" 1\r\nPUB ", subject, b" ", subject, b" 0\r\n\r\nUNSUB 1\r\n"].concat(),
            [b"MSG ", subject, b" 1 ", subject, b" 0\r\n\r\n"].concat(),
        );
    }
}

#[test]
fn dollar_subjects_are_subjects_like_others() {
    let broker = TestBroker::open();
    let mut peer = broker.peer();
    peer.exchange_only("SUB > 1\r\nPUB $SYS.foo 0\r\n\r\n", "MSG $SYS.foo 1 0\r\n\r\n");
}
