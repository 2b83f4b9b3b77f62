//! What a word without quotes is.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::config::value::{Place, Problem, Value};

/// `$2a$..` is a password hash, not a variable.
pub(super) fn is_bcrypt(name: &str) -> bool {
    ["2a$", "2b$", "2x$", "2y$"].iter().any(|kind| name.starts_with(kind))
}

/// A switch, number or date if the word looks like one, otherwise text.
///
/// # Errors
///
/// A word that begins like a number and goes on like none: people mean various things by such.
pub(super) fn classify(word: String, place: &Place) -> Result<Value, Problem> {
    match word.to_ascii_lowercase().as_str() {
        "true" | "yes" | "on" => return Ok(Value::Bool(true)),
        "false" | "no" | "off" => return Ok(Value::Bool(false)),
        _ => {}
    }
    let fault = |text: String| Problem { place: place.clone(), text };
    let negative = word.starts_with('-');
    let digits = word.strip_prefix('-').unwrap_or(&word);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at_checked(end).unwrap_or((digits, ""));
    if number.is_empty() {
        return match word.bytes().next() {
            Some(b'-') => Err(fault(format!("`{word}` is no number: put it in quotes if it is a text"))),
            Some(b'.') => Err(fault(format!("a number needs a digit before the point, as in `0{word}`"))),
            _ => Ok(Value::Text(word)),
        };
    }
    if let Some(factor) = factor(rest) {
        let signed = if negative { format!("-{number}") } else { number.to_owned() };
        let value = signed.parse::<i64>().ok().and_then(|number| number.checked_mul(factor));
        let value = value.ok_or_else(|| fault(format!("the number `{word}` is out of range")))?;
        let written = (!rest.is_empty()).then(|| word.clone());
        return Ok(Value::Int(value, written));
    }
    match rest.bytes().next() {
        Some(b'.') => pointed(&word, rest, place),
        Some(b'-') if !negative => date(word, place),
        _ if negative => Err(fault(format!("`{word}` is no number: put it in quotes if it is a text"))),
        _ => Ok(Value::Text(word)),
    }
}

/// A fraction, or an address such as `127.0.0.1:4222`. `rest` begins with the first point.
fn pointed(word: &str, rest: &str, place: &Place) -> Result<Value, Problem> {
    let mut after = rest.bytes().skip(1);
    let fraction = after.clone().next().is_some_and(|byte| byte.is_ascii_digit());
    if fraction && after.clone().all(|byte| byte.is_ascii_digit()) {
        let value = word.parse::<f64>().ok().filter(|value| value.is_finite());
        return value
            .map(Value::Float)
            .ok_or_else(|| Problem { place: place.clone(), text: format!("the number `{word}` is out of range") });
    }
    if fraction && after.all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b':' | b'-')) {
        return Ok(Value::Text(word.to_owned()));
    }
    Err(Problem { place: place.clone(), text: format!("`{word}` is neither number nor address: put it in quotes") })
}

fn date(word: String, place: &Place) -> Result<Value, Problem> {
    if word.ends_with('Z') && OffsetDateTime::parse(&word, &Rfc3339).is_ok() {
        return Ok(Value::Date(word));
    }
    Err(Problem {
        place: place.clone(),
        text: format!("`{word}` looks like a date and is none like 2016-05-04T18:53:41Z: put texts in quotes"),
    })
}

/// What a suffix multiplies by: letters alone are powers of 1000, with `b`, `i` or `ib` of 1024.
fn factor(suffix: &str) -> Option<i64> {
    let suffix = suffix.to_ascii_lowercase();
    let mut letters = suffix.chars();
    let Some(letter) = letters.next() else { return Some(1) };
    let power = u32::try_from("kmgtpe".find(letter)? + 1).ok()?;
    match letters.as_str() {
        "" => Some(1000_i64.pow(power)),
        "b" | "i" | "ib" => Some(1024_i64.pow(power)),
        _ => None,
    }
}
