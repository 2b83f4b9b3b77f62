//! The story, step by step. A step that cannot show what it says ends the demo.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail, ensure};
use async_nats::{Event, RequestErrorKind, Subscriber};
use cordon_admin::ledger::verify::Verified;
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::stage::{Actor, Stage, within};
use crate::command::{audit, certificate};
use crate::files;
use crate::output::{printable, say};

/// A tenant of the story: an account and the creds of its user.
struct Tenant {
    key: String,
    user: String,
    creds: PathBuf,
}

/// Tells it all.
pub(super) async fn tell(stage: Stage) -> anyhow::Result<()> {
    title("A broker with TLS, a control plane, and their own certificate authority");
    let api = stage.admin_address();
    fact(&format!("clients at {}, admin API at {api}, console at {api}/console", stage.address()));
    let (acme, globex) = tenants(&stage).await?;
    let customer = stage.connect(&acme.creds).await?;
    let supplier = stage.connect(&globex.creds).await?;
    fact("a client of each tenant is connected over TLS, proving its key by signing the server's nonce");
    service(&stage, &acme, &globex, &customer, &supplier).await?;
    stream(&stage, &acme, &globex, &customer, &supplier).await?;
    refusal(&stage, &acme).await?;
    let stage = by_certificate(stage, &acme).await?;
    revocation(&stage, &acme).await?;
    proof(&stage).await?;
    stage.close().await
}

fn title(text: &str) {
    say(&format!("\n* {text}"));
}

fn fact(text: &str) {
    say(&format!("    {}", printable(text)));
}

async fn tenants(stage: &Stage) -> anyhow::Result<(Tenant, Tenant)> {
    title("Two tenants, `acme` and `globex`, and a user in each");
    let acme = tenant(stage, "acme", "buyer").await?;
    let globex = tenant(stage, "globex", "seller").await?;
    fact(&format!("acme is {}", acme.key));
    fact(&format!("globex is {}", globex.key));
    fact("the broker got both accounts as JWTs over NATS, signed by the operator that it trusts");
    Ok((acme, globex))
}

async fn tenant(stage: &Stage, name: &str, user: &str) -> anyhow::Result<Tenant> {
    let account = stage.api.post("accounts", &json!({ "name": name }), false).await?;
    let key = field(&account, "/key")?;
    let (user, creds) = issue(stage, &key, &json!({ "name": user })).await?;
    stage.pushed(&key).await?;
    Ok(Tenant { key, user, creds })
}

/// A user: its key, and the file of its creds.
async fn issue(stage: &Stage, account: &str, user: &Value) -> anyhow::Result<(String, PathBuf)> {
    let issued = stage.api.post(&format!("accounts/{account}/users"), user, false).await?;
    let name = field(&issued, "/user/name")?;
    let creds = stage.keep(&format!("{name}.creds"), &field(&issued, "/creds")?)?;
    Ok((field(&issued, "/user/key")?, creds))
}

async fn service(
    stage: &Stage,
    acme: &Tenant,
    globex: &Tenant,
    customer: &Actor,
    supplier: &Actor,
) -> anyhow::Result<()> {
    title("globex exports a service, acme imports it, and a request goes across");
    let mut requests = subscribe(supplier, "price.get").await?;
    let nobody = customer.client.request("price.get", "apple".into()).await;
    let alone = nobody.err().is_some_and(|error| error.kind() == RequestErrorKind::NoResponders);
    ensure!(alone, "before the export a request of acme reached somebody");
    fact("before: acme's request to `price.get` finds nobody, since tenants share no subjects");
    share(stage, acme, globex, "service", "price.get", "globex.price").await?;
    let answering = async {
        let request = requests.next().await.context("the supplier's subscription ended")?;
        let reply = request.reply.clone().context("the request has no reply subject")?;
        supplier.client.publish(reply, "apple: 3 EUR".into()).await?;
        Ok::<_, anyhow::Error>(request.subject.to_string())
    };
    let asking = async { Ok(customer.client.request("globex.price", "apple".into()).await?) };
    let (asked, answer) = within("the request is answered", async { tokio::try_join!(answering, asking) }).await??;
    ensure!(asked == "price.get", "the request arrived as `{asked}`");
    ensure!(answer.payload == "apple: 3 EUR", "the answer was {:?}", answer.payload);
    fact("after: acme asks `globex.price`, globex hears `price.get`, and the answer comes back: apple: 3 EUR");
    Ok(())
}

async fn stream(
    stage: &Stage,
    acme: &Tenant,
    globex: &Tenant,
    customer: &Actor,
    supplier: &Actor,
) -> anyhow::Result<()> {
    title("globex exports a stream, acme imports it, and messages come across");
    share(stage, acme, globex, "stream", "news.>", "globex.news.>").await?;
    let mut news = subscribe(customer, "globex.news.*").await?;
    supplier.client.publish("news.today", "apples are ripe".into()).await?;
    let message = within("the news arrives", news.next()).await?.context("the customer's subscription ended")?;
    ensure!(message.subject.as_str() == "globex.news.today", "the news arrived as `{}`", message.subject);
    ensure!(message.payload == "apples are ripe", "the news was {:?}", message.payload);
    fact("globex publishes `news.today`, acme receives `globex.news.today`: apples are ripe");
    Ok(())
}

/// Export and import, in force when this returns.
async fn share(
    stage: &Stage,
    acme: &Tenant,
    globex: &Tenant,
    kind: &str,
    subject: &str,
    local: &str,
) -> anyhow::Result<()> {
    let export = json!({ "kind": kind, "subject": subject });
    stage.api.post(&format!("accounts/{}/exports", globex.key), &export, false).await?;
    stage.pushed(&globex.key).await?;
    let import = json!({ "kind": kind, "account": globex.key, "subject": subject, "local_subject": local });
    let made = stage.api.post(&format!("accounts/{}/imports", acme.key), &import, false).await?;
    let state = field(&made, "/state")?;
    ensure!(state == "working", "the import is {state}: {}", field(&made, "/detail").unwrap_or_default());
    stage.pushed(&acme.key).await
}

async fn subscribe(actor: &Actor, subject: &'static str) -> anyhow::Result<Subscriber> {
    let subscriber = actor.client.subscribe(subject).await?;
    // A message to itself, on the same connection: when it is back the broker knows the subscription.
    let inbox = actor.client.new_inbox();
    let mut echo = actor.client.subscribe(inbox.clone()).await?;
    actor.client.publish(inbox, "".into()).await?;
    within("the broker answers", echo.next()).await?;
    Ok(subscriber)
}

async fn refusal(stage: &Stage, acme: &Tenant) -> anyhow::Result<()> {
    title("A publish that is refused, and why");
    let permissions = json!({ "publish": { "allow": ["orders.>"] }, "subscribe": { "allow": ["_INBOX.>"] } });
    let (user, creds) = issue(stage, &acme.key, &json!({ "name": "guest", "permissions": permissions })).await?;
    let mut guest = stage.connect(&creds).await?;
    guest.client.publish("secret.plans", "?".into()).await?;
    let refused = guest
        .told("the client is told of the refusal", |event| match event {
            Event::ServerError(error) => {
                Some(error.to_string()).filter(|text| text.to_lowercase().contains("permissions violation"))
            }
            _ => None,
        })
        .await?;
    fact(&format!("the client hears: {refused}"));
    let question = json!({ "action": "publish", "account": acme.key, "user": user, "subject": "secret.plans" });
    let answer = stage.api.post("explain", &question, false).await?;
    ensure!(answer.get("allowed") == Some(&Value::Bool(false)), "the explanation says that it is allowed");
    fact(&format!("`cordon explain` says: {}", field(&answer, "/decided_by")?));
    Ok(())
}

/// A certificate stands for a user from the next start on, so this is also a restart.
async fn by_certificate(stage: Stage, acme: &Tenant) -> anyhow::Result<Stage> {
    title("A client that has a certificate and no secret file of NATS");
    let name = "spiffe://acme.example/sensor";
    let (_, creds) = issue(&stage, &acme.key, &json!({ "name": "sensor" })).await?;
    let request = json!({ "common_name": "sensor", "uris": [name], "expires_in_seconds": 3600 });
    let issued = stage.api.post("certificates", &request, false).await?;
    let certificate = stage.keep("sensor.pem", &field(&issued, "/pem")?)?;
    let key = stage.keep("sensor.key", &field(&issued, "/private_key_pem")?)?;
    certificate::map(&stage.paths(), name.to_owned(), &files::read(&creds)?)?;
    let stage = stage.restart().await.context("the second start on the same folder failed")?;
    fact("the installation was started again on the same folder: everything is as it was");
    let sensor = stage.connect_by_certificate(&certificate, &key).await?;
    let buyer = stage.connect(&acme.creds).await?;
    let mut readings = subscribe(&buyer, "sensor.reading").await?;
    sensor.client.publish("sensor.reading", "21 C".into()).await?;
    let message = within("the reading arrives", readings.next()).await?.context("the subscription ended")?;
    ensure!(message.payload == "21 C", "the reading was {:?}", message.payload);
    fact(&format!("the certificate for {name} was taken for acme's user `sensor`, and its message arrived"));
    Ok(stage)
}

async fn revocation(stage: &Stage, acme: &Tenant) -> anyhow::Result<()> {
    title("A user is revoked");
    let mut buyer = stage.connect(&acme.creds).await?;
    let path = format!("accounts/{}/revocations", acme.key);
    let effect = stage.api.post(&path, &json!({ "user": acme.user }), true).await?;
    let ends = effect.get("disconnects").and_then(Value::as_array).map_or(0, Vec::len);
    ensure!(ends >= 1, "the dry run does not see that a connection would end");
    fact("a dry run shows the connection that would end, and changes nothing");
    stage.api.post(&path, &json!({ "user": acme.user }), false).await?;
    buyer.told("the connection ends", |event| matches!(event, Event::Disconnected).then_some(())).await?;
    fact("revoked: the broker has ended the connection");
    let again = stage.connect(&acme.creds).await;
    ensure!(again.is_err(), "the revoked user could connect again");
    fact("and the same creds do not get in again");
    Ok(())
}

async fn proof(stage: &Stage) -> anyhow::Result<()> {
    title("The audit log, verified offline");
    let (export, checkpoint) = (stage.file("export.jsonl"), stage.file("checkpoint"));
    let key = stage.paths().ledger().join("key.pub");
    let signed = stage.api.get("ledger/checkpoint").await?;
    std::fs::write(&checkpoint, field(&signed, "/note")?)?;
    let text = stage.api.text("ledger/export").await?;
    std::fs::write(&export, &text)?;
    let verified = audit::check(&export, Some(&checkpoint), Some(&key))?;
    ensure!(!verified.trusted.is_empty(), "the log was not held against the checkpoint that was kept");
    fact(&format!(
        "{} entries, root {}, continuing the checkpoint and signed with the key that were kept",
        verified.size, verified.root
    ));
    let index = entry_of(&text, "revocation.").context("the revocation is not in the log")?;
    tampered(stage, &text, &verified, index, &key)
}

/// The index of the entry whose kind begins so.
fn entry_of(export: &str, kind: &str) -> Option<usize> {
    // The header is the first line.
    export.lines().skip(1).position(|line| line.contains(&format!("\"kind\":\"{kind}")))
}

/// A copy in which one entry says something else, and one that lacks it: both are caught and named.
fn tampered(stage: &Stage, export: &str, verified: &Verified, index: usize, key: &Path) -> anyhow::Result<()> {
    let file = stage.file("tampered.jsonl");
    let write = |lines: Vec<String>| std::fs::write(&file, lines.join("\n") + "\n");
    let lines: Vec<String> = export.lines().map(str::to_owned).collect();
    ensure!(lines.len() as u64 > verified.size, "the export is shorter than it says");
    let mut changed = lines.clone();
    let line = changed.get_mut(index + 1).context("the entry is not in the export")?;
    *line = line.replacen("\"revocation.", "\"innocent.", 1);
    write(changed)?;
    caught(&file, index, key, "one word in it was changed")?;
    let mut shortened = lines;
    shortened.remove(index + 1);
    write(shortened)?;
    caught(&file, index, key, "it was taken out")
}

fn caught(file: &Path, index: usize, key: &Path, deed: &str) -> anyhow::Result<()> {
    let Err(error) = audit::check(file, None, Some(key)) else { bail!("a log in which {deed} was believed") };
    let text = format!("{error:#}");
    ensure!(text.contains(&format!("entry {index} ")), "the wrong place was named: {text}");
    let told = text.rsplit_once(": entry").map_or(text.clone(), |(_, rest)| format!("entry{rest}"));
    fact(&format!("a copy of entry {index} where {deed} is caught: {told}"));
    Ok(())
}

fn field(value: &Value, path: &str) -> anyhow::Result<String> {
    let text = value.pointer(path).and_then(Value::as_str);
    text.map(str::to_owned).with_context(|| format!("the API did not say {path}"))
}
