//! What may be asked of the authority: names, each checked for its form.

use rcgen::SanType;
use rcgen::string::Ia5String;

use super::PkiError;

/// Most names in one certificate.
const NAMES_MAX: usize = 64;

/// The names that a client certificate is to prove.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateNames {
    /// Subject common name. Shown to people; users are mapped by the other names first.
    pub common_name: String,
    /// E-mail addresses.
    pub emails: Vec<String>,
    /// DNS names.
    pub dns: Vec<String>,
    /// URIs, such as a SPIFFE id.
    pub uris: Vec<String>,
}

/// A client certificate that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientRequest {
    /// What it is to prove. Names in `csr` are not taken over: who issues decides.
    pub names: CertificateNames,
    /// A signing request whose key is to be certified; without one a key is generated.
    pub csr: Option<String>,
    /// How long it is valid, in seconds.
    pub valid_seconds: i64,
}

impl CertificateNames {
    /// The alternative names, checked.
    ///
    /// # Errors
    ///
    /// [`PkiError::Request`] for a name that is malformed, too long, or when there is none at all.
    pub(super) fn alternatives(&self) -> Result<Vec<SanType>, PkiError> {
        let count = self.emails.len() + self.dns.len() + self.uris.len();
        if count > NAMES_MAX {
            return Err(PkiError::request("dns", format!("{count} names are too many; at most {NAMES_MAX}")));
        }
        if count == 0 && self.common_name.is_empty() {
            return Err(PkiError::request("common_name", "a certificate needs at least one name"));
        }
        check("common_name", &self.common_name, |name| name.is_empty() || printable(name))?;
        let mut names = Vec::with_capacity(count);
        for email in &self.emails {
            check("emails", email, is_email)?;
            names.push(SanType::Rfc822Name(ia5("emails", email)?));
        }
        for dns in &self.dns {
            check("dns", dns, is_dns)?;
            names.push(SanType::DnsName(ia5("dns", dns)?));
        }
        for uri in &self.uris {
            check("uris", uri, is_uri)?;
            names.push(SanType::URI(ia5("uris", uri)?));
        }
        Ok(names)
    }

    /// The names as text with their kind: `email:..`, `dns:..`, `uri:..`.
    pub fn to_texts(&self) -> Vec<String> {
        let kinds = [("email", &self.emails), ("dns", &self.dns), ("uri", &self.uris)];
        kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| format!("{kind}:{name}"))).collect()
    }
}

fn check(field: &'static str, name: &str, form: impl Fn(&str) -> bool) -> Result<(), PkiError> {
    if name.len() <= 253 && form(name) {
        return Ok(());
    }
    let shown: String = name.chars().take(80).collect();
    Err(PkiError::request(field, format!("`{shown}` does not have the form of such a name")))
}

fn ia5(field: &'static str, name: &str) -> Result<Ia5String, PkiError> {
    Ia5String::try_from(name).map_err(|_| PkiError::request(field, "names in certificates are ASCII"))
}

fn printable(name: &str) -> bool {
    name.chars().all(|character| !character.is_control())
}

fn is_email(name: &str) -> bool {
    let Some((local, domain)) = name.rsplit_once('@') else { return false };
    let local_good = !local.is_empty() && local.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'@');
    local_good && is_dns(domain) && !domain.starts_with('*')
}

fn is_dns(name: &str) -> bool {
    let rest = name.strip_prefix("*.").unwrap_or(name);
    !rest.is_empty()
        && rest.split('.').all(|label| {
            let bytes = label.as_bytes();
            let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
            (1..=63).contains(&bytes.len())
                && edge(bytes.first())
                && edge(bytes.last())
                && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        })
}

fn is_uri(name: &str) -> bool {
    let Some((scheme, rest)) = name.split_once(':') else { return false };
    let scheme_good = scheme.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    scheme_good
        && !rest.is_empty()
        && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"<>\"{}|\\^`".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_a_form() {
        for (field, name, good) in [
            ("emails", "ann@example.org", true),
            ("emails", "ann", false),
            ("emails", "@example.org", false),
            ("emails", "ann@", false),
            ("emails", "a b@example.org", false),
            ("emails", "ann@*.example.org", false),
            ("dns", "a.example.org", true),
            ("dns", "*.example.org", true),
            ("dns", "a.*.org", false),
            ("dns", "-a.org", false),
            ("dns", "a..org", false),
            ("dns", "", false),
            ("dns", "a.org.", false),
            ("dns", "ä.org", false),
            ("uris", "spiffe://example.org/service/a", true),
            ("uris", "urn:x:y", true),
            ("uris", "no scheme", false),
            ("uris", "http:", false),
            ("uris", "1x://a", false),
            ("uris", "spiffe://a/b c", false),
        ] {
            let mut names = CertificateNames::default();
            match field {
                "emails" => names.emails.push(name.to_owned()),
                "dns" => names.dns.push(name.to_owned()),
                _ => names.uris.push(name.to_owned()),
            }
            assert_eq!(names.alternatives().is_ok(), good, "{field} {name}");
        }
    }

    #[test]
    fn a_certificate_without_any_name_is_refused() {
        assert!(CertificateNames::default().alternatives().is_err());
        let named = CertificateNames { common_name: "ann".to_owned(), ..CertificateNames::default() };
        assert!(named.alternatives().unwrap().is_empty());
        let odd = CertificateNames { common_name: "ann\n".to_owned(), ..CertificateNames::default() };
        assert!(odd.alternatives().is_err());
    }
}
