//! The ways of proving who one is.
//!
//! Operator mode knows [`jwt`]. Configured mode tries, in nats-server's order: nkey, certificate or name
//! and password, token. Every method is handed the same [`Attempt`] and answers with a principal or a
//! refusal.

pub(crate) mod certificate;
pub(crate) mod jwt;
pub(crate) mod nkey;
pub(crate) mod password;
pub(crate) mod token;

use cordon_accounts::key::{PublicKey, UserKey};
use cordon_accounts::reason::Reason;

use crate::certificate::CertificateIdentity;
use crate::nonce::decode_signature;
use crate::proof::{Proof, present};
use crate::refusal::Refusal;
use crate::zone::Zone;

/// One attempt to authenticate, with what was found out before a method is asked.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'a> {
    pub(crate) proof: Proof<'a>,
    /// Unix seconds.
    pub(crate) now: i64,
    /// The zone of time ranges that name none.
    pub(crate) zone: Zone,
    /// Whether a trusted proxy vouched for the connection by signing the nonce.
    pub(crate) proxied: bool,
    /// The verified leaf certificate, if there is one and it could be read.
    pub(crate) certificate: Option<&'a CertificateIdentity>,
}

impl Attempt<'_> {
    /// Checks that `sig` of CONNECT is the signature of `user` over the nonce as sent in INFO.
    pub(crate) fn require_possession(&self, user: &UserKey) -> Result<(), Refusal> {
        verify_nonce(&user.public(), self.proof.connect.sig.as_deref(), self.proof.nonce)
    }
}

/// Checks a base64 signature over the nonce.
pub(crate) fn verify_nonce(key: &PublicKey, signature: Option<&str>, nonce: &[u8]) -> Result<(), Refusal> {
    let wrong = |detail: &str| Refusal::new(Reason::WrongNonceSignature, detail);
    let signature = present(signature).ok_or_else(|| wrong("`sig` is missing: sign the nonce of INFO"))?;
    if nonce.is_empty() {
        return Err(wrong("no nonce was sent on this connection, so none can be signed"));
    }
    let signature = decode_signature(signature).ok_or_else(|| wrong("`sig` is not base64"))?;
    key.verify(nonce, &signature)
        .map_err(|_| wrong("`sig` is not the signature of the nonce's characters by the key presented"))
}
