//! Creds files, seed files and keys as text.
//!
//! In the input the byte 1 stands for a user JWT, 2 for its seed, 3 for another user's seed, 4 for an account's.

use std::sync::LazyLock;

use cordon_accounts::creds::{self, Creds};
use cordon_accounts::key::{PublicKey, Role, Seed};

use crate::input::ran;
use crate::jwt;

/// What the bytes stand for.
static PARTS: LazyLock<[String; 4]> = LazyLock::new(|| {
    let claims = r#""iat":1700000000,"name":"x","nats":{"type":"user","version":2}}"#;
    [
        jwt::signed('A', 'U', b'2', claims),
        jwt::key('U').0.to_text().to_string(),
        Seed::from_raw(Role::User, [9; 32]).to_text().to_string(),
        jwt::key('A').0.to_text().to_string(),
    ]
});

/// Panics when what was read is not what is written, or a seed goes with a JWT of another user.
pub fn check(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut text = text.to_owned();
    for (number, part) in PARTS.iter().enumerate() {
        let stands_for = char::from(number as u8 + 1);
        if text.contains(stands_for) {
            text = text.replace(stands_for, part);
        }
    }
    keys(&text);
    file(&text);
}

fn file(text: &str) {
    let jwt = creds::jwt_of_file(text);
    assert!(text.contains(jwt), "the JWT of a file is in it");
    if let Ok(seed) = creds::seed_of_file(text) {
        assert!(text.contains(&*seed.to_text()), "the seed of a file is in it");
    }
    let Ok(read) = Creds::parse(text) else { return };
    assert_eq!(read.seed.role(), Role::User, "creds are of a user");
    let written = read.to_text();
    let again = Creds::parse(&written).expect("what is written can be read");
    assert_eq!(again.jwt, read.jwt);
    assert_eq!(*again.seed.to_text(), *read.seed.to_text());
    assert_eq!(creds::jwt_of_file(&written), read.jwt);
    assert_eq!(*creds::seed_of_file(&written).expect("the seed is in it").to_text(), *read.seed.to_text());
    assert_eq!(format!("{read:?}"), "Creds", "nothing of a seed is shown");
}

fn keys(text: &str) {
    for word in text.split_ascii_whitespace() {
        if let Ok(key) = PublicKey::parse(word) {
            assert_eq!(key.to_string(), word, "a key has one text");
            ran(key.verify(b"message", &[7; 64]));
        }
        if let Ok(seed) = Seed::parse(word) {
            assert_eq!(*seed.to_text(), *word, "a seed has one text");
            assert!(!format!("{seed:?}").contains(word), "a seed is not shown");
            assert_eq!(PublicKey::parse(&seed.public().to_string()).as_ref(), Ok(&seed.public()));
        }
    }
}
