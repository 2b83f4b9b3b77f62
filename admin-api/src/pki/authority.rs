//! The CA itself: made once, read at each start, and what it signs.

use std::path::{Path, PathBuf};

use cordon_auth::clock::Clock;
use rand::RngCore as _;
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertificateSigningRequestParams, DnType, ExtendedKeyUsagePurpose,
    IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use time::{Duration, OffsetDateTime};
use zeroize::Zeroizing;

use super::files::{make_folder, read, write_private, write_public};
use super::{ClientRequest, PkiError};
use crate::limits::CERTIFICATE_SECONDS_MAX;

/// How long the CA is valid, in days.
const AUTHORITY_DAYS: i64 = 3650;

/// How long a server certificate is valid, in days.
const SERVER_DAYS: i64 = 825;

/// Certificates begin this much before they are made, for machines whose clocks are behind.
const BACKDATE_SECONDS: i64 = 300;

/// Longest signing request that is read, in bytes.
const CSR_BYTES_MAX: usize = 32 * 1024;

/// The local certificate authority.
///
/// Its certificate is `ca.pem`, its key `ca.key` (0600), in one folder.
pub struct Authority {
    folder: PathBuf,
    certificate_pem: String,
    issuer: Issuer<'static, KeyPair>,
    clock: Clock,
}

/// A certificate that was just made.
pub struct Issued {
    /// Its serial number, lower-case hexadecimal.
    pub serial: String,
    /// The certificate.
    pub pem: String,
    /// SHA-256 of its DER, lower-case hexadecimal.
    pub fingerprint: String,
    /// Its private key, when it was generated here. Kept nowhere: this is the only copy.
    pub private_key_pem: Option<Zeroizing<String>>,
    /// Unix seconds.
    pub not_before: i64,
    /// Unix seconds.
    pub not_after: i64,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Issued").field("serial", &self.serial).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Authority").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Authority {
    /// Reads the authority of this folder, or makes one.
    ///
    /// When this returns, `ca.pem` and `ca.key` are on disk.
    ///
    /// # Errors
    ///
    /// [`PkiError::Unusable`] when only one of the two files is there or they do not belong together,
    /// [`PkiError::File`] when the folder cannot be read or written.
    pub fn open_or_create(folder: &Path, clock: Clock) -> Result<Self, PkiError> {
        let (certificate, key) = (folder.join("ca.pem"), folder.join("ca.key"));
        match (certificate.exists(), key.exists()) {
            (true, true) => Self::open(folder, clock),
            (false, false) => Self::create(folder, clock),
            (true, false) => Err(unusable(folder, "`ca.key` is missing")),
            (false, true) => Err(unusable(folder, "`ca.pem` is missing")),
        }
    }

    /// The CA's certificate: what clients must trust.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// Makes a server certificate for these DNS names and IP addresses and writes it, followed by the
    /// CA's, and its key (0600).
    ///
    /// # Errors
    ///
    /// [`PkiError`] for a malformed name or a file that cannot be written.
    pub fn issue_server(&self, names: &[String], certificate: &Path, key: &Path) -> Result<Issued, PkiError> {
        if names.is_empty() {
            return Err(PkiError::request("names", "a server certificate needs a name"));
        }
        let mut params = CertificateParams::new(names.to_vec())?;
        params.distinguished_name.push(DnType::CommonName, names.first().cloned().unwrap_or_default());
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let pair = KeyPair::generate()?;
        let issued = self.sign(params, &pair, SERVER_DAYS * 86_400)?;
        let private = Zeroizing::new(pair.serialize_pem());
        write_private(key, private.as_bytes())?;
        write_public(certificate, format!("{}{}", issued.pem, self.certificate_pem).as_bytes())?;
        Ok(Issued { private_key_pem: Some(private), ..issued })
    }

    /// Makes a client certificate, for the key of a signing request or for a new one.
    ///
    /// Only the key is taken from the request; names, purposes and life are what was granted here.
    ///
    /// # Errors
    ///
    /// [`PkiError::Request`] when the names, the life or the signing request are not acceptable.
    pub fn issue_client(&self, request: &ClientRequest) -> Result<Issued, PkiError> {
        if !(60..=CERTIFICATE_SECONDS_MAX).contains(&request.valid_seconds) {
            let detail = format!("`{}` is not between 60 and {CERTIFICATE_SECONDS_MAX} seconds", request.valid_seconds);
            return Err(PkiError::request("expires_in_seconds", detail));
        }
        let mut params = CertificateParams::default();
        params.subject_alt_names = request.names.alternatives()?;
        params.distinguished_name = rcgen::DistinguishedName::new();
        if !request.names.common_name.is_empty() {
            params.distinguished_name.push(DnType::CommonName, request.names.common_name.clone());
        }
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        if let Some(csr) = &request.csr {
            let asked = read_request(csr)?;
            return self.sign(params, &asked.public_key, request.valid_seconds);
        }
        let pair = KeyPair::generate()?;
        let issued = self.sign(params, &pair, request.valid_seconds)?;
        Ok(Issued { private_key_pem: Some(Zeroizing::new(pair.serialize_pem())), ..issued })
    }

    fn open(folder: &Path, clock: Clock) -> Result<Self, PkiError> {
        let certificate_pem = read(&folder.join("ca.pem"))?;
        let key_pem = Zeroizing::new(read(&folder.join("ca.key"))?);
        let key = KeyPair::from_pem(&key_pem).map_err(|_| unusable(folder, "`ca.key` is not a private key"))?;
        if !carries_key(&certificate_pem, &key) {
            return Err(unusable(folder, "`ca.pem` is not the certificate of `ca.key`"));
        }
        let issuer = Issuer::from_ca_cert_pem(&certificate_pem, key)
            .map_err(|cause| unusable(folder, &format!("`ca.pem` cannot be read: {cause}")))?;
        Ok(Self { folder: folder.to_owned(), certificate_pem, issuer, clock })
    }

    fn create(folder: &Path, clock: Clock) -> Result<Self, PkiError> {
        make_folder(folder)?;
        let now = now(&clock);
        let (serial, _) = new_serial();
        let mut params = CertificateParams::default();
        params.serial_number = Some(serial);
        params.not_before = now - Duration::seconds(BACKDATE_SECONDS);
        params.not_after = now + Duration::days(AUTHORITY_DAYS);
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "Cordon local CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?;
        // The key first: a certificate without its key would look like a damaged authority.
        write_private(&folder.join("ca.key"), Zeroizing::new(key.serialize_pem()).as_bytes())?;
        write_public(&folder.join("ca.pem"), certificate.pem().as_bytes())?;
        Self::open(folder, clock)
    }

    fn sign(&self, mut params: CertificateParams, key: &impl PublicKeyData, seconds: i64) -> Result<Issued, PkiError> {
        let now = now(&self.clock);
        let (serial, serial_text) = new_serial();
        params.serial_number = Some(serial);
        params.not_before = now - Duration::seconds(BACKDATE_SECONDS);
        params.not_after = now + Duration::seconds(seconds);
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let (not_before, not_after) = (params.not_before.unix_timestamp(), params.not_after.unix_timestamp());
        let certificate: Certificate = params.signed_by(key, &self.issuer)?;
        Ok(Issued {
            serial: serial_text,
            pem: certificate.pem(),
            fingerprint: data_encoding::HEXLOWER.encode(&Sha256::digest(certificate.der())),
            private_key_pem: None,
            not_before,
            not_after,
        })
    }
}

fn read_request(csr: &str) -> Result<CertificateSigningRequestParams, PkiError> {
    if csr.len() > CSR_BYTES_MAX {
        return Err(PkiError::request("csr", format!("the signing request is longer than {CSR_BYTES_MAX} bytes")));
    }
    CertificateSigningRequestParams::from_pem(csr).map_err(|cause| {
        PkiError::request(
            "csr",
            format!("this is not a PEM signing request with a good signature and plain extensions: {cause}"),
        )
    })
}

fn carries_key(certificate_pem: &str, key: &KeyPair) -> bool {
    use x509_parser::prelude::{FromDer as _, X509Certificate, parse_x509_pem};
    let Ok((_, pem)) = parse_x509_pem(certificate_pem.as_bytes()) else { return false };
    let Ok((_, certificate)) = X509Certificate::from_der(&pem.contents) else { return false };
    certificate.public_key().subject_public_key.data.as_ref() == key.der_bytes()
}

/// 127 random bits: positive, never zero, and nothing in it to guess.
fn new_serial() -> (SerialNumber, String) {
    let mut bytes = [0_u8; 16];
    rand::rngs::OsRng.fill_bytes(&mut bytes);
    if let Some(first) = bytes.first_mut() {
        *first = (*first & 0x7f) | 0x40;
    }
    (SerialNumber::from_slice(&bytes), data_encoding::HEXLOWER.encode(&bytes))
}

fn now(clock: &Clock) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp(clock.unix_seconds()).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn unusable(folder: &Path, cause: &str) -> PkiError {
    PkiError::Unusable { path: folder.to_owned(), cause: cause.to_owned() }
}

#[cfg(test)]
mod tests {
    use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate, parse_x509_pem};

    use super::super::CertificateNames;
    use super::*;

    fn authority() -> (tempfile::TempDir, Authority) {
        let folder = tempfile::tempdir().unwrap();
        let authority = Authority::open_or_create(&folder.path().join("ca"), Clock::manual(1_780_000_000)).unwrap();
        (folder, authority)
    }

    fn ann(csr: Option<String>) -> ClientRequest {
        let names = CertificateNames {
            common_name: "ann".to_owned(),
            emails: vec!["ann@example.org".to_owned()],
            dns: vec![],
            uris: vec!["spiffe://example.org/ann".to_owned()],
        };
        ClientRequest { names, csr, valid_seconds: 3600 }
    }

    fn with_certificate(pem: &str, look: impl FnOnce(&X509Certificate<'_>)) {
        let (_, pem) = parse_x509_pem(pem.as_bytes()).unwrap();
        let (_, certificate) = X509Certificate::from_der(&pem.contents).unwrap();
        look(&certificate);
    }

    #[test]
    fn a_second_start_finds_the_same_authority() {
        let (folder, first) = authority();
        let second = Authority::open_or_create(&folder.path().join("ca"), Clock::manual(1_780_000_000)).unwrap();
        assert_eq!(first.certificate_pem(), second.certificate_pem());
    }

    #[cfg(unix)]
    #[test]
    fn the_key_of_the_authority_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, _authority) = authority();
        let mode = std::fs::metadata(folder.path().join("ca/ca.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn an_authority_with_a_lost_or_foreign_file_is_not_replaced_unasked() {
        let (folder, _authority) = authority();
        let path = folder.path().join("ca");
        let key = std::fs::read(path.join("ca.key")).unwrap();
        std::fs::remove_file(path.join("ca.key")).unwrap();
        assert!(matches!(Authority::open_or_create(&path, Clock::manual(0)), Err(PkiError::Unusable { .. })));
        std::fs::write(path.join("ca.key"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
        assert!(matches!(Authority::open_or_create(&path, Clock::manual(0)), Err(PkiError::Unusable { .. })));
        std::fs::write(path.join("ca.key"), key).unwrap();
        assert!(Authority::open_or_create(&path, Clock::manual(0)).is_ok());
    }

    #[test]
    fn a_client_certificate_carries_what_was_granted() {
        let (_folder, authority) = authority();
        let issued = authority.issue_client(&ann(None)).unwrap();
        assert!(issued.private_key_pem.as_ref().unwrap().contains("PRIVATE KEY"));
        with_certificate(&issued.pem, |certificate| {
            assert_eq!(certificate.raw_serial_as_string().replace(':', ""), issued.serial);
            assert_eq!(certificate.validity().not_after.timestamp(), 1_780_003_600);
            assert!(certificate.extended_key_usage().unwrap().unwrap().value.client_auth);
            assert!(!certificate.extended_key_usage().unwrap().unwrap().value.server_auth);
            assert!(!certificate.is_ca());
            let names = &certificate.subject_alternative_name().unwrap().unwrap().value.general_names;
            assert_eq!(
                *names,
                vec![GeneralName::RFC822Name("ann@example.org"), GeneralName::URI("spiffe://example.org/ann")]
            );
        });
    }

    #[test]
    fn a_signing_request_gives_its_key_and_not_its_names() {
        let (_folder, authority) = authority();
        let key = KeyPair::generate().unwrap();
        let mut wishes = CertificateParams::new(vec!["admin.example.org".to_owned()]).unwrap();
        wishes.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let csr = wishes.serialize_request(&key).unwrap().pem().unwrap();
        let issued = authority.issue_client(&ann(Some(csr))).unwrap();
        assert!(issued.private_key_pem.is_none());
        with_certificate(&issued.pem, |certificate| {
            assert_eq!(certificate.public_key().subject_public_key.data.as_ref(), key.der_bytes());
            assert!(!certificate.is_ca());
        });
        assert!(!issued.pem.contains("admin"));
    }

    #[test]
    fn bad_requests_are_refused_with_their_field() {
        let (_folder, authority) = authority();
        let mut long = ann(None);
        long.valid_seconds = CERTIFICATE_SECONDS_MAX + 1;
        for (request, field) in [
            (ann(Some("noise".to_owned())), "csr"),
            (ann(Some("x".repeat(40_000))), "csr"),
            (long, "expires_in_seconds"),
        ] {
            match authority.issue_client(&request) {
                Err(PkiError::Request { field: named, .. }) => assert_eq!(named, field),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_server_certificate_verifies_against_the_authority() {
        let (folder, authority) = authority();
        let (certificate, key) = (folder.path().join("tls/server.pem"), folder.path().join("tls/server.key"));
        authority.issue_server(&["localhost".to_owned(), "127.0.0.1".to_owned()], &certificate, &key).unwrap();
        let files = crate::http::tls::TlsFiles { certificate, key };
        assert!(files.server_config().is_ok());
        assert!(authority.issue_server(&[], &folder.path().join("a"), &folder.path().join("b")).is_err());
    }
}
