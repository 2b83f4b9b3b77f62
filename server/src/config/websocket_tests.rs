//! The `websocket` block, good and bad.

use std::time::Duration;

use crate::config::{ConfigError, LoadedConfig, load_text};

fn load(block: &str) -> Result<LoadedConfig, ConfigError> {
    load_text(&format!("listen: \"127.0.0.1:0\"\ninsecure_no_auth: true\n{block}"), "t")
}

#[test]
fn a_whole_block_is_read() {
    let loaded = load(
        "websocket {\n host: localhost\n port: -1\n advertise: \"a.example:443\"\n no_tls: true\n same_origin: true\n \
         allowed_origins: [\"https://a.example\", \"http://b.example:81\"]\n handshake_timeout: \"3s\"\n compress: true\n \
         user_cookie: u\n pass_cookie: p\n token_cookie: t\n ping_interval: \"20s\"\n authorization { timeout: 1.5 }\n \
         headers { X-One: a, \"Strict-Transport-Security\": \"max-age=1\" }\n}",
    )
    .unwrap();
    let own = loaded.broker.websocket.unwrap();
    assert!(own.listen.ip().is_loopback() && own.listen.port() == 0);
    assert!(own.compression && own.origins.same && own.tls.is_none());
    assert_eq!(own.origins.allowed.len(), 2);
    assert_eq!((own.handshake_timeout, own.ping_interval), (Duration::from_secs(3), Some(Duration::from_secs(20))));
    assert_eq!(own.auth_timeout, Some(Duration::from_millis(1500)));
    let names = [own.cookies.user, own.cookies.pass, own.cookies.token, own.cookies.jwt];
    assert_eq!(names.map(Option::unwrap_or_default), ["u", "p", "t", ""]);
    assert_eq!(own.headers.len(), 2);
    assert!(loaded.warnings.iter().any(|warning| warning.contains("INSECURE: WebSocket")));
}

#[test]
fn without_a_block_or_a_port_nobody_listens() {
    assert!(load("").unwrap().broker.websocket.is_none());
    let loaded = load("ws { no_tls: true }").unwrap();
    assert!(loaded.broker.websocket.is_none());
    assert!(loaded.warnings.iter().any(|warning| warning.contains("without `port`")));
}

#[test]
fn a_listener_has_addresses_like_others() {
    for (block, address) in [
        ("listen: \"127.0.0.1:81\"", "127.0.0.1:81"),
        ("listen: 82", "0.0.0.0:82"),
        ("port: 83", "0.0.0.0:83"),
        ("host: \"127.0.0.2\", port: 84", "127.0.0.2:84"),
    ] {
        let loaded = load(&format!("websocket {{ {block}, no_tls: true }}")).unwrap();
        assert_eq!(loaded.broker.websocket.unwrap().listen.to_string(), address, "{block}");
    }
}

#[test]
fn what_would_be_unsafe_or_could_not_work_is_a_problem() {
    for (block, problem) in [
        ("port: -1", "requires TLS configuration"),
        ("port: -1, no_tls: true, jwt_cookie: j", "`jwt_cookie` needs an `operator`"),
        ("port: -1, no_tls: true, authorization { password: x }", "without `user`"),
        ("port: -1, no_tls: true, authorization { user: a, token: b }", "excludes a `token`"),
        ("port: -1, no_tls: true, authorization { token: \"\" }", "is empty"),
        ("port: -1, no_tls: true, authorization { users: [] }", "unknown option `users`"),
        ("port: -1, no_tls: true, no_auth_user: nobody", "nobody"),
        ("port: -1, no_tls: true, allowed_origins: [\"ok.example\"]", "is no origin"),
        ("port: -1, no_tls: true, handshake_timeout: 0", "zero"),
        ("port: -1, no_tls: true, user_cookie: \"a b\"", "no name of a cookie"),
        ("port: -1, no_tls: true, compresion: true", "unknown option `compresion`"),
        ("port: 65536, no_tls: true", "no port"),
        ("port: -1, tls { cert_file: \"missing.pem\", key_file: \"missing.pem\" }", "missing.pem"),
    ] {
        let error = load(&format!("websocket {{ {block} }}")).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(problem), "{block}: {error}");
        assert!(error.starts_with("t:"), "{error}");
    }
}

#[test]
fn headers_cannot_break_the_answer() {
    for header in [
        "Host: x",
        "content-length: \"1\"",
        "CONNECTION: x",
        "Upgrade: x",
        "Nats-No-Masking: \"true\"",
        "Sec-WebSocket-Protocol: x",
        "sec-websocket-accept: x",
        "\"A B\": x",
        "\"A:\": x",
        "A: \"x\\r\\nSet-Cookie: y\"",
        "A: \"x\\ny\"",
        "\"A\\r\\nB\": x",
        "A: 1",
    ] {
        let outcome = load(&format!("websocket {{ port: -1, no_tls: true, headers {{ {header} }} }}"));
        assert!(outcome.is_err(), "{header}");
    }
}

#[test]
fn its_own_users_exclude_those_of_the_configuration() {
    let own = "websocket { port: -1, no_tls: true, authorization { user: web, password: secret } }";
    assert!(load(own).is_ok());
    assert!(load(&format!("authorization {{ user: a, password: b }}\n{own}")).is_ok(), "there each has its own");
    let both = load(&format!("authorization {{ users: [{{user: a, password: b}}] }}\n{own}")).map(|_| ());
    assert!(both.unwrap_err().to_string().contains("does not go with users"));
    let stand_in = "websocket { port: -1, no_tls: true, no_auth_user: a }";
    assert!(load(&format!("authorization {{ users: [{{user: a, password: b}}] }}\n{stand_in}")).is_ok());
}
