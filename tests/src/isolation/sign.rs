//! The model's accounts and users as JWTs: the one place that uses the product's own code, and for signing only.

use std::collections::BTreeMap;

use cordon_accounts::claims::{
    self, AccountClaims, ActivationClaims, ExportKind, PermissionsClaim, ResponseClaim, ResponseType, Revocations,
    UserClaims, UserTemplate,
};
use cordon_accounts::key::{AccountKey, Role, Seed, UserKey};
use cordon_accounts::limits::Limit;
use data_encoding::BASE64URL_NOPAD;
use rand::rngs::OsRng;
use serde_json::json;

use crate::model::account::Scope;
use crate::model::{Account, Activation, Export, Import, Kind, Rights, Signer, SigningKey, User};

/// The seeds of one round.
#[derive(Debug, Default)]
pub struct Keys {
    accounts: Vec<Seed>,
    signing: BTreeMap<usize, Seed>,
    users: BTreeMap<usize, Seed>,
}

impl Keys {
    /// Seeds for so many accounts.
    pub fn new(accounts: usize) -> Self {
        let accounts = (0..accounts).map(|_| Seed::generate(Role::Account, &mut OsRng)).collect();
        Self { accounts, ..Self::default() }
    }

    /// The names of the accounts: their keys.
    pub fn names(&self) -> Vec<String> {
        self.accounts.iter().map(|seed| seed.public().to_string()).collect()
    }

    /// An account's claims, signed by the operator.
    pub fn account(&mut self, index: usize, account: &Account, operator: &Seed, issued_at: i64) -> String {
        let mut claims = AccountClaims::new(self.key(index));
        claims.nats.exports = account.exports.iter().map(|export| self.export(export)).collect();
        claims.nats.imports = account.imports.iter().map(|import| self.import(import)).collect();
        for (source, destinations) in &account.mappings {
            let to = |(subject, weight): &(String, u8)| claims::Mapping {
                subject: subject.clone(),
                weight: *weight,
                ..claims::Mapping::default()
            };
            claims.nats.mappings.insert(source.clone(), destinations.iter().map(to).collect());
        }
        claims.nats.limits.conn = limit(account.max_connections);
        claims.nats.limits.subs = limit(account.max_subscriptions);
        claims.nats.limits.payload = limit(account.max_payload);
        claims.nats.limits.disallow_bearer = account.disallow_bearer;
        claims.nats.revocations = revocations(&account.revoked, |user| self.user_seed(user).public().to_string());
        claims.nats.default_permissions = permissions(&account.default_rights);
        claims.nats.signing_keys = account.signing_keys.iter().map(|key| self.signing_key(key)).collect();
        claims.encode(operator, issued_at).unwrap()
    }

    /// A user's JWT, and the seed that it signs with.
    pub fn user(&mut self, user: &User) -> (String, Seed) {
        let seed = self.user_seed(user.id).duplicate();
        let key = UserKey::try_from(seed.public()).unwrap();
        let mut claims = match &user.own {
            Some(own) => {
                let mut claims = UserClaims::new(key);
                claims.nats.template = template(own);
                claims.nats.template.bearer_token = user.bearer;
                claims
            }
            None => UserClaims::scoped(key),
        };
        claims.name.clone_from(&user.name);
        claims.expires = user.expires;
        let account = self.key(user.account);
        if user.signer != Signer::Identity {
            claims.nats.issuer_account = Some(account);
        }
        let signer = self.signer(user.account, user.signer).duplicate();
        (claims.encode(&signer, user.issued_at).unwrap(), seed)
    }

    fn key(&self, account: usize) -> AccountKey {
        AccountKey::try_from(self.accounts[account].public()).unwrap()
    }

    fn user_seed(&mut self, id: usize) -> &Seed {
        self.users.entry(id).or_insert_with(|| Seed::generate(Role::User, &mut OsRng))
    }

    fn signer(&mut self, account: usize, signer: Signer) -> &Seed {
        match signer {
            Signer::Identity => &self.accounts[account],
            Signer::Key(number) => {
                self.signing.entry(number).or_insert_with(|| Seed::generate(Role::Account, &mut OsRng))
            }
        }
    }

    fn signing_key(&mut self, signing: &SigningKey) -> claims::SigningKey {
        let key = AccountKey::try_from(self.signer(0, Signer::Key(signing.key)).public()).unwrap();
        match &signing.scope {
            None => claims::SigningKey::Plain(key),
            Some(given) => {
                let mut scope = claims::Scope::new(key, "role");
                scope.template = template(given);
                claims::SigningKey::Scoped(Box::new(scope))
            }
        }
    }

    fn export(&self, export: &Export) -> claims::Export {
        let mut claim = claims::Export::new(kind(export.kind), &export.subject);
        claim.token_req = export.private;
        claim.account_token_position = export.position;
        if export.many {
            claim.response_type = ResponseType::Stream;
        }
        claim.revocations = revocations(&export.revoked, |importer| self.accounts[importer].public().to_string());
        claim
    }

    fn import(&mut self, import: &Import) -> claims::Import {
        let mut claim = claims::Import::new(kind(import.kind), self.key(import.from), &import.remote);
        match (import.legacy, import.kind) {
            (true, Kind::Service) => {
                claim.subject.clone_from(&import.local);
                claim.to.clone_from(&import.remote);
            }
            (true, Kind::Stream) => {
                let prefix = import.local.strip_suffix(&import.remote).expect("the old way is a prefix");
                prefix.trim_end_matches('.').clone_into(&mut claim.to);
            }
            (false, _) if import.local != import.remote => claim.local_subject.clone_from(&import.local),
            (false, _) => {}
        }
        claim.token = import.activation.as_ref().map(|activation| self.activation(activation)).unwrap_or_default();
        claim
    }

    fn activation(&mut self, activation: &Activation) -> String {
        let mut claims =
            ActivationClaims::new(self.key(activation.importer), kind(activation.kind), &activation.subject);
        claims.expires = activation.expires;
        if activation.signer != Signer::Identity {
            claims.nats.issuer_account = Some(self.key(activation.exporter));
        }
        let signer = self.signer(activation.exporter, activation.signer).duplicate();
        claims.encode(&signer, activation.issued_at).unwrap()
    }
}

/// A CONNECT line and a PING.
pub fn connect_line(nonce: &str, jwt: &str, seed: Option<&Seed>, echo: bool, no_responders: bool) -> String {
    let mut fields = json!({
        "jwt": jwt, "echo": echo, "no_responders": no_responders,
        "verbose": false, "pedantic": false, "headers": true, "lang": "story", "version": "1", "protocol": 1,
    });
    if let Some(seed) = seed {
        fields["sig"] = BASE64URL_NOPAD.encode(&seed.sign(nonce.as_bytes()).unwrap()).into();
    }
    format!("CONNECT {fields}\r\n")
}

fn kind(kind: Kind) -> ExportKind {
    match kind {
        Kind::Service => ExportKind::Service,
        Kind::Stream => ExportKind::Stream,
    }
}

fn revocations(revoked: &BTreeMap<Option<usize>, i64>, mut name: impl FnMut(usize) -> String) -> Revocations {
    let entries: BTreeMap<String, i64> =
        revoked.iter().map(|(who, until)| (who.map_or_else(|| "*".to_owned(), &mut name), *until)).collect();
    serde_json::from_value(json!(entries)).unwrap()
}

fn limit(most: Option<usize>) -> Limit {
    most.map_or(Limit::UNLIMITED, |most| Limit(i64::try_from(most).unwrap()))
}

fn template(scope: &Scope) -> UserTemplate {
    let mut template = UserTemplate::unlimited();
    template.permissions = permissions(&scope.rights);
    template.limits.subs = limit(scope.subscriptions);
    template.limits.payload = limit(scope.payload);
    template
}

fn permissions(rights: &Rights) -> PermissionsClaim {
    let mut claim = PermissionsClaim::default();
    claim.publish.allow.clone_from(&rights.publish_allow);
    claim.publish.deny.clone_from(&rights.publish_deny);
    claim.subscribe.allow.clone_from(&rights.subscribe_allow);
    claim.subscribe.deny.clone_from(&rights.subscribe_deny);
    claim.response = rights.responses.map(|max| ResponseClaim { max, ttl: 0 });
    claim
}
