//! `cordon user`.

use std::path::Path;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::DryRun;
use super::body::Body;
use super::secret::SecretOut;
use super::show::text;
use super::template::Template;
use super::time::Expiry;
use crate::api::{Api, Connect};
use crate::output::{self, Column, column, say};

const COLUMNS: [Column; 6] = [
    column("name", "name"),
    column("key", "key"),
    column("state", "state"),
    column("role", "role"),
    column("issued", "issued_at"),
    column("expires", "expires_at"),
];

#[derive(Args, Debug)]
pub(crate) struct User {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List the users of an account
    List {
        account: String,
        /// Only those in this state: active, revoked, deleted
        #[arg(long)]
        state: Option<String>,
    },
    /// Show a user
    Show { account: String, user: String },
    /// Issue a user; its creds are shown once
    Create(Box<Create>),
    /// Change a user: a new JWT is issued, the earlier ones are revoked
    Edit(Box<Edit>),
    /// Delete a user: its connections end
    Delete {
        account: String,
        user: String,
        #[command(flatten)]
        dry: DryRun,
    },
    /// Issue a user's JWT anew, with another key if asked for
    Creds(Creds),
}

#[derive(Args, Debug)]
struct Create {
    account: String,
    name: String,
    /// Public key that the user brings; its seed stays there
    #[arg(long, value_name = "U..")]
    key: Option<String>,
    /// Signing key to sign with, or the role of a scoped one
    #[arg(long, value_name = "KEY|ROLE")]
    signing_key: Option<String>,
    #[command(flatten)]
    template: Template,
    /// Label
    #[arg(long)]
    tag: Vec<String>,
    #[command(flatten)]
    expiry: Expiry,
    #[command(flatten)]
    out: SecretOut,
    #[command(flatten)]
    dry: DryRun,
}

#[derive(Args, Debug)]
struct Edit {
    account: String,
    user: String,
    /// New name
    #[arg(long)]
    name: Option<String>,
    /// Signing key to sign with, or the role of a scoped one
    #[arg(long, value_name = "KEY|ROLE")]
    signing_key: Option<String>,
    #[command(flatten)]
    template: Template,
    /// Label; replaces those that are there
    #[arg(long)]
    tag: Vec<String>,
    #[command(flatten)]
    expiry: Expiry,
    #[command(flatten)]
    dry: DryRun,
}

#[derive(Args, Debug)]
struct Creds {
    account: String,
    user: String,
    /// Make a new key; what was issued for the old one is revoked
    #[arg(long)]
    rotate_key: bool,
    #[command(flatten)]
    expiry: Expiry,
    #[command(flatten)]
    out: SecretOut,
    #[command(flatten)]
    dry: DryRun,
}

impl User {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        let api = connect.api()?;
        match self.act {
            Act::List { account, state } => {
                let account = api.account(&account).await?;
                let query: Vec<_> = state.map(|state| ("state", state)).into_iter().collect();
                connect.show_list(&COLUMNS, api.list(&format!("accounts/{account}/users"), &query, None).await?);
            }
            Act::Show { account, user } => connect.show(&api.get(&path(&api, &account, &user).await?).await?),
            Act::Create(create) => create.run(connect, &api).await?,
            Act::Edit(edit) => edit.run(connect, &api).await?,
            Act::Delete { account, user, dry } => {
                let answer = api.delete(&path(&api, &account, &user).await?, &[], dry.dry_run).await?;
                connect.done(&answer, dry.dry_run, &format!("deleted user {user}; what was issued for it is revoked"));
            }
            Act::Creds(creds) => creds.run(connect, &api).await?,
        }
        Ok(())
    }
}

/// Where a user is in the API.
pub(super) async fn path(api: &Api, account: &str, user: &str) -> anyhow::Result<String> {
    let account = api.account(account).await?;
    let user = api.user(&account, user).await?;
    Ok(format!("accounts/{account}/users/{user}"))
}

impl Create {
    async fn run(self, connect: &Connect, api: &Api) -> anyhow::Result<()> {
        check_place(connect, &self.out, self.dry)?;
        let account = api.account(&self.account).await?;
        let body = Body::default()
            .set("name", self.name)
            .maybe("key", self.key)
            .maybe("signing_key", self.signing_key)
            .list("tags", &self.tag)
            .with(self.template.body())
            .with(self.expiry.body());
        let answer = api.post(&format!("accounts/{account}/users"), &body.into_value(), self.dry.dry_run).await?;
        let sentence = format!("created user {} {}", text(&answer, "/user/name"), text(&answer, "/user/key"));
        issued(connect, &answer, &self.out, self.dry, &sentence)
    }
}

impl Edit {
    async fn run(self, connect: &Connect, api: &Api) -> anyhow::Result<()> {
        let body = Body::default()
            .maybe("name", self.name)
            .maybe("signing_key", self.signing_key)
            .list("tags", &self.tag)
            .with(self.template.body())
            .with(self.expiry.body())
            .into_change()?;
        let path = path(api, &self.account, &self.user).await?;
        let answer = api.patch(&path, &body, self.dry.dry_run).await?;
        let sentence = format!("changed user {}; its earlier JWTs are revoked", text(&answer, "/user/key"));
        connect.done(&without_secrets(&answer), self.dry.dry_run, &sentence);
        Ok(())
    }
}

impl Creds {
    async fn run(self, connect: &Connect, api: &Api) -> anyhow::Result<()> {
        check_place(connect, &self.out, self.dry)?;
        let path = path(api, &self.account, &self.user).await?;
        let body = Body::default().flag("rotate_key", self.rotate_key).with(self.expiry.body());
        let answer = api.post(&format!("{path}/creds"), &body.into_value(), self.dry.dry_run).await?;
        let sentence = format!("issued user {} {}", text(&answer, "/user/name"), text(&answer, "/user/key"));
        issued(connect, &answer, &self.out, self.dry, &sentence)
    }
}

/// Asked before anything is issued. A script that asks for JSON without a file gets the whole answer.
fn check_place(connect: &Connect, out: &SecretOut, dry: DryRun) -> anyhow::Result<()> {
    let nothing_to_keep = dry.dry_run || (connect.json && out.out.is_none());
    if nothing_to_keep { Ok(()) } else { out.check("creds") }
}

/// Hands over what was issued: the creds, or the JWT alone where Cordon does not have the seed.
fn issued(connect: &Connect, answer: &Value, out: &SecretOut, dry: DryRun, sentence: &str) -> anyhow::Result<()> {
    if dry.dry_run {
        connect.done(answer, true, sentence);
        return Ok(());
    }
    if connect.json && out.out.is_none() {
        output::json(answer);
        return Ok(());
    }
    let creds = answer.get("creds").and_then(Value::as_str);
    let jwt = answer.get("jwt").and_then(Value::as_str);
    let secret = creds.or(jwt).context("the API issued the user, but gave neither creds nor a JWT")?;
    let what = if creds.is_some() { "creds" } else { "JWT (the seed is not here)" };
    let place = out.hand_over(secret)?;
    if connect.json {
        output::json(&without_secrets(answer));
    } else if let Some(place) = place {
        say(sentence);
        say(&format!("{what} in {}", Path::display(place)));
    }
    Ok(())
}

fn without_secrets(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(fields) = answer.as_object_mut().filter(|fields| fields.contains_key("user")) {
        fields.remove("creds");
    }
    answer
}
