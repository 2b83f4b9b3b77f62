//! Header blocks: what is removed is gone and what is set is there, for strict and for lenient readers.
//!
//! The input is a name, a value, and the block behind two newlines.

use cordon_server::protocol::headers;
use cordon_server::tracing_messages::Wish;

use crate::input::{Input, ran};

/// Panics when a field survives its removal, or can be hidden or forged.
pub fn check(data: &[u8]) {
    let mut input = Input::new(data);
    let (name, value, block) = (input.line(), input.line(), input.rest());
    let token = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'-';
    let name = if name.is_empty() || !name.iter().all(token) { headers::REQUEST_INFO } else { name };
    removed(block, name);
    if !value.iter().any(|byte| matches!(byte, b'\r' | b'\n')) {
        set(block, name, value);
    }
    if let Some(wish) = Wish::of(block) {
        assert!(wish.destination.trim_ascii() == wish.destination, "a value has no blanks around it");
        ran(wish.is_valid());
    }
}

fn removed(block: &[u8], name: &[u8]) {
    let without = headers::without(block, name);
    assert!(without.len() <= block.len(), "nothing is added");
    assert!(!headers::has(&without, name), "what was removed is gone");
    assert!(!lenient(&without).any(|(field, _)| field.eq_ignore_ascii_case(name)), "for lenient readers, too");
    assert_eq!(headers::has(block, name), without.len() < block.len(), "only what is there is removed");
    assert_eq!(headers::without(&without, name), without, "once is enough");
    let others = |block: &[u8]| -> Vec<Vec<u8>> {
        lenient(block).filter(|(field, _)| !field.eq_ignore_ascii_case(name)).map(|(field, _)| field.to_vec()).collect()
    };
    assert_eq!(others(&without), others(block), "the others stay");
}

fn set(block: &[u8], name: &[u8], value: &[u8]) {
    let made = headers::with(block, name, value);
    assert!(made.starts_with(b"NATS/1.0"), "it is a block");
    assert!(made.ends_with(b"\n"), "it ends");
    assert!(headers::has(&made, name));
    assert_eq!(headers::value(&made, name), Some(value.trim_ascii()), "what was set is there");
    let found: Vec<&[u8]> =
        lenient(&made).filter(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect();
    assert_eq!(found, [value.trim_ascii()], "once, and for lenient readers, too");
    let second = made.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
    let wanted = [name, b": ", value, b"\r"].concat();
    assert_eq!(second, wanted, "strict readers find it first");
    assert_eq!(headers::with(&made, name, value), made, "once is enough");
}

/// Fields as a reader sees them that takes any end of a line for one and blanks anywhere.
fn lenient(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    block.split(|byte| matches!(byte, b'\r' | b'\n')).filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        Some((line[..colon].trim_ascii(), line[colon + 1..].trim_ascii()))
    })
}
