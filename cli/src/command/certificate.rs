//! `cordon certificate`.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::Value;

use super::body::Body;
use super::secret::check_folder;
use super::show::text;
use super::time::seconds;
use crate::api::Connect;
use crate::data_folder::Paths;
use crate::failure::usage;
use crate::files::{self, Readable};
use crate::output::{Column, column, say};

const COLUMNS: [Column; 5] = [
    column("serial", "serial"),
    column("common name", "common_name"),
    column("names", "names"),
    column("not before", "not_before"),
    column("not after", "not_after"),
];

#[derive(Args, Debug)]
pub(crate) struct Certificate {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// List client certificates
    List,
    /// Issue a client certificate
    Issue(Box<Issue>),
    /// Get the certificate of the authority
    Ca {
        /// Write it to this file instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Let certificates of a name connect as a user, without creds
    ///
    /// Written to the data folder on this machine; in force when `cordon serve` starts again.
    Map {
        /// E-mail address, DNS name, URI or distinguished name in the certificate
        name: String,
        /// Creds file of the user; the user's JWT is taken from it
        #[arg(long, value_name = "FILE")]
        creds: PathBuf,
    },
}

#[derive(Args, Debug)]
struct Issue {
    /// Common name of the subject
    #[arg(long)]
    common_name: Option<String>,
    /// E-mail address
    #[arg(long)]
    email: Vec<String>,
    /// DNS name
    #[arg(long)]
    dns: Vec<String>,
    /// URI, such as a SPIFFE id
    #[arg(long)]
    uri: Vec<String>,
    /// Signing request whose key is certified; without one a key is made
    #[arg(long, value_name = "FILE")]
    csr: Option<PathBuf>,
    /// How long it is valid: 90s, 15m, 12h, 30d
    #[arg(long, value_name = "TIME", value_parser = seconds)]
    expires_in: Option<i64>,
    /// Where the certificate goes
    #[arg(long, value_name = "FILE")]
    cert: PathBuf,
    /// Where its private key goes, if one is made
    #[arg(long, value_name = "FILE", required_unless_present = "csr", conflicts_with = "csr")]
    key: Option<PathBuf>,
}

impl Certificate {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        match self.act {
            Act::List => connect.show_list(&COLUMNS, connect.api()?.list("certificates", &[], None).await?),
            Act::Issue(issue) => issue.run(connect).await?,
            Act::Ca { out } => {
                let pem = connect.api()?.text("certificates/ca").await?;
                match out {
                    Some(path) => files::write(&path, pem.as_bytes(), Readable::ByAll)?,
                    None => say(pem.trim_end()),
                }
            }
            Act::Map { name, creds } => map(&Paths::new(&connect.data), name, &files::read(&creds)?)?,
        }
        Ok(())
    }
}

impl Issue {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        for path in std::iter::once(&self.cert).chain(&self.key) {
            check_folder(path)?;
            if path.exists() {
                return Err(usage(format!("`{}` exists; choose another file", path.display())));
            }
        }
        let csr = self.csr.as_deref().map(files::read).transpose()?;
        let body = Body::default()
            .maybe("csr", csr)
            .maybe("common_name", self.common_name)
            .list("emails", &self.email)
            .list("dns", &self.dns)
            .list("uris", &self.uri)
            .maybe("expires_in_seconds", self.expires_in);
        let mut answer = connect.api()?.post("certificates", &body.into_value(), false).await?;
        let key = answer.as_object_mut().and_then(|fields| fields.remove("private_key_pem"));
        if let Some(path) = &self.key {
            let key = key.as_ref().and_then(Value::as_str).context("the API gave no private key")?;
            files::write(path, key.as_bytes(), Readable::ByOwner)?;
        }
        let pem = answer.get("pem").and_then(Value::as_str).context("the API gave no certificate")?;
        files::write(&self.cert, pem.as_bytes(), Readable::ByAll)?;
        let sentence = format!(
            "issued certificate {}, valid until {}",
            text(&answer, "/certificate/serial"),
            text(&answer, "/certificate/not_after")
        );
        connect.done(&answer, false, &sentence);
        Ok(())
    }
}

/// Adds a name to the table of the data folder.
pub(crate) fn map(paths: &Paths, name: String, creds: &str) -> anyhow::Result<()> {
    let creds = cordon_accounts::creds::Creds::parse(creds).context("this is no creds file")?;
    let file = paths.certificate_users();
    let mut users = read_map(paths)?;
    users.insert(name, creds.jwt);
    files::write(&file, (serde_json::to_string_pretty(&users)? + "\n").as_bytes(), Readable::ByOwner)
        .context("is there a data folder of `cordon serve`? Name it with --data")
}

/// Which user JWT a name in a certificate stands for.
pub(crate) fn read_map(paths: &Paths) -> anyhow::Result<BTreeMap<String, String>> {
    let file = paths.certificate_users();
    if !file.exists() {
        return Ok(BTreeMap::new());
    }
    serde_json::from_str(&files::read(&file)?).with_context(|| format!("`{}` cannot be understood", file.display()))
}
