//! A tenant: an account and what its administrator does with it.

use serde_json::{Value, json};

use crate::api::Api;

/// An account that was made through the admin API.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// Its key.
    pub key: String,
    /// Its name.
    pub name: String,
    api: Api,
}

/// A user and its creds.
#[derive(Clone, Debug)]
pub struct User {
    /// Its key.
    pub key: String,
    /// Its creds file.
    pub creds: String,
    /// Its JWT.
    pub jwt: String,
    /// What the API says of it.
    pub view: Value,
}

impl Tenant {
    /// A new account that the brokers know.
    pub async fn create(api: &Api, name: &str) -> Self {
        let account = api.post("accounts", &json!({"name": name})).await.ok(201);
        api.settle().await;
        Self::of(api, &account)
    }

    /// The tenant of an account that the API has shown.
    pub fn of(api: &Api, account: &Value) -> Self {
        let text = |field: &str| account[field].as_str().unwrap().to_owned();
        Self { key: text("key"), name: text("name"), api: api.clone() }
    }

    /// A path below this account.
    pub fn path(&self, rest: &str) -> String {
        format!("accounts/{}/{rest}", self.key)
    }

    /// The account as the API shows it.
    pub async fn view(&self) -> Value {
        self.api.get(&format!("accounts/{}", self.key)).await.ok(200)
    }

    /// A new user who may do everything.
    pub async fn user(&self, name: &str) -> User {
        self.user_with(json!({"name": name})).await
    }

    /// A new user, as asked for.
    pub async fn user_with(&self, wanted: Value) -> User {
        let issued = self.api.post(&self.path("users"), &wanted).await.ok(201);
        User {
            key: issued["user"]["key"].as_str().unwrap().to_owned(),
            creds: issued["creds"].as_str().unwrap().to_owned(),
            jwt: issued["jwt"].as_str().unwrap().to_owned(),
            view: issued["user"].clone(),
        }
    }

    /// Adds to one of the account's collections, in force when this returns.
    pub async fn add(&self, collection: &str, item: Value) -> Value {
        let added = self.api.post(&self.path(collection), &item).await.ok(201);
        self.api.settle().await;
        added
    }

    /// Removes from one of the account's collections, in force when this returns.
    pub async fn remove(&self, collection: &str, id: &str) {
        self.api.delete(&self.path(&format!("{collection}/{id}"))).await.ok(204);
        self.api.settle().await;
    }

    /// Offers a service or a stream to everyone.
    pub async fn export(&self, kind: &str, subject: &str) -> Value {
        self.add("exports", json!({"kind": kind, "subject": subject})).await
    }

    /// Takes a service or a stream of another account.
    pub async fn import(&self, kind: &str, from: &Self, subject: &str, local: &str) -> Value {
        let wanted = json!({"kind": kind, "account": from.key, "subject": subject, "local_subject": local});
        self.add("imports", wanted).await
    }

    /// Changes fields of the account; in force when this returns.
    pub async fn change(&self, changes: Value) {
        self.api.patch(&format!("accounts/{}", self.key), &changes).await.ok(200);
        self.api.settle().await;
    }

    /// Changes some of the account's limits, the others staying; in force when this returns.
    pub async fn limit(&self, changes: Value) {
        let mut limits = self.api.get(&self.path("limits")).await.ok(200);
        limits.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        self.api.put(&self.path("limits"), &limits).await.ok(200);
        self.api.settle().await;
    }

    /// Suspends or resumes the account; in force when this returns.
    pub async fn act(&self, action: &str) -> Value {
        let account = self.api.act(&self.path(action)).await.ok(200);
        self.api.settle().await;
        account
    }
}
