//! Scenes whose accounts and users the admin API makes.

use std::collections::HashMap;
use std::sync::Mutex;

use cordon_accounts::claims::{SubjectsClaim, UserTemplate};
use cordon_accounts::limits::Limit;
use serde_json::{Value, json};

use super::check::Check;
use super::scene::{Person, Scene};
use super::way::Way;
use crate::api::Api;
use crate::serve::Serve;
use crate::tenant::Tenant;
use crate::wait::now;

/// `cordon serve`, and what was made there.
#[derive(Debug)]
pub struct Desk {
    /// The process.
    pub serve: Serve,
    api: Api,
    made: Mutex<Made>,
}

#[derive(Debug, Default)]
struct Made {
    /// By the key that the scene gave its account.
    tenants: HashMap<String, Tenant>,
    /// JWTs by the user's key.
    users: HashMap<String, String>,
    /// Scoped keys by the user's key.
    signers: HashMap<String, String>,
}

impl Desk {
    /// Starts one.
    pub async fn open() -> Self {
        let serve = Serve::start().await;
        let api = serve.api();
        Self { serve, api, made: Mutex::default() }
    }

    /// Makes the account of a scene and both its users.
    pub async fn establish(&self, scene: &Scene) {
        let key = scene.home.seed.public().to_string();
        let tenant = Tenant::create(&self.api, &key).await;
        self.made.lock().unwrap().tenants.insert(key, tenant.clone());
        for person in [&scene.sender, &scene.receiver] {
            self.issue(&tenant, person).await;
        }
        let limits = &scene.home.claims.nats.limits;
        let number = |limit: Limit| (!limit.is_unlimited()).then_some(limit.0);
        let (connections, subscriptions, payload) = (number(limits.conn), number(limits.subs), number(limits.payload));
        if connections.or(subscriptions).or(payload).is_some() {
            let limits = json!({"connections": connections, "subscriptions": subscriptions, "payload_bytes": payload});
            tenant.limit(limits).await;
        }
        self.api.settle().await;
    }

    /// Changes what a check changes.
    pub async fn strike(&self, scene: &Scene, check: Check) {
        let tenant = self.tenant(scene);
        let path = match check {
            Check::UserRevoked => tenant.path(&format!("users/{}", scene.sender.seed.public())),
            Check::ReceiverRevoked => tenant.path(&format!("users/{}", scene.receiver.seed.public())),
            Check::SigningKeyRemoved => {
                let signer = self.made.lock().unwrap().signers[&scene.sender.seed.public().to_string()].clone();
                tenant.path(&format!("signing-keys/{signer}"))
            }
            Check::AccountDeleted => format!("accounts/{}", tenant.key),
            other => panic!("{other:?} is no change by the API"),
        };
        let answer = self.api.delete(&path).await;
        assert!(answer.status.is_success(), "{}: {}", answer.request, answer.text);
        self.api.settle().await;
    }

    /// The JWT of a user; somebody whom the scene did not name is made now.
    pub async fn jwt(&self, scene: &Scene, person: &Person) -> String {
        let key = person.seed.public().to_string();
        let known = self.made.lock().unwrap().users.get(&key).cloned();
        match known {
            Some(jwt) => jwt,
            None => self.issue(&self.tenant(scene), person).await,
        }
    }

    fn tenant(&self, scene: &Scene) -> Tenant {
        self.made.lock().unwrap().tenants[&scene.home.seed.public().to_string()].clone()
    }

    async fn issue(&self, tenant: &Tenant, person: &Person) -> String {
        let key = person.seed.public().to_string();
        let mut wanted = template(&person.template);
        if person.way == Way::ApiScopedUser {
            let scope = json!({"role": format!("role-{key}"), "template": wanted});
            let made = tenant.add("signing-keys", json!({"scope": scope})).await;
            let signer = made["key"].as_str().unwrap().to_owned();
            wanted = json!({"signing_key": signer});
            self.made.lock().unwrap().signers.insert(key.clone(), signer);
        }
        wanted["name"] = json!(key);
        wanted["key"] = json!(key);
        if person.expires > 0 {
            wanted["expires_in_seconds"] = json!((person.expires - now()).max(1));
        }
        let issued = self.api.post(&tenant.path("users"), &wanted).await.ok(201);
        let jwt = issued["jwt"].as_str().unwrap().to_owned();
        self.made.lock().unwrap().users.insert(key, jwt.clone());
        jwt
    }
}

/// A template as the API reads it.
fn template(template: &UserTemplate) -> Value {
    let lists = |claim: &SubjectsClaim| json!({"allow": claim.allow, "deny": claim.deny});
    let number = |limit: Limit| (!limit.is_unlimited()).then_some(limit.0);
    let permissions = &template.permissions;
    let mut view = json!({"publish": lists(&permissions.publish), "subscribe": lists(&permissions.subscribe)});
    if let Some(response) = permissions.response {
        view["response"] = json!({"max": response.max, "ttl_ms": 60_000});
    }
    let times: Vec<_> = template.times.iter().map(|range| json!({"start": range.start, "end": range.end})).collect();
    json!({
        "permissions": view,
        "limits": {"subscriptions": number(template.limits.subs), "payload_bytes": number(template.limits.payload)},
        "connection_types": template.allowed_connection_types,
        "source_networks": template.src,
        "times": times,
        "time_zone": template.times_location,
    })
}
