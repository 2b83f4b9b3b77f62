//! Vectors and properties of keys.

use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use proptest::prelude::*;
use rand::{CryptoRng, RngCore};

use super::*;

fn counting() -> [u8; 32] {
    std::array::from_fn(|index| u8::try_from(index).unwrap())
}

/// The table of the specification: raw seed 00 01 .. 1f in every role.
const VECTORS: [(Role, &str, &str); 6] = [
    (
        Role::Operator,
        "SOAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2AJA",
        "OAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QZVT",
    ),
    (
        Role::Account,
        "SAAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYMHI",
        "AAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3QPZV",
    ),
    (
        Role::User,
        "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y",
        "UAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RLKK",
    ),
    (
        Role::Server,
        "SNAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H2D5U",
        "NAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3RSWB",
    ),
    (
        Role::Cluster,
        "SCAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4HYO7Q",
        "CAB2CB576PHBBPQ5ODORRZ2LYCMWPZGWGCN2KDK7DXOIMZASKUY3R53J",
    ),
    (
        Role::Curve,
        "SXAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H74KM",
        "XCHUBRNNW2HSKYSK4WZBJ2TWPJXMSTMCTU6XWXQ22G5G6PRBHAUF76G7",
    ),
];

#[test]
fn every_role_has_the_texts_of_the_vectors() {
    for (role, seed_text, public_text) in VECTORS {
        let seed = Seed::from_raw(role, counting());
        assert_eq!(*seed.to_text(), seed_text);
        assert_eq!(seed.public().to_string(), public_text);
        assert_eq!(public_text.chars().next(), Some(role.letter()));
        let parsed = Seed::parse(seed_text).unwrap();
        assert_eq!((parsed.role(), *parsed.secret_bytes()), (role, counting()));
        assert_eq!(PublicKey::parse(public_text), Ok(seed.public()));
        let json = serde_json::to_string(&seed.public()).unwrap();
        assert_eq!(json, format!("\"{public_text}\""));
        assert_eq!(serde_json::from_str::<PublicKey>(&json).unwrap(), seed.public());
    }
}

#[test]
fn the_nonce_signature_of_the_vectors_is_made_and_accepted() {
    let signature = "bnxg5G8aOV2LQdSE_lcM9clxm_fbTTZxsqQ1EpTNgJXmH6z5ezesd49kXfuNhoAqw_DmEtsGcNsJdug9wMuRDQ";
    let nonce = b"PXoWU7zWAMt75FY";
    let user = Seed::from_raw(Role::User, counting());
    let signed = user.sign(nonce).unwrap();
    assert_eq!(BASE64URL_NOPAD.encode(&signed), signature);
    assert_eq!(user.public().verify(nonce, &signed), Ok(()));
    // Over the eleven bytes that the nonce encodes it is another signature.
    let decoded = BASE64URL_NOPAD.decode(b"PXoWU7zWAMt75FY").unwrap_or_default();
    assert_eq!(user.public().verify(&decoded, &signed), Err(SignatureError::Mismatch));
}

/// Gives the bytes that the vector wants as nonce.
struct Fixed;

impl RngCore for Fixed {
    fn next_u32(&mut self) -> u32 {
        0
    }
    fn next_u64(&mut self) -> u64 {
        0
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::try_from(index).unwrap();
        }
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), rand::Error> {
        self.fill_bytes(bytes);
        Ok(())
    }
}

impl CryptoRng for Fixed {}

fn curve(byte: u8) -> (Seed, CurveKey) {
    let seed = Seed::from_raw(Role::Curve, [byte; 32]);
    let public = seed.public().try_into().unwrap();
    (seed, public)
}

#[test]
fn sealing_gives_the_bytes_of_the_vector() {
    let (sender, sender_key) = curve(7);
    let (recipient, recipient_key) = curve(8);
    assert_eq!(
        (sender_key.to_string(), recipient_key.to_string()),
        (
            "XAJ34T7K5LZAJR75GNMPZHAAOIMIDULUE6ASQIT6YZ2PG7375F5W23BG".to_owned(),
            "XAY5JK3KZ3WJMEJXSFYDPE3OMBYW7LCXHL7JJWO2QSUAEBCI37AREOAX".to_owned()
        )
    );
    let sealed = sender.seal(b"hello", &recipient_key, &mut Fixed).unwrap();
    assert_eq!(
        HEXLOWER.encode(&sealed),
        "786b7631000102030405060708090a0b0c0d0e0f101112131415161796c7d4f1b7ffbedf1241f91afde73b9b1c3425ce58"
    );
    assert_eq!(recipient.open(&sealed, &sender_key).unwrap(), b"hello");
}

#[test]
fn a_box_that_was_changed_or_is_another_senders_stays_shut() {
    let (sender, sender_key) = curve(7);
    let (recipient, recipient_key) = curve(8);
    let (_, stranger_key) = curve(9);
    let sealed = sender.seal(b"hello", &recipient_key, &mut Fixed).unwrap();
    for index in 0..sealed.len() {
        let mut changed = sealed.clone();
        changed[index] ^= 1;
        assert_eq!(recipient.open(&changed, &sender_key), Err(KeyError::Sealed), "byte {index}");
    }
    for length in 0..sealed.len() {
        assert!(recipient.open(&sealed[..length], &sender_key).is_err(), "{length} bytes");
    }
    assert_eq!(recipient.open(&sealed, &stranger_key), Err(KeyError::Sealed));
    // A box opens for both ends, never for a third.
    assert!(curve(9).0.open(&sealed, &sender_key).is_err());
}

#[test]
fn curve_keys_do_not_sign_and_signing_keys_do_not_seal() {
    let (seed, key) = curve(7);
    assert_eq!(seed.sign(b"x"), Err(KeyError::CannotSign));
    assert_eq!(seed.public().verify(b"x", &[0; 64]), Err(SignatureError::KeyCannotSign));
    let user = Seed::from_raw(Role::User, [1; 32]);
    let refused = KeyError::CannotSeal { role: Role::User };
    assert_eq!(user.seal(b"x", &key, &mut Fixed), Err(refused));
    assert_eq!(user.open(&[0; 64], &key), Err(refused));
}

/// A text with a right checksum around any bytes.
fn with_checksum(body: &[u8]) -> String {
    let crc = body.iter().fold(0_u16, |crc, byte| {
        (0..8).fold(
            crc ^ (u16::from(*byte) << 8),
            |crc, _| {
                if crc & 0x8000 == 0 { crc << 1 } else { (crc << 1) ^ 0x1021 }
            },
        )
    });
    BASE32_NOPAD.encode(&[body, &crc.to_le_bytes()].concat())
}

#[test]
fn texts_that_are_no_public_key_are_refused() {
    let (_, seed, good) = VECTORS[2];
    let key = |prefix: u8| with_checksum(&[&[prefix][..], &[1; 32]].concat());
    assert!(PublicKey::parse(&key(20 << 3)).is_ok());
    let masked = (1..8).map(|low| key((20 << 3) | low));
    let roles = [15 << 3, 18 << 3, 25 << 3, 0xFF].map(key);
    let lengths = [0, 1, 16, 31, 33, 64].map(|length| with_checksum(&[&[20_u8 << 3][..], &vec![1; length]].concat()));
    let shapes = [
        String::new(),
        good.to_lowercase(),
        format!("{good}="),
        format!(" {good}"),
        format!("{good}\n"),
        good.split_at(55).0.to_owned(),
        seed.to_owned(),
        "é".repeat(28),
        "U".repeat(56),
        "\0".repeat(56),
    ];
    for text in masked.chain(roles).chain(lengths).chain(shapes) {
        assert!(PublicKey::parse(&text).is_err(), "{text:?}");
        assert!(serde_json::from_value::<PublicKey>(text.into()).is_err());
    }
    assert_eq!(PublicKey::parse(seed), Err(KeyError::SeedGiven));
    // Told from the two together: a seed's length, and how a seed begins.
    for (text, found) in [(seed.replacen('S', "X", 1), seed.len()), (seed.chars().take(57).collect(), 57)] {
        assert_eq!(PublicKey::parse(&text), Err(KeyError::Length { expected: 56, found }));
    }
}

#[test]
fn texts_that_are_no_seed_are_refused() {
    let head = |first: u8, second: u8| with_checksum(&[&[first, second][..], &[1; 32]].concat());
    // A user's head is 0x95 0x00; everything near it is not canonical or no role.
    assert!(Seed::parse(&head(0x95, 0x00)).is_ok());
    let (_, good, public) = VECTORS[2];
    for text in [
        head(0x95, 0x01),
        head(0x95, 0x07),
        head(0x9D, 0x00),
        head(0x95, 0xF8),
        head(0x55, 0x00),
        with_checksum(&[&[0x95, 0x00][..], &[1; 31]].concat()),
        with_checksum(&[&[0x95, 0x00][..], &[1; 33]].concat()),
        good.to_lowercase(),
        format!("{good}=="),
        public.to_owned(),
        String::new(),
        "S".repeat(58),
        "é".repeat(29),
    ] {
        assert!(Seed::parse(&text).is_err(), "{text:?}");
    }
}

#[test]
fn a_role_is_checked_when_a_typed_key_is_read() {
    for (role, _, text) in VECTORS {
        assert_eq!(OperatorKey::parse(text).is_ok(), role == Role::Operator);
        assert_eq!(AccountKey::parse(text).is_ok(), role == Role::Account);
        assert_eq!(UserKey::parse(text).is_ok(), role == Role::User);
        assert_eq!(ServerKey::parse(text).is_ok(), role == Role::Server);
        assert_eq!(ClusterKey::parse(text).is_ok(), role == Role::Cluster);
        assert_eq!(CurveKey::parse(text).is_ok(), role == Role::Curve);
        let json = serde_json::Value::from(text);
        assert_eq!(serde_json::from_value::<UserKey>(json).is_ok(), role == Role::User);
    }
    let wrong = AccountKey::parse(VECTORS[2].2).unwrap_err();
    assert_eq!(wrong.to_string(), "a key of role account is needed, not of role user");
}

#[test]
fn bad_signatures_are_refused_without_panic() {
    let user = Seed::from_raw(Role::User, counting());
    let signature = user.sign(b"nonce").unwrap();
    let other = Seed::from_raw(Role::User, [1; 32]).public();
    assert_eq!(other.verify(b"nonce", &signature), Err(SignatureError::Mismatch));
    for length in [0, 1, 63, 65, 128] {
        let refused = user.public().verify(b"nonce", &vec![0; length]);
        assert_eq!(refused, Err(SignatureError::Length { found: length }));
    }
    for index in 0..64 {
        let mut changed = signature;
        changed[index] ^= 0x80;
        assert!(user.public().verify(b"nonce", &changed).is_err(), "byte {index}");
    }
    // The neutral element as key, with an all-zero scalar: the lax rule would accept it for
    // every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    let mut forged = [0; 64];
    forged[0] = 1;
    let key = PublicKey::from_bytes(Role::User, neutral);
    assert!(key.verify(b"anything", &forged).is_err());
    // Not a point of the curve.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    let key = PublicKey::from_bytes(Role::User, no_point);
    assert_eq!(key.verify(b"x", &signature), Err(SignatureError::NotAKey));
}

#[test]
fn secrets_are_not_printed() {
    let seed = Seed::from_raw(Role::User, counting());
    assert_eq!(format!("{seed:?}"), "Seed");
    let error = PublicKey::parse(&seed.to_text()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("AAAAICAM"));
}

#[test]
fn a_duplicate_is_the_same_key() {
    let seed = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
    assert_eq!(seed.duplicate().public(), seed.public());
    assert_ne!(Seed::generate(Role::Account, &mut rand::rngs::OsRng).public(), seed.public());
}

fn any_role() -> impl Strategy<Value = Role> {
    prop::sample::select(&Role::ALL[..])
}

proptest! {
    #[test]
    fn any_seed_reads_back(role in any_role(), raw: [u8; 32]) {
        let seed = Seed::from_raw(role, raw);
        let again = Seed::parse(&seed.to_text()).unwrap();
        prop_assert_eq!((again.role(), *again.secret_bytes()), (role, raw));
        prop_assert_eq!(PublicKey::parse(&seed.public().to_string()), Ok(seed.public()));
    }

    #[test]
    fn any_single_changed_character_is_noticed(
        role in any_role(), raw: [u8; 32], at in 0_usize..58, with in "[A-Z2-7a-z=]",
    ) {
        let seed = Seed::from_raw(role, raw);
        let change = |text: &str| {
            let mut text = text.to_owned();
            let at = at % text.len();
            text.replace_range(at..=at, &with);
            text
        };
        let secret = seed.to_text();
        let changed = change(&secret);
        prop_assert!(changed == *secret || Seed::parse(&changed).is_err());
        let public = seed.public().to_string();
        let changed = change(&public);
        prop_assert!(changed == public || PublicKey::parse(&changed).is_err());
    }

    #[test]
    fn one_key_has_one_text(text in "[A-Z2-7]{56}") {
        if let Ok(key) = PublicKey::parse(&text) {
            prop_assert_eq!(key.to_string(), text);
        }
    }

    #[test]
    fn no_text_makes_reading_panic(text: String) {
        let _ = PublicKey::parse(&text);
        let _ = Seed::parse(&text);
    }
}
