//! Client certificates that the admin API would not issue.

use std::fs;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, SanType};
use time::OffsetDateTime;

use crate::serve::Serve;
use crate::wait::now;

/// A client certificate and its key, both PEM, from a foreign authority.
pub fn foreign(email: &str) -> (String, String) {
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    issue(&Issuer::new(authority, KeyPair::generate().unwrap()), email, Duration::from_hours(1))
}

/// A client certificate and its key, both PEM, from the installation's own authority, valid only so long.
pub fn brief(serve: &Serve, email: &str, validity: Duration) -> (String, String) {
    let key = KeyPair::from_pem(&fs::read_to_string(serve.data("ca/ca.key")).unwrap()).unwrap();
    let issuer = Issuer::from_ca_cert_pem(&fs::read_to_string(serve.ca()).unwrap(), key).unwrap();
    issue(&issuer, email, validity)
}

fn issue(issuer: &Issuer<'_, KeyPair>, email: &str, validity: Duration) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.subject_alt_names = vec![SanType::Rfc822Name(email.try_into().unwrap())];
    params.not_before = OffsetDateTime::from_unix_timestamp(now() - 60).unwrap();
    params.not_after = OffsetDateTime::from_unix_timestamp(now()).unwrap() + validity;
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}
