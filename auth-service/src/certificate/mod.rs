//! Identities in a client certificate, in the order in which they are tried (`auth.md` 4.4).
//!
//! A certificate is read here only after the TLS layer verified its chain. Only the leaf counts.

mod name;

use rustls_pki_types::CertificateDer;
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;

pub use name::{DistinguishedName, InvalidName};

/// Names read from one list of a certificate at most; what comes after is not looked at.
const NAMES_MAX: usize = 64;

/// What a verified leaf certificate says about its holder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificateIdentity {
    /// E-mail addresses of the subject alternative name.
    pub emails: Vec<String>,
    /// DNS names of the subject alternative name.
    pub dns_names: Vec<String>,
    /// URIs of the subject alternative name, whole: a SPIFFE id is one.
    pub uris: Vec<String>,
    /// The subject, if all its attributes are of types that can be compared.
    pub subject: Option<DistinguishedName>,
    /// The subject as Go prints it, with and without `DC` components; most specific first.
    pub subject_texts: Vec<String>,
    /// `notAfter`, in Unix seconds: a connection that got in by this certificate ends then.
    pub not_after: i64,
    /// `notBefore`, in Unix seconds.
    pub not_before: i64,
}

/// Why a certificate gives no identity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are no certificate that can be read.
    #[error("the client certificate cannot be read: {0}")]
    Malformed(String),
    /// Neither a subject nor a subject alternative name.
    #[error("the client certificate names nobody: it has neither a subject nor an e-mail, DNS or URI name")]
    Nameless,
}

impl CertificateIdentity {
    /// Reads the identities of a leaf certificate.
    ///
    /// # Errors
    ///
    /// [`CertificateError`] if it cannot be parsed or names nobody.
    pub fn of(leaf: &CertificateDer<'_>) -> Result<Self, CertificateError> {
        let malformed = |error: &dyn std::fmt::Display| CertificateError::Malformed(error.to_string());
        let (rest, certificate) = X509Certificate::from_der(leaf).map_err(|error| malformed(&error))?;
        if !rest.is_empty() {
            return Err(CertificateError::Malformed("bytes after its end".to_owned()));
        }
        let mut identity = Self {
            not_after: certificate.validity().not_after.timestamp(),
            not_before: certificate.validity().not_before.timestamp(),
            ..Self::default()
        };
        let alternative = certificate.subject_alternative_name().map_err(|error| malformed(&error))?;
        if let Some(alternative) = alternative {
            identity.take_alternative_names(&alternative.value.general_names);
        }
        let subject = name::parse_subject(certificate.subject()).map_err(|error| malformed(&error))?;
        identity.subject = subject.name;
        identity.subject_texts = subject.texts;
        if identity.names_nobody() {
            return Err(CertificateError::Nameless);
        }
        Ok(identity)
    }

    /// The names that are looked up exactly, in order: e-mails, DNS names, URIs.
    pub fn exact_names(&self) -> impl Iterator<Item = &str> {
        self.emails.iter().chain(&self.dns_names).chain(&self.uris).map(String::as_str)
    }

    /// The SPIFFE id, if there is exactly one URI and it is one (SPIFFE X.509-SVID, section 2).
    pub fn spiffe_id(&self) -> Option<&str> {
        match self.uris.as_slice() {
            [only] if only.starts_with("spiffe://") => Some(only),
            _ => None,
        }
    }

    fn take_alternative_names(&mut self, names: &[GeneralName<'_>]) {
        for name in names.iter().take(NAMES_MAX) {
            match name {
                GeneralName::RFC822Name(email) => self.emails.push((*email).to_owned()),
                GeneralName::DNSName(host) => self.dns_names.push((*host).to_owned()),
                GeneralName::URI(uri) => self.uris.push((*uri).to_owned()),
                _ => {}
            }
        }
    }

    fn names_nobody(&self) -> bool {
        self.exact_names().next().is_none()
            && self.subject_texts.is_empty()
            && self.subject.as_ref().is_none_or(DistinguishedName::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType};

    use super::*;

    fn certificate(common_names: &[(DnType, &str)], names: Vec<SanType>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in common_names {
            params.distinguished_name.push(kind.clone(), DnValue::Utf8String((*value).to_owned()));
        }
        params.subject_alt_names = names;
        params.not_after = rcgen::date_time_ymd(2031, 5, 6);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().clone()
    }

    #[test]
    fn names_come_in_the_order_email_dns_uri() {
        let der = certificate(
            &[(DnType::CommonName, "cn")],
            vec![
                SanType::URI("spiffe://example.org/app".try_into().unwrap()),
                SanType::DnsName("host.example".try_into().unwrap()),
                SanType::Rfc822Name("a@example.org".try_into().unwrap()),
            ],
        );
        let identity = CertificateIdentity::of(&der).unwrap();
        let names: Vec<&str> = identity.exact_names().collect();
        assert_eq!(names, ["a@example.org", "host.example", "spiffe://example.org/app"]);
        assert_eq!(identity.spiffe_id(), Some("spiffe://example.org/app"));
        assert_eq!(identity.not_after, 1_935_792_000);
    }

    #[test]
    fn the_subject_is_read_as_name_and_as_text() {
        let der = certificate(
            &[(DnType::CountryName, "DE"), (DnType::OrganizationName, "Acme, Inc"), (DnType::CommonName, "worker")],
            vec![],
        );
        let identity = CertificateIdentity::of(&der).unwrap();
        assert_eq!(identity.subject.unwrap(), r"CN=worker,O=Acme\, Inc,C=DE".parse().unwrap());
        assert_eq!(identity.subject_texts, [r"CN=worker,O=Acme\, Inc,C=DE"]);
    }

    #[test]
    fn domain_components_are_appended_to_the_text() {
        let dc = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 25]);
        let der = certificate(&[(dc, "org"), (DnType::CommonName, "worker")], vec![]);
        let identity = CertificateIdentity::of(&der).unwrap();
        assert_eq!(identity.subject_texts, ["CN=worker,DC=org", "CN=worker"]);
        assert_eq!(identity.subject.unwrap(), "CN=worker,DC=org".parse().unwrap());
    }

    #[test]
    fn a_subject_with_two_common_names_has_no_text_to_hide_one_behind() {
        let der = certificate(&[(DnType::CommonName, "evil"), (DnType::OrganizationName, "Acme")], vec![]);
        assert_eq!(CertificateIdentity::of(&der).unwrap().subject_texts, ["CN=evil,O=Acme"]);
        let twice = DnType::CustomDnType(vec![2, 5, 4, 3]);
        let der = certificate(&[(DnType::CommonName, "evil"), (twice, "worker")], vec![]);
        let identity = CertificateIdentity::of(&der).unwrap();
        assert!(identity.subject_texts.is_empty());
        assert_eq!(identity.subject.unwrap(), "CN=worker,CN=evil".parse().unwrap());
    }

    #[test]
    fn an_unknown_attribute_leaves_the_text_alone_to_compare_with() {
        let uid = DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1]);
        let der = certificate(&[(uid, "7"), (DnType::CommonName, "worker")], vec![]);
        let identity = CertificateIdentity::of(&der).unwrap();
        assert_eq!(identity.subject, None);
        assert_eq!(identity.subject_texts, ["CN=worker"]);
    }

    #[test]
    fn a_nameless_certificate_is_refused() {
        let der = certificate(&[], vec![]);
        assert_eq!(CertificateIdentity::of(&der), Err(CertificateError::Nameless));
    }

    #[test]
    fn noise_and_trailing_bytes_are_refused() {
        let mut der = certificate(&[(DnType::CommonName, "cn")], vec![]).to_vec();
        assert!(CertificateIdentity::of(&CertificateDer::from(vec![0u8; 40])).is_err());
        assert!(CertificateIdentity::of(&CertificateDer::from(Vec::new())).is_err());
        der.push(0);
        assert!(CertificateIdentity::of(&CertificateDer::from(der)).is_err());
    }
}
