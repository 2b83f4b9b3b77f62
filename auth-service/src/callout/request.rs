//! The question to a service: a JWT about the connection, signed by the server's key.
//!
//! It holds what the client sent, secrets included; nothing of it is kept.

use cordon_accounts::claims::{
    AuthorizationRequest, AuthorizationRequestClaims, ClientInformation, ClientTls, ConnectOptions,
};
use cordon_accounts::key::{CurveKey, Role, Seed, UserKey};
use cordon_accounts::reason::Reason;
use data_encoding::BASE64;
use rand::rngs::OsRng;
use rustls_pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::{Caller, Delegation, Question};
use crate::method::Attempt;
use crate::proof::{ConnectionType, Proof, present};
use crate::refusal::Refusal;

/// Characters of one line of PEM.
const PEM_LINE: usize = 64;

/// What must be remembered of a question to judge its answer.
pub(super) struct Request {
    /// The key that the answer must be about. Nobody has its seed.
    pub(super) user: UserKey,
    /// The service's curve key, if the question was sealed for it.
    pub(super) sealed_for: Option<CurveKey>,
}

/// Makes the question for one attempt.
pub(super) fn make(
    caller: &Caller,
    whom: &Delegation<'_>,
    attempt: &Attempt<'_>,
) -> Result<(Request, Question), Refusal> {
    let failed = |error: &dyn std::fmt::Display| {
        Refusal::new(Reason::InternalError, format!("the authorization request cannot be made: {error}"))
    };
    let user = UserKey::try_from(Seed::generate(Role::User, &mut OsRng).public()).map_err(|error| failed(&error))?;
    let mut claims = AuthorizationRequestClaims::new(whom.subject(), user);
    // A service that is slow to look must not take the question for a current one.
    let within = i64::try_from(caller.carrier.patience().as_secs().max(1)).unwrap_or(i64::MAX);
    claims.expires = attempt.now.saturating_add(within);
    describe(&mut claims.nats, whom, attempt);
    claims.nats.server_id = caller.id.clone();
    let xkey = whom.xkey();
    let curve = CurveKey::try_from(caller.curve.public()).ok();
    claims.nats.server_id.xkey = curve.filter(|_| xkey.is_some());
    let token = claims.encode(&caller.signer, attempt.now).map_err(|error| failed(&error))?;
    let token = Zeroizing::new(token.into_bytes());
    let body = match &xkey {
        None => token,
        Some(xkey) => Zeroizing::new(caller.curve.seal(&token, xkey, &mut OsRng).map_err(|error| failed(&error))?),
    };
    let sealed_by = claims.nats.server_id.xkey;
    Ok((Request { user, sealed_for: xkey }, Question { account: whom.account().clone(), sealed_by, body }))
}

fn describe(request: &mut AuthorizationRequest, whom: &Delegation<'_>, attempt: &Attempt<'_>) {
    let Proof { connect, client, .. } = attempt.proof;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    request.connect_opts = ConnectOptions {
        // In configured mode nobody looks at a JWT, and so it is not passed on.
        jwt: if matches!(whom, Delegation::Operator { .. }) { text(&connect.jwt) } else { String::new() },
        nkey: text(&connect.nkey),
        sig: text(&connect.sig),
        auth_token: connect.auth_token.clone(),
        user: text(&connect.user),
        pass: connect.pass.clone(),
        name: client.name.to_owned(),
        lang: client.lang.to_owned(),
        version: client.version.to_owned(),
        protocol: client.protocol,
    };
    request.client_info = information(whom, attempt);
    request.client_tls = client.tls.map(|(version, cipher)| ClientTls {
        version: version.to_owned(),
        cipher: cipher.to_owned(),
        // What TLS did not verify never comes as far as this.
        certs: Vec::new(),
        verified_chains: chains(attempt.proof.certificates),
    });
}

fn information(whom: &Delegation<'_>, attempt: &Attempt<'_>) -> ClientInformation {
    use ConnectionType::{Leafnode, LeafnodeWs, Mqtt, MqttWs, Websocket};
    let proof = &attempt.proof;
    let connect = proof.connect;
    let claimed = present(connect.nkey.as_deref()).or(present(connect.user.as_deref())).unwrap_or_default();
    let (user, name_tag, tags) = match whom {
        Delegation::Configured(..) => (claimed.to_owned(), String::new(), Vec::new()),
        Delegation::Operator { sentinel, .. } => {
            let user = if claimed.is_empty() { sentinel.subject.to_string() } else { claimed.to_owned() };
            (user, sentinel.name.clone(), sentinel.nats.tags.clone())
        }
    };
    let signed = present(connect.sig.as_deref()).is_some();
    ClientInformation {
        host: proof.peer_ip.map(|ip| ip.to_string()).unwrap_or_default(),
        id: proof.client.id,
        user,
        name: proof.client.name.to_owned(),
        tags,
        name_tag,
        kind: if matches!(proof.connection_type, Leafnode | LeafnodeWs) { "Leafnode" } else { "Client" }.to_owned(),
        client_type: match proof.connection_type {
            Leafnode | LeafnodeWs => "",
            Mqtt | MqttWs => "mqtt",
            Websocket => "websocket",
            ConnectionType::Standard | ConnectionType::InProcess => "nats",
        }
        .to_owned(),
        mqtt_id: String::new(),
        nonce: if signed { String::from_utf8_lossy(proof.nonce).into_owned() } else { String::new() },
    }
}

/// The one chain that was verified, if there is one.
fn chains(certificates: &[CertificateDer<'static>]) -> Vec<Vec<String>> {
    if certificates.is_empty() { Vec::new() } else { vec![certificates.iter().map(|one| pem(one)).collect()] }
}

fn pem(der: &[u8]) -> String {
    let text = BASE64.encode(der);
    let mut pem = String::with_capacity(text.len() + text.len() / PEM_LINE + 64);
    pem.push_str("-----BEGIN CERTIFICATE-----\n");
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % PEM_LINE == 0 {
            pem.push('\n');
        }
        pem.push(character);
    }
    pem.push_str("\n-----END CERTIFICATE-----\n");
    pem
}
