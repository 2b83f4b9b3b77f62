//! Archives of streams: whatever is uploaded, it becomes a stream within the account's limits, or leaves nothing; and a
//! stream that came out of one goes into an archive that gives the same stream.
//!
//! The first byte chooses what the rest is: the entries of an archive, or all of it as it is on its way.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use cordon_accounts::name::AccountName;
use cordon_accounts::subject::Pattern;
use cordon_auth::clock::Clock;
use cordon_jetstream::account::{Account, AccountLimits, Ear, Hearing, Host, Limits, Settings, Setup, Totals, Work};
use cordon_jetstream::archive::{self, Packer, Unpacker};
use cordon_jetstream::config::{Storage, StreamConfig};
use cordon_jetstream::port::{Outgoing, Port};
use cordon_jetstream::stream::Stream;

use crate::input::Input;

/// Bytes that the account may store.
const MEMORY_MAX: i64 = 1 << 20;

struct Nobody;

impl Host for Nobody {
    fn schedule(&self, _stream: &Arc<Stream>) {}

    fn wake_at(&self, _stream: &Arc<Stream>, _at: i64) {}

    fn listen(&self, _stream: &Arc<Stream>, _subjects: &[Pattern]) {}

    fn hear(&self, _subject: &str, _ear: Arc<dyn Ear>) -> Hearing {
        Hearing::new(|| {})
    }

    fn begin(&self, _work: Work) -> bool {
        false
    }
}

impl Port for Nobody {
    fn send(&self, _message: &Outgoing<'_>) -> bool {
        false
    }

    fn has_interest(&self, _subject: &[u8], _group: Option<&[u8]>) -> bool {
        false
    }

    fn watch(&self, _stream: &str, _subject: &[u8], _watching: bool) {}

    fn hear(&self, _stream: &str, _subject: &[u8], _tag: u32) {}

    fn deafen(&self, _tag: u32) {}

    fn forget(&self, _stream: &str) {}

    fn flush(&self) {}
}

fn account() -> Arc<Account> {
    Account::new(Setup {
        name: AccountName::global(),
        settings: Arc::new(Settings::default()),
        totals: Arc::new(Totals::default()),
        host: Arc::new(Nobody),
        port: Arc::new(Nobody),
        system: None,
        clock: Clock::manual(1_800_000_000),
        limits: AccountLimits::Flat(Limits { max_memory: MEMORY_MAX, ..Limits::NONE }),
    })
}

fn config(choice: u8) -> StreamConfig {
    let text = r#"{"name":"S","subjects":["s.>"],"storage":"memory"}"#;
    let mut config: StreamConfig = serde_json::from_str(text).unwrap();
    config.allow_msg_ttl = choice & 2 != 0;
    config.duplicate_window = if choice & 4 != 0 { 0 } else { 120_000_000_000 };
    assert_eq!(config.storage, Storage::Memory);
    config
}

/// Panics when an archive that is refused leaves something, or one that is taken comes back as another.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let choice = input.byte();
    let bytes = if choice & 1 == 0 { packed(input.rest()) } else { input.rest().to_vec() };
    let account = account();
    if let Ok(stream) = archive::restore_from(&account, config(choice), &mut bytes.as_slice()) {
        comes_back(&stream, choice);
    } else {
        assert!(account.streams().is_empty(), "a stream is left");
        assert_eq!(account.ledger().used(Storage::Memory), 0, "bytes are left");
    }
    assert!(account.ledger().used(Storage::Memory) <= MEMORY_MAX.unsigned_abs(), "more than is allowed");
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

fn archive_of(stream: &Arc<Stream>) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new());
    archive::snapshot_to(stream, &mut packer).unwrap();
    let packed = packer.finish().unwrap();
    let mut bytes = Vec::new();
    Unpacker::new(packed.as_slice()).read_to_end(&mut bytes).unwrap();
    bytes
}

fn comes_back(stream: &Arc<Stream>, choice: u8) {
    let first = archive_of(stream);
    let account = account();
    let again = archive::restore_from(&account, config(choice), &mut packed(&first).as_slice());
    let again = again.unwrap_or_else(|error| panic!("its own archive is refused: {error}"));
    assert_eq!(archive_of(&again), first, "another stream comes back");
}
