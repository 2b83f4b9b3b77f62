//! Requests for WebSocket, whole and broken.

use secrecy::ExposeSecret as _;

use super::*;

const GOOD: &str = "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn asked(more: &str, options: &WebsocketOptions) -> Result<Option<Upgrade>, UpgradeRefused> {
    read(format!("GET / HTTP/1.1\r\n{GOOD}{more}\r\n").as_bytes(), options, false, false)
}

fn granted(more: &str, options: &WebsocketOptions) -> Upgrade {
    asked(more, options).unwrap().unwrap()
}

#[test]
fn a_request_is_read_once_it_is_whole() {
    let whole = format!("GET / HTTP/1.1\r\n{GOOD}\r\n");
    for len in 0..whole.len() {
        assert!(
            matches!(read(&whole.as_bytes()[..len], &WebsocketOptions::default(), false, false), Ok(None)),
            "{len}"
        );
    }
    assert!(matches!(read(whole.as_bytes(), &WebsocketOptions::default(), false, false), Ok(Some(_))));
    let more = [whole.as_bytes(), b"x"].concat();
    assert_eq!(read(&more, &WebsocketOptions::default(), false, false).unwrap_err(), UpgradeRefused::Early);
}

#[test]
fn what_counts_twice_is_refused() {
    let twice = asked("Host: b\r\n", &WebsocketOptions::default());
    assert_eq!(twice.unwrap_err(), UpgradeRefused::Header("Host"));
}

#[test]
fn cookies_stand_for_credentials_by_their_names() {
    let options = WebsocketOptions {
        cookies: CookieNames {
            jwt: Some("jwt".to_owned()),
            user: Some("user".to_owned()),
            pass: Some("pass".to_owned()),
            token: Some("token".to_owned()),
        },
        ..WebsocketOptions::default()
    };
    assert!(granted("", &options).cookies.is_none());
    assert!(granted("Cookie: other=1; User=2; xuser=3; user=\r\n", &options).cookies.is_none());
    assert!(granted("Cookie: user=1\r\n", &WebsocketOptions::default()).cookies.is_none(), "nobody asked for it");
    let cookies = granted("Cookie: a=b; user=\"alice\"; pass=p=q; user=bob\r\nCookie: token=t\r\n", &options).cookies;
    let cookies = cookies.unwrap();
    assert_eq!((cookies.user.as_deref(), cookies.jwt.as_deref()), (Some("alice"), None));
    assert_eq!(cookies.pass.unwrap().expose_secret(), "p=q");
    assert_eq!(cookies.auth_token.unwrap().expose_secret(), "t");
}

#[test]
fn only_one_whole_address_is_a_client_behind_a_proxy() {
    for (header, expected) in [
        ("X-Forwarded-For: 192.0.2.1\r\n", Some("192.0.2.1")),
        ("X-Forwarded-For: 2001:db8::1\r\n", Some("2001:db8::1")),
        ("X-Forwarded-For: 192.0.2.1, 192.0.2.2\r\n", None),
        ("X-Forwarded-For: 192.0.2.1:80\r\n", None),
        ("X-Forwarded-For: x\r\nX-Forwarded-For: 192.0.2.1\r\n", None),
        ("", None),
    ] {
        let found = granted(header, &WebsocketOptions::default()).forwarded_for;
        assert_eq!(found.map(|address| address.to_string()).as_deref(), expected, "{header}");
    }
}

#[test]
fn refusals_that_a_page_can_cause_do_not_count_against_its_visitor() {
    assert!(!UpgradeRefused::Origin(OriginRefused::NotAllowed).counts_as_failure());
    assert!(!UpgradeRefused::Path("/mqtt").counts_as_failure());
    assert!(UpgradeRefused::Malformed("x").counts_as_failure());
}

#[test]
fn browsers_are_known_by_their_names() {
    for (agent, fragments) in [
        ("", Fragments::NONE),
        ("Go-http-client/1.1 Mozilla/5.0", Fragments::NONE),
        ("Mozilla/5.0 Chrome/120 Safari/537.36", Fragments { most: 4096, compressed: true }),
        ("Mozilla/5.0 Version/17.0 Safari/605.1.15", Fragments { most: 4096, compressed: false }),
    ] {
        assert_eq!(Fragments::of(agent), fragments, "{agent}");
    }
}
