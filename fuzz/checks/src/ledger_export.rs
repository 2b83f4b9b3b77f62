//! The ledger's leaves, notes and exports: one way to write each, and no changed export is believed.
//!
//! An input that begins with `l`, `n` or `x` is the bytes of a leaf, the text of a note or key, or an export. Any
//! other is a list of changes of a genuine export, each of a place (two bytes), an action and a byte.

use std::sync::LazyLock;

use cordon_admin::ledger::verify::verify_export;
use cordon_admin::ledger::{Digest, Leaf, NoteKey};

use crate::input::Input;

/// An export that was written by a ledger, and the text of the key that signed it.
static GENUINE: &[u8] = include_bytes!("genuine/export.jsonl");
static KEY: LazyLock<NoteKey> = LazyLock::new(|| {
    let text = include_str!("genuine/key.pub");
    text.trim().parse().expect("the key of the genuine export")
});

/// Panics when something else than what was written is believed.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() {
        b'l' => leaf(input.rest()),
        b'n' => note(input.rest()),
        b'x' => export(input.rest()),
        _ => changed(Input::new(data)),
    }
}

fn leaf(bytes: &[u8]) {
    let Ok(leaf) = Leaf::from_bytes(bytes) else { return };
    assert_eq!(leaf.to_bytes(), bytes, "a leaf is written in one way");
}

fn note(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(key) = text.parse::<NoteKey>() {
        assert_eq!(key.to_string(), text, "a key is written in one way");
    }
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text, "a digest is written in one way");
    }
    if let Ok(checkpoint) = KEY.open(text) {
        assert!(text.starts_with(&checkpoint.body()), "a note says what was signed");
    }
}

/// With the key given, an export that is believed is the genuine one.
fn export(bytes: &[u8]) {
    if let Ok(verified) = verify_export(bytes, None, Some(&KEY)) {
        assert!(verified.key_given);
        assert!(bytes == GENUINE, "another export is believed");
    }
    // Without a key it is the export's own word; it must not be believed to be of this key all the same.
    if let Ok(verified) = verify_export(bytes, None, None) {
        assert!(!verified.key_given);
        assert!(bytes == GENUINE || verified.key != *KEY, "another export is believed to be of this key");
    }
}

fn changed(mut script: Input<'_>) {
    let mut bytes = GENUINE.to_vec();
    while !script.is_empty() {
        let place = usize::from(u16::from_be_bytes([script.byte(), script.byte()])) % bytes.len().max(1);
        let (action, value) = (script.byte(), script.byte());
        let length = usize::from(value).min(bytes.len() - place.min(bytes.len()));
        match action % 6 {
            0 => {
                if let Some(byte) = bytes.get_mut(place) {
                    *byte = value;
                }
            }
            1 => bytes.insert(place, value),
            2 => drop(bytes.drain(place..place + length)),
            3 => bytes.truncate(place),
            4 => bytes.extend_from_within(place..place + length),
            _ => swap_lines(&mut bytes, usize::from(value)),
        }
    }
    export(&bytes);
}

/// Puts a line behind the next one.
fn swap_lines(bytes: &mut Vec<u8>, number: usize) {
    let mut lines: Vec<Vec<u8>> = bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if number + 1 < lines.len() {
        lines.swap(number, number + 1);
        *bytes = lines.concat();
    }
}
