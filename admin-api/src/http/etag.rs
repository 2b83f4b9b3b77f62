//! Versions of objects: `ETag` on what is read, `If-Match` on what is changed.

use axum::http::{HeaderMap, HeaderValue, header};

use crate::problem::{Code, Problem};

/// The entity tag of an object's version: `"v7"`.
pub fn tag(version: i64) -> HeaderValue {
    HeaderValue::from_str(&format!("\"v{version}\"")).unwrap_or(HeaderValue::from_static("\"v0\""))
}

/// What the caller says about the version it changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Precondition {
    /// Whatever it is now: `If-Match: *`, or no header where none is needed.
    Any,
    /// Only one of these versions.
    OneOf(Vec<i64>),
}

impl Precondition {
    /// Holds when `version` is what the caller read.
    ///
    /// # Errors
    ///
    /// 412, with the present version.
    pub fn check(&self, version: i64) -> Result<(), Problem> {
        match self {
            Self::Any => Ok(()),
            Self::OneOf(versions) if versions.contains(&version) => Ok(()),
            Self::OneOf(_) => {
                Err(Problem::new(Code::PreconditionFailed, format!("the object is now at version \"v{version}\""))
                    .at("If-Match"))
            }
        }
    }

    /// Reads `If-Match`; `None` when there is none.
    ///
    /// # Errors
    ///
    /// 422 when it is not a list of our tags.
    pub fn parse(headers: &HeaderMap) -> Result<Option<Self>, Problem> {
        let mut versions = Vec::new();
        let mut seen = false;
        for value in headers.get_all(header::IF_MATCH) {
            seen = true;
            let text = value.to_str().map_err(|_| malformed())?;
            if text.trim() == "*" {
                return Ok(Some(Self::Any));
            }
            for one in text.split(',') {
                let version = one.trim().strip_prefix("\"v").and_then(|rest| rest.strip_suffix('"'));
                versions.push(version.and_then(|digits| digits.parse().ok()).ok_or_else(malformed)?);
            }
        }
        Ok(seen.then_some(Self::OneOf(versions)))
    }
}

fn malformed() -> Problem {
    Problem::invalid("If-Match", "the header is not a list of entity tags of ours")
        .remedy("send the ETag exactly as it was received, with its quotes, or `*`")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::IF_MATCH, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_tag_is_read_back_as_its_version() {
        let text = tag(7);
        let read = Precondition::parse(&headers(&[text.to_str().unwrap()])).unwrap().unwrap();
        assert_eq!(read, Precondition::OneOf(vec![7]));
        assert!(read.check(7).is_ok());
        assert_eq!(read.check(8).unwrap_err().code, Code::PreconditionFailed);
    }

    #[test]
    fn a_list_a_star_and_nothing_are_told_apart() {
        assert_eq!(Precondition::parse(&headers(&[])).unwrap(), None);
        assert_eq!(Precondition::parse(&headers(&["*"])).unwrap(), Some(Precondition::Any));
        assert_eq!(
            Precondition::parse(&headers(&["\"v1\", \"v2\"", "\"v3\""])).unwrap(),
            Some(Precondition::OneOf(vec![1, 2, 3]))
        );
    }

    #[test]
    fn what_is_not_our_tag_is_refused() {
        for bad in ["v1", "\"1\"", "W/\"v1\"", "\"v\"", "\"vx\"", "", "\"v1", "\"v1\",,"] {
            assert!(Precondition::parse(&headers(&[bad])).is_err(), "{bad}");
        }
    }
}
