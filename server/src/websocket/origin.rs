//! Which web pages may connect: a browser says in `Origin` where the page came from.
//!
//! Who is no browser sends none, and passes: this guards a person's cookies, and proves nothing about a peer.

use std::str::FromStr;

use axum::http::Uri;
use axum::http::uri::Authority;

/// Which origins are let in; all when nothing is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OriginPolicy {
    /// Only the origin that the request itself went to.
    pub same: bool,
    /// Only these; any when empty.
    pub allowed: Vec<Origin>,
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    secure: bool,
    /// In lower case.
    host: String,
    port: u16,
}

/// Why a text is no origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a URL with http or https and a host, like \"https://example.com\"")]
pub struct NoOrigin;

/// Why an origin is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OriginRefused {
    /// The list does not have it.
    #[error("the origin is none of `allowed_origins`")]
    NotAllowed,
    /// It cannot be read.
    #[error("the origin is {0}")]
    Unreadable(#[from] NoOrigin),
    /// It is another one than the request went to.
    #[error("the origin is not the host that the request went to")]
    OtherSite,
}

impl FromStr for Origin {
    type Err = NoOrigin;

    fn from_str(text: &str) -> Result<Self, NoOrigin> {
        let uri: Uri = text.parse().map_err(|_| NoOrigin)?;
        let secure = match uri.scheme_str() {
            Some(scheme) if scheme.eq_ignore_ascii_case("http") => false,
            Some(scheme) if scheme.eq_ignore_ascii_case("https") => true,
            _ => return Err(NoOrigin),
        };
        Self::at(uri.authority().ok_or(NoOrigin)?, secure)
    }
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}://{}:{}", if self.secure { "https" } else { "http" }, self.host, self.port)
    }
}

impl Origin {
    fn at(authority: &Authority, secure: bool) -> Result<Self, NoOrigin> {
        let host = authority.host().to_ascii_lowercase();
        // What cannot be read as a port must not pass for none; and nobody signs in to an origin.
        let port = match authority.as_str().strip_prefix(authority.host()) {
            Some("" | ":") => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or(NoOrigin)?,
            None => return Err(NoOrigin),
        };
        if host.is_empty() { Err(NoOrigin) } else { Ok(Self { secure, host, port }) }
    }
}

impl OriginPolicy {
    /// Decides about a request to `host` whose page came from `origin`.
    ///
    /// # Errors
    ///
    /// [`OriginRefused`]: both rules must be met where both are set.
    pub fn check(&self, origin: Option<&str>, host: &str, secure: bool) -> Result<(), OriginRefused> {
        let Some(origin) = origin.filter(|_| self.same || !self.allowed.is_empty()) else { return Ok(()) };
        let origin: Origin = origin.trim().parse()?;
        if self.same {
            let host: Authority = host.parse().map_err(|_| OriginRefused::OtherSite)?;
            if Origin::at(&host, secure)? != origin {
                return Err(OriginRefused::OtherSite);
            }
        }
        if self.allowed.is_empty() || self.allowed.contains(&origin) { Ok(()) } else { Err(OriginRefused::NotAllowed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(policy: &OriginPolicy, origin: Option<&str>, secure: bool) -> bool {
        policy.check(origin, "Broker.example:8080", secure).is_ok()
    }

    #[test]
    fn without_a_policy_every_page_may_connect() {
        for origin in [None, Some("http://other.example"), Some("null"), Some("")] {
            assert!(passes(&OriginPolicy::default(), origin, false), "{origin:?}");
        }
    }

    #[test]
    fn the_same_site_is_scheme_host_and_port() {
        let policy = OriginPolicy { same: true, allowed: Vec::new() };
        for (origin, secure, expected) in [
            (None, false, true),
            (Some("http://broker.example:8080"), false, true),
            (Some("HTTP://BROKER.EXAMPLE:8080"), false, true),
            (Some("http://broker.example:8080/page?x"), false, true),
            (Some("https://broker.example:8080"), true, true),
            (Some("https://broker.example:8080"), false, false),
            (Some("http://broker.example:8080"), true, false),
            (Some("http://broker.example"), false, false),
            (Some("http://broker.example:8081"), false, false),
            (Some("http://broker.example.evil:8080"), false, false),
            (Some("http://broker.example:8080@evil.example"), false, false),
            (Some("null"), false, false),
            (Some(""), false, false),
            (Some("broker.example:8080"), false, false),
            (Some("ws://broker.example:8080"), false, false),
        ] {
            assert_eq!(passes(&policy, origin, secure), expected, "{origin:?} {secure}");
        }
    }

    #[test]
    fn a_listed_origin_is_matched_whole() {
        let policy = OriginPolicy { same: false, allowed: vec!["http://ok.example:80".parse().unwrap()] };
        for (origin, expected) in [
            ("http://ok.example", true),
            ("http://OK.example:80/path", true),
            ("https://ok.example", false),
            ("https://ok.example:80", false),
            ("http://ok.example:81", false),
            ("http://not-ok.example", false),
            ("http://ok.example.evil", false),
            ("null", false),
            ("http://", false),
            ("http://ok.example:x", false),
            ("http://ok.example:65616", false),
            ("http://ok.example@ok.example", false),
            ("http://ok.example:", true),
        ] {
            assert_eq!(passes(&policy, Some(origin), false), expected, "{origin}");
        }
        let both = OriginPolicy { same: true, ..policy };
        assert!(!passes(&both, Some("http://ok.example"), false), "it is on the list, and of another site");
        assert!(!passes(&both, Some("http://broker.example:8080"), false), "it is of the site, and not on the list");
        assert!(passes(&both, None, false));
    }

    #[test]
    fn an_address_of_version_6_is_a_host() {
        let policy = OriginPolicy { same: true, allowed: Vec::new() };
        assert!(policy.check(Some("http://[::1]:8080"), "[::1]:8080", false).is_ok());
        assert!(policy.check(Some("http://[::1]"), "[::1]:80", false).is_ok());
        assert!(policy.check(Some("http://[::2]"), "[::1]", false).is_err());
    }

    #[test]
    fn what_is_no_origin_cannot_be_listed() {
        for text in ["", "ok.example", "ftp://ok.example", "http://", "//ok.example", "https:", "http:///path"] {
            assert!(text.parse::<Origin>().is_err(), "{text}");
        }
    }
}
