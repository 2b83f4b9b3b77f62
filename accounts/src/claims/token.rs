//! Tokens: claims as three base64url segments, header, claims and signature.
//!
//! A token that decodes proves that somebody who holds `iss` signed it, and nothing more.
//! The order of checks is that of jwt `decoder.go`: size, shape, header, kind and version, then
//! the signature, then roles. Version 1 is read and never written; its signature covers the
//! claims segment only.

use std::ops::Deref;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::envelope::{Claims, Kind, Read, Written, escape_html, without_nulls};
use super::error::{ClaimsError, EncodeError, RoleError};
use super::{UnknownFields, strict};
use crate::key::{KeyError, PublicKey, Role, Seed};
use crate::limits::{JSON_DEPTH_MAX, TOKEN_BYTES_MAX};

/// The header that every token of ours has: `{"typ":"JWT","alg":"ed25519-nkey"}`.
const HEADER: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJlZDI1NTE5LW5rZXkifQ";

/// The version that is written.
const VERSION: i64 = 2;

/// Kinds that only [`super::Generic`] may not stand for, or that are gone.
const OWN_KINDS: [&str; 6] =
    ["account", "activation", "authorization_request", "authorization_response", "operator", "user"];
const RETIRED_KINDS: [&str; 2] = ["cluster", "server"];

/// Reads a token and verifies its signature.
///
/// # Errors
///
/// [`ClaimsError`] unless size, header, version, kind, signature and the roles of issuer and
/// subject are right.
pub fn decode<T: Kind>(token: &str) -> Result<Verified<T>, ClaimsError> {
    Unverified::parse(token)?.verify()
}

/// Claims whose signature by [`Claims::issuer`] was checked; whether that key is trusted is
/// another question.
#[derive(Clone, Debug)]
pub struct Verified<T> {
    token: Arc<str>,
    claims: Claims<T>,
}

impl<T> Verified<T> {
    /// The token as it came.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The token, shared.
    pub fn shared_token(&self) -> Arc<str> {
        Arc::clone(&self.token)
    }

    /// The claims alone, to be changed and signed anew.
    pub fn into_claims(self) -> Claims<T> {
        self.claims
    }
}

impl<T> Deref for Verified<T> {
    type Target = Claims<T>;

    fn deref(&self) -> &Claims<T> {
        &self.claims
    }
}

/// A token whose signature nobody has looked at: only good for finding out what it claims to be.
#[derive(Debug)]
pub struct Unverified<'a> {
    token: &'a str,
    kind: String,
    version: i64,
    issuer: PublicKey,
    algorithm: Algorithm,
    signature: Vec<u8>,
    read: Read,
}

/// What the header names; it decides nothing but how generic claims are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Algorithm {
    Ed25519,
    Ed25519Nkey,
}

impl<'a> Unverified<'a> {
    /// Reads the envelope.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] when it is too long, malformed, or of a kind or version that is refused.
    pub fn parse(token: &'a str) -> Result<Self, ClaimsError> {
        if token.len() > TOKEN_BYTES_MAX {
            return Err(ClaimsError::TooLong { found: token.len() });
        }
        let mut segments = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (segments.next(), segments.next(), segments.next(), segments.next())
        else {
            return Err(ClaimsError::Segments);
        };
        let algorithm = read_header(header)?;
        let read = read_envelope(&decode_segment("claims", claims)?)?;
        let kind = read.kind()?;
        let version = read.version()?;
        check_version(&kind, version)?;
        let issuer = PublicKey::parse(&read.iss).map_err(ClaimsError::Issuer)?;
        Ok(Self { token, kind, version, issuer, algorithm, signature: decode_segment("signature", signature)?, read })
    }

    /// The kind that the token claims to be; empty or any word for generic claims.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The key that the token claims to be signed by.
    pub const fn issuer(&self) -> PublicKey {
        self.issuer
    }

    /// Whom the token claims to be about; `None` if that is no key.
    pub fn subject(&self) -> Option<PublicKey> {
        PublicKey::parse(&self.read.sub).ok()
    }

    /// Verifies the signature and reads the statement.
    ///
    /// # Errors
    ///
    /// [`ClaimsError`] when it is of another kind, forged, or its content has wrong types.
    pub fn verify<T: Kind>(mut self) -> Result<Verified<T>, ClaimsError> {
        self.check_kind::<T>()?;
        self.issuer.verify(self.signed_text::<T>(), &self.signature)?;
        check_role("iss", self.issuer.role(), T::ISSUER)?;
        let subject = PublicKey::parse(&self.read.sub).map_err(ClaimsError::Subject)?;
        check_role("sub", subject.role(), T::SUBJECT)?;
        let (nats, unknown) = self.statement::<T>()?;
        let Read { aud, exp, jti, iat, name, nbf, .. } = self.read;
        Ok(Verified {
            token: Arc::from(self.token),
            claims: Claims {
                id: jti,
                issued_at: iat,
                issuer: self.issuer,
                subject,
                name,
                audience: aud,
                expires: exp,
                not_before: nbf,
                nats,
                unknown,
            },
        })
    }

    /// The statement, and what is unknown beside it.
    fn statement<T: Kind>(&mut self) -> Result<(T, UnknownFields), ClaimsError> {
        let mut nats = std::mem::take(&mut self.read.nats);
        let mut unknown = std::mem::take(&mut self.read.unknown);
        if T::NAME.is_some() {
            if self.version == 1 {
                unknown.remove("type");
                for member in ["tags", "issuer_account"] {
                    if let Some(value) = unknown.remove(member) {
                        nats.insert(member.to_owned(), value);
                    }
                }
                T::migrate(&mut nats);
            } else {
                nats.remove("type");
            }
        }
        nats.remove("version");
        let wrong =
            |error: serde_json::Error| ClaimsError::Content { place: "nats", text: shorten(&error.to_string()) };
        let mut nats: T = strict::from_value(Value::Object(nats)).map_err(wrong)?;
        nats.settle();
        Ok((nats, unknown))
    }

    fn check_kind<T: Kind>(&self) -> Result<(), ClaimsError> {
        let right = T::NAME.map_or(!OWN_KINDS.contains(&self.kind.as_str()), |name| name == self.kind);
        if right {
            Ok(())
        } else {
            Err(ClaimsError::WrongKind { expected: T::NAME.unwrap_or("generic"), found: shorten(&self.kind) })
        }
    }

    fn signed_text<T: Kind>(&self) -> &'a [u8] {
        let (both, _) = self.token.rsplit_once('.').unwrap_or_default();
        let claims_only = if T::NAME.is_some() { self.version == 1 } else { self.algorithm == Algorithm::Ed25519 };
        if claims_only { both.split_once('.').unwrap_or_default().1.as_bytes() } else { both.as_bytes() }
    }
}

impl<T: Kind> Claims<T> {
    /// Signs the claims and gives the token; see [`Claims::sign`].
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a role is wrong or the token would be too long.
    pub fn encode(&self, signer: &Seed, issued_at: i64) -> Result<String, EncodeError> {
        self.sign(signer, issued_at).map(|signed| signed.token().to_owned())
    }

    /// Signs the claims: sets `iss`, `iat` and `jti` as nats-io/jwt does.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a role is wrong or the token would be too long.
    pub fn sign(&self, signer: &Seed, issued_at: i64) -> Result<Verified<T>, EncodeError> {
        self.sign_with(signer.public(), issued_at, |text| signer.sign(text))
    }

    /// Signs the claims by a key that is held elsewhere; the signature that comes back is
    /// checked.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] when a role is wrong, the token would be too long, or `sign` fails.
    pub fn sign_with(
        &self,
        issuer: PublicKey,
        issued_at: i64,
        sign: impl FnOnce(&[u8]) -> Result<[u8; 64], KeyError>,
    ) -> Result<Verified<T>, EncodeError> {
        check_role("iss", issuer.role(), T::ISSUER)?;
        check_role("sub", self.subject.role(), T::SUBJECT)?;
        let mut claims = self.clone();
        claims.issuer = issuer;
        claims.issued_at = issued_at;
        claims.id = Written::new(&claims).id()?;
        let json = escape_html(&claims.to_json()?.to_string());
        let signed = format!("{HEADER}.{}", BASE64URL_NOPAD.encode(json.as_bytes()));
        let signature = sign(signed.as_bytes())?;
        issuer.verify(signed.as_bytes(), &signature)?;
        let token = format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature));
        if token.len() > TOKEN_BYTES_MAX {
            return Err(EncodeError::TooLong { found: token.len() });
        }
        Ok(Verified { token: Arc::from(token), claims })
    }

    /// The claims as the JSON that a token carries.
    ///
    /// # Errors
    ///
    /// Only if serialization itself fails, which no value of ours makes it do.
    pub fn to_json(&self) -> Result<Value, serde_json::Error> {
        let mut json = serde_json::to_value(Written::new(self))?;
        let mut nats = serde_json::to_value(&self.nats)?;
        if let Value::Object(members) = &mut nats {
            if let Some(kind) = T::NAME {
                members.insert("type".to_owned(), json!(kind));
            }
            members.insert("version".to_owned(), json!(VERSION));
        }
        if let Value::Object(members) = &mut json {
            // What is known wins over an unknown member of the same name.
            for (name, value) in &self.unknown {
                members.entry(name.as_str()).or_insert_with(|| value.clone());
            }
            members.insert("nats".to_owned(), nats);
        }
        Ok(json)
    }
}

impl Read {
    /// Version 1 says the kind on the top level, version 2 in `nats`.
    fn kind(&self) -> Result<String, ClaimsError> {
        let top = text_member("type", self.unknown.get("type"))?;
        if top.is_empty() {
            text_member("nats.type", self.nats.get("type")).map(str::to_owned)
        } else {
            Ok(top.to_owned())
        }
    }

    fn version(&self) -> Result<i64, ClaimsError> {
        if self.unknown.get("type").is_some_and(|kind| kind != "") {
            return Ok(1);
        }
        match self.nats.get("version") {
            None => Ok(0),
            Some(version) => version.as_i64().ok_or_else(|| ClaimsError::Content {
                place: "nats.version",
                text: "it must be a whole number".to_owned(),
            }),
        }
    }
}

fn text_member<'a>(place: &'static str, value: Option<&'a Value>) -> Result<&'a str, ClaimsError> {
    match value {
        None => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ClaimsError::Content { place, text: "it must be text".to_owned() }),
    }
}

fn check_version(kind: &str, version: i64) -> Result<(), ClaimsError> {
    if RETIRED_KINDS.contains(&kind) {
        return Err(ClaimsError::RetiredKind { kind: kind.to_owned() });
    }
    if version > VERSION {
        return Err(ClaimsError::NewerVersion { found: version });
    }
    if OWN_KINDS.contains(&kind) && version < 1 {
        return Err(ClaimsError::Version { found: version });
    }
    Ok(())
}

fn check_role(place: &'static str, found: Role, allowed: &[Role]) -> Result<(), RoleError> {
    if allowed.contains(&found) { Ok(()) } else { Err(RoleError { place, found }) }
}

fn read_header(segment: &str) -> Result<Algorithm, ClaimsError> {
    #[derive(Deserialize)]
    struct Header {
        typ: String,
        alg: String,
    }
    let bytes = decode_segment("header", segment)?;
    check_depth(&bytes)?;
    let header: Header = serde_json::from_slice(&bytes)
        .map_err(|error| ClaimsError::Content { place: "header", text: shorten(&error.to_string()) })?;
    if !header.typ.eq_ignore_ascii_case("jwt") {
        return Err(ClaimsError::Type { found: shorten(&header.typ) });
    }
    match header.alg.to_ascii_lowercase().as_str() {
        "ed25519" => Ok(Algorithm::Ed25519),
        "ed25519-nkey" => Ok(Algorithm::Ed25519Nkey),
        _ => Err(ClaimsError::Algorithm { found: shorten(&header.alg) }),
    }
}

fn read_envelope(bytes: &[u8]) -> Result<Read, ClaimsError> {
    check_depth(bytes)?;
    let wrong = |error: serde_json::Error| ClaimsError::Content { place: "claims", text: shorten(&error.to_string()) };
    let mut value: Value = serde_json::from_slice(bytes).map_err(wrong)?;
    without_nulls(&mut value);
    strict::from_value(value).map_err(wrong)
}

fn decode_segment(place: &'static str, segment: &str) -> Result<Vec<u8>, ClaimsError> {
    BASE64URL_NOPAD.decode(segment.as_bytes()).map_err(|_| ClaimsError::Base64 { place })
}

/// Bounds the nesting before anything recurses over it.
fn check_depth(json: &[u8]) -> Result<(), ClaimsError> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b'{' | b'[' if !in_text => {
                depth = depth.saturating_add(1);
                if depth > JSON_DEPTH_MAX {
                    return Err(ClaimsError::TooDeep);
                }
            }
            b'}' | b']' if !in_text => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    Ok(())
}

/// Keeps outside text in an error readable; it may be a megabyte long.
fn shorten(text: &str) -> String {
    const CHARS_MAX: usize = 160;
    if text.chars().nth(CHARS_MAX).is_none() {
        return text.to_owned();
    }
    text.chars().take(CHARS_MAX).chain(['…']).collect()
}
