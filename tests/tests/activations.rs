//! Shows that a private export is open to those who hold an activation, and to them only as long as
//! it is neither revoked nor expired.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a story: what fails here is its failure"
)]

use async_nats::RequestErrorKind;
use cordon_tests::{Client, Serve, Tenant, wait};
use serde_json::{Value, json};

struct Club {
    serve: Serve,
    host: Tenant,
    guest: Tenant,
    stranger: Tenant,
    export: Value,
    door: cordon_tests::Peer,
}

impl Club {
    async fn open() -> Self {
        let serve = Serve::start().await;
        let (host, guest, stranger) =
            (serve.tenant("host").await, serve.tenant("guest").await, serve.tenant("stranger").await);
        let export = host.add("exports", json!({"kind": "service", "subject": "door.*", "token_required": true})).await;
        let mut door = serve.peer(&host.user("doorman").await.creds).await;
        door.send("SUB door.* 1\r\n").await;
        door.fence().await;
        Self { serve, host, guest, stranger, export, door }
    }

    async fn activate(&self, wanted: Value) -> Value {
        let mut wanted = wanted;
        wanted["export"] = self.export["id"].clone();
        self.host.add("activations", wanted).await
    }

    fn wish(&self, token: &str) -> Value {
        json!({"kind": "service", "account": self.host.key, "subject": "door.main", "local_subject": "club.door", "token": token})
    }

    async fn knock(&mut self, client: &Client) -> bool {
        self.try_knock(client).await.expect("a knock that was heard is answered")
    }

    /// As [`Club::knock`]; `None` when the door was shut between the knock and its answer.
    async fn try_knock(&mut self, client: &Client) -> Option<bool> {
        let asking = client.nats.clone();
        let asked = tokio::spawn(async move { asking.request("club.door", "open".into()).await });
        // Whether a knock arrives is known once the answer, or its impossibility, is.
        loop {
            if asked.is_finished() {
                let error = asked.await.unwrap().expect_err("nobody has answered");
                assert_eq!(error.kind(), RequestErrorKind::NoResponders);
                return Some(false);
            }
            let seen = self.door.fence().await;
            if let Some(line) = seen.split("\r\n").find(|line| line.contains("MSG ")) {
                let reply = line.split(' ').nth(3).unwrap();
                self.door.send(format!("PUB {reply} 2\r\nin\r\n")).await;
                return match asked.await.unwrap() {
                    Ok(answer) => {
                        assert_eq!(&answer.payload[..], b"in");
                        Some(true)
                    }
                    Err(error) => {
                        assert_eq!(error.kind(), RequestErrorKind::TimedOut);
                        None
                    }
                };
            }
        }
    }
}

#[tokio::test]
async fn only_the_holder_of_an_activation_gets_in() {
    let mut club = Club::open().await;
    let api = club.serve.api();
    let without =
        json!({"kind": "service", "account": club.host.key, "subject": "door.main", "local_subject": "club.door"});
    api.post(&club.guest.path("imports"), &without).await.problem(422, "import-refused");

    let issued = club.activate(json!({"importer": club.guest.key})).await;
    let token = issued["token"].as_str().unwrap().to_owned();
    api.post(&club.stranger.path("imports"), &club.wish(&token)).await.problem(422, "claims-invalid");
    let forged = format!("{}{}", &token[..token.len() - 4], "AAAA");
    api.post(&club.guest.path("imports"), &club.wish(&forged)).await.problem(422, "claims-invalid");

    let import = club.guest.add("imports", club.wish(&token)).await;
    assert_eq!(import["state"], "working");
    let client = club.serve.client(&club.guest.user("guest").await.creds).await;
    assert!(club.knock(&client).await);
    let outsider = club.serve.client(&club.stranger.user("outsider").await.creds).await;
    assert!(!club.knock(&outsider).await);
}

#[tokio::test]
async fn a_revoked_activation_stops_at_once_and_a_new_one_works() {
    let mut club = Club::open().await;
    let issued = club.activate(json!({"importer": club.guest.key})).await;
    let import = club.guest.add("imports", club.wish(issued["token"].as_str().unwrap())).await;
    let mut client = club.serve.client(&club.guest.user("guest").await.creds).await;
    client.reports("connected").await;
    assert!(club.knock(&client).await);

    club.host.remove("activations", issued["activation"]["id"].as_str().unwrap()).await;
    assert!(!club.knock(&client).await, "revoked");
    let refused = club.guest.view().await["imports"][0].clone();
    assert_eq!(refused["state"], "refused", "{refused}");
    assert_eq!(refused["id"], import["id"]);

    club.guest.remove("imports", import["id"].as_str().unwrap()).await;
    // A token of the same second as the revocation is revoked as well.
    let renewed = wait::until("a token newer than the revocation", async || {
        let issued = club.activate(json!({"importer": club.guest.key})).await;
        let answer =
            club.serve.api().post(&club.guest.path("imports"), &club.wish(issued["token"].as_str().unwrap())).await;
        (answer.status == 201).then_some(answer.body)
    })
    .await;
    assert_eq!(renewed["state"], "working");
    club.serve.api().settle().await;
    assert!(club.knock(&client).await, "the same connection gets in again");
}

#[tokio::test]
async fn an_expired_activation_lets_nobody_in() {
    let mut club = Club::open().await;
    let issued = club.activate(json!({"importer": club.guest.key, "expires_in_seconds": 3})).await;
    club.guest.add("imports", club.wish(issued["token"].as_str().unwrap())).await;
    let client = club.serve.client(&club.guest.user("guest").await.creds).await;
    // Open, as long as it lasts, and then closed for good.
    wait::until("the activation expires", async || (club.try_knock(&client).await == Some(false)).then_some(())).await;
    assert!(!club.knock(&client).await);
}

#[tokio::test]
async fn an_activation_of_one_subject_is_none_of_another() {
    let club = Club::open().await;
    let issued = club.activate(json!({"importer": club.guest.key, "subject": "door.back"})).await;
    let token = issued["token"].as_str().unwrap();
    club.serve.api().post(&club.guest.path("imports"), &club.wish(token)).await.problem(422, "claims-invalid");
    let mut narrow = club.wish(token);
    narrow["subject"] = json!("door.back");
    club.guest.add("imports", narrow).await;
}
