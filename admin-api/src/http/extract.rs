//! Bodies, queries and path parameters, with problems instead of plain-text rejections.

use axum::extract::rejection::{BytesRejection, JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{HeaderMap, header, request::Parts};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use crate::problem::{Code, Problem};

/// A body that was read whole and is parsed when the handler asks, which is after it has checked the
/// caller's right: a refused caller learns nothing about its body.
#[derive(Debug)]
pub struct Raw {
    bytes: Bytes,
    json: bool,
}

impl Raw {
    /// A body of ours: what a form of the console stands for.
    pub(crate) fn of(value: &serde_json::Value) -> Self {
        Self { bytes: Bytes::from(value.to_string()), json: true }
    }

    /// The bytes, as idempotency compares them.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The body as JSON.
    ///
    /// # Errors
    ///
    /// 415 when it is not JSON by its content type, 422 with the field that is wrong.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        if !self.json {
            return Err(Problem::new(Code::UnsupportedMediaType, "the body's content type is not application/json"));
        }
        let axum::Json(value) = axum::Json::<T>::from_bytes(&self.bytes).map_err(|rejection| malformed(&rejection))?;
        Ok(value)
    }

    /// The body as JSON, or the default when there is none.
    ///
    /// # Errors
    ///
    /// As [`Raw::json`].
    pub fn json_or_default<T: DeserializeOwned + Default>(&self) -> Result<T, Problem> {
        if self.bytes.is_empty() { Ok(T::default()) } else { self.json() }
    }
}

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        let json = is_json(request.headers());
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| unreadable(&rejection))?;
        Ok(Self { bytes, json })
    }
}

/// The query of the URL, parsed into `T`. Unknown parameters are refused where `T` says so.
#[derive(Debug)]
pub struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Query::<T>::from_request_parts(parts, state).await.map(|Query(value)| Self(value)).map_err(|rejection| {
            let text = match &rejection {
                QueryRejection::FailedToDeserializeQueryString(inner) => inner.body_text(),
                _ => "the query cannot be read".to_owned(),
            };
            let text = strip(&text, "Failed to deserialize query string: ");
            let (field, detail) = place(text);
            let problem = Problem::new(Code::Invalid, detail).remedy("correct or drop the query parameter");
            match field {
                Some(field) => problem.at(format!("?{field}")),
                None => problem,
            }
        })
    }
}

/// The parameters in the path, parsed into `T` by [`std::str::FromStr`]. What does not parse does not exist.
#[derive(Debug)]
pub struct Id<T>(pub T);

impl<T, S> FromRequestParts<S> for Id<T>
where
    T: PathParameters,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(texts) = Path::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|_| Problem::new(Code::NotFound, "the path cannot be read"))?;
        let texts: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        T::parse(&texts).map(Self)
    }
}

/// What a path's parameters can be parsed into.
pub trait PathParameters: Sized {
    /// Parses the parameters, in the order of the path.
    ///
    /// # Errors
    ///
    /// A problem of the kind "not found".
    fn parse(texts: &[&str]) -> Result<Self, Problem>;
}

fn one<T: std::str::FromStr>(text: Option<&&str>) -> Result<T, Problem> {
    let text = text.copied().unwrap_or_default();
    text.parse().map_err(|_| {
        let shown: String = text.chars().take(80).collect();
        Problem::not_found("object", shown)
            .remedy("keys are 56 characters and begin with the letter of their role: O, A or U")
    })
}

impl<A: std::str::FromStr> PathParameters for (A,) {
    fn parse(texts: &[&str]) -> Result<Self, Problem> {
        Ok((one(texts.first())?,))
    }
}

impl<A: std::str::FromStr, B: std::str::FromStr> PathParameters for (A, B) {
    fn parse(texts: &[&str]) -> Result<Self, Problem> {
        Ok((one(texts.first())?, one(texts.get(1))?))
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let kind = kind.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

fn unreadable(rejection: &BytesRejection) -> Problem {
    if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
        Problem::new(Code::BodyTooLarge, "the body is longer than 1 MiB")
    } else {
        Problem::new(Code::Invalid, "the body could not be read to its end")
    }
}

fn malformed(rejection: &JsonRejection) -> Problem {
    let text = rejection.body_text();
    let text = strip(&text, "Failed to deserialize the JSON body into the target type: ");
    let text = strip(text, "Failed to parse the request body as JSON: ");
    let (field, detail) = place(text);
    let problem = Problem::new(Code::Invalid, detail);
    match field {
        Some(field) => problem.at(field),
        None => problem,
    }
}

fn strip<'a>(text: &'a str, prefix: &str) -> &'a str {
    text.strip_prefix(prefix).unwrap_or(text)
}

/// Splits serde's `path: message` and adds the name that the message has in backticks, if it is a field's.
fn place(text: &str) -> (Option<String>, String) {
    let (path, message) = match text.split_once(": ") {
        Some((path, message)) if !path.contains(' ') && !path.contains('`') => (path, message),
        _ => ("", text),
    };
    let path = if path == "." { "" } else { path };
    let message = without_position(message).to_owned();
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|lead| message.strip_prefix(lead))
        .and_then(|rest| rest.split('`').next());
    let field = match (path, named) {
        ("", None) => None,
        ("", Some(name)) => Some(name.to_owned()),
        (path, Some(name)) if !path.ends_with(name) => Some(format!("{path}.{name}")),
        (path, _) => Some(path.to_owned()),
    };
    // A name may be empty; then there is nothing to point at, and the text says so.
    (field.filter(|field| !field.is_empty()), message)
}

/// Without the ` at line 1 column 2` that it may end with; what a caller's own names hold of the kind stays.
fn without_position(message: &str) -> &str {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match message.rsplit_once(" at line ") {
        Some((before, position))
            if !before.is_empty()
                && position
                    .split_once(" column ")
                    .is_some_and(|(line, column)| is_number(line) && is_number(column)) =>
        {
            before
        }
        _ => message,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parse_error_names_the_field() {
        for (text, field, detail) in [
            (".: missing field `name` at line 1 column 2", Some("name"), "missing field `name`"),
            (
                "limits.connections: invalid type: string \"x\", expected i64 at line 1 column 9",
                Some("limits.connections"),
                "invalid type: string \"x\", expected i64",
            ),
            (
                "limits: unknown field `x`, expected one of `a`",
                Some("limits.x"),
                "unknown field `x`, expected one of `a`",
            ),
            ("unknown field ``, expected `a` at line 1 column 4", None, "unknown field ``, expected `a`"),
            ("limits.x: unknown field `x`, expected `a`", Some("limits.x"), "unknown field `x`, expected `a`"),
            ("missing field `name` at line 1 column 2", Some("name"), "missing field `name`"),
            ("EOF while parsing an object at line 1 column 1", None, "EOF while parsing an object"),
            (" at line /: expected value at line 1 column 9", None, " at line /: expected value"),
            (" at line 1 column 2", None, " at line 1 column 2"),
        ] {
            assert_eq!(place(text), (field.map(str::to_owned), detail.to_owned()), "{text}");
        }
    }

    #[test]
    fn only_json_counts_as_json() {
        for (kind, json) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonl", false),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, kind.parse().unwrap());
            assert_eq!(is_json(&headers), json, "{kind}");
        }
        assert!(!is_json(&HeaderMap::new()));
    }
}
