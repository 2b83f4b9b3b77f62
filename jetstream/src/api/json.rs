//! JSON of requests: strict about fields that nobody knows, tolerant of `null` (jetstream.md 1.3).

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ApiError;

/// Reads a request; with `strict` an unknown field refuses it.
///
/// # Errors
///
/// 10025.
pub(crate) fn request<T: DeserializeOwned>(bytes: &[u8], strict: bool) -> Result<T, ApiError> {
    parse(bytes).and_then(|value| typed(value, strict)).map_err(ApiError::invalid_json)
}

/// As [`request`], from what was parsed before.
///
/// # Errors
///
/// 10025.
pub(super) fn of_value<T: DeserializeOwned>(value: Value, strict: bool) -> Result<T, ApiError> {
    typed(value, strict).map_err(ApiError::invalid_json)
}

/// Any JSON, without the members that are `null`.
///
/// # Errors
///
/// 10025.
pub(super) fn value(bytes: &[u8]) -> Result<Value, ApiError> {
    parse(bytes).map_err(ApiError::invalid_json)
}

/// Reads what lies in a store: nothing unknown may be in it.
///
/// # Errors
///
/// What is wrong.
pub(crate) fn stored<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    typed(parse(bytes)?, true)
}

/// Reads JSON without looking for unknown fields.
pub(crate) fn tolerant<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    typed(parse(bytes).ok()?, false).ok()
}

fn parse(bytes: &[u8]) -> Result<Value, String> {
    let mut values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let mut value = match values.next() {
        None => return Err("unexpected end of JSON input".to_owned()),
        Some(value) => value.map_err(|error| error.to_string())?,
    };
    // What follows the first value is tolerated if it is JSON itself.
    for rest in values {
        rest.map_err(|error| error.to_string())?;
    }
    drop_nulls(&mut value);
    Ok(value)
}

fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(drop_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}

fn typed<T: DeserializeOwned>(value: Value, strict: bool) -> Result<T, String> {
    if !value.is_object() {
        return Err("expected an object".to_owned());
    }
    let mut unknown = None;
    let typed = serde_ignored::deserialize(value, |path| {
        if unknown.is_none() {
            unknown = Some(last_of(&path));
        }
    });
    match (typed, unknown) {
        (_, Some(field)) if strict => Err(format!("json: unknown field {field:?}")),
        (typed, _) => typed.map_err(|error| error.to_string()),
    }
}

fn last_of(path: &serde_ignored::Path<'_>) -> String {
    match path {
        serde_ignored::Path::Map { key, .. } => key.clone(),
        other => other.to_string(),
    }
}

/// The body says something: its first byte that is no blank begins an object or a list.
pub(super) fn is_given(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['))
}

/// The body is empty, or an empty object.
pub(crate) fn is_empty(bytes: &[u8]) -> bool {
    let text = bytes.trim_ascii();
    text.is_empty()
        || text
            .strip_prefix(b"{")
            .and_then(|rest| rest.strip_suffix(b"}"))
            .is_some_and(|inside| inside.trim_ascii().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::StreamConfig;

    #[test]
    fn unknown_fields_are_named_wherever_they_are() {
        for (body, field) in [
            (r#"{"name":"S","foo":1}"#, "foo"),
            (r#"{"name":"S","mirror":{"name":"O","bar":null,"baz":2}}"#, "baz"),
            (r#"{"name":"S","rollup_hdrs":true}"#, "rollup_hdrs"),
        ] {
            let error = request::<StreamConfig>(body.as_bytes(), true).unwrap_err();
            assert_eq!(error.description, format!("invalid JSON: json: unknown field \"{field}\""));
            assert!(request::<StreamConfig>(body.as_bytes(), false).is_ok(), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in ["", "{", r#"{"name":}"#, r#"{"name":"S"} x"#, r#"{"name":1}"#, "[]", r#"{"retention":"some"}"#] {
            assert_eq!(request::<StreamConfig>(body.as_bytes(), true).unwrap_err().err_code, 10025, "{body}");
        }
        assert!(request::<StreamConfig>(br#"{"name":"S","subjects":null} {}"#, true).is_ok());
        let deep = "[".repeat(100_000);
        assert_eq!(value(deep.as_bytes()).unwrap_err().err_code, 10025);
    }

    #[test]
    fn empty_bodies() {
        for (body, empty, given) in [
            ("", true, false),
            (" {} ", true, true),
            ("{ }", true, true),
            ("{\"a\":1}", false, true),
            ("x", false, false),
        ] {
            assert_eq!((is_empty(body.as_bytes()), is_given(body.as_bytes())), (empty, given), "{body}");
        }
    }
}
