//! `cordon audit`: the audit log searched and exported over the API, and verified offline.

use std::fs::File;
use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use cordon_admin::ledger::verify::{Verified, verify_export};
use cordon_admin::ledger::{Ledger, NoteKey};
use cordon_admin::store::Store;
use cordon_admin::vault::{KeySource, Vault};
use cordon_auth::clock::Clock;
use serde_json::{Value, json};

use super::secret::check_folder;
use crate::api::Connect;
use crate::data_folder::Paths;
use crate::files::{self, Readable};
use crate::output::{self, Column, column, say};

const COLUMNS: [Column; 8] = [
    column("index", "index"),
    column("time", "time"),
    column("kind", "kind"),
    column("outcome", "outcome"),
    column("actor", "actor/id"),
    column("account", "account"),
    column("object", "object"),
    column("reason", "reason"),
];

#[derive(Args, Debug)]
pub(crate) struct Audit {
    #[command(flatten)]
    connect: Connect,
    #[command(subcommand)]
    act: Act,
}

#[derive(Debug, Subcommand)]
enum Act {
    /// Verify the audit log offline: an export, or the log in a data folder
    Verify(Verify),
    /// Search the audit log, newest first
    Search(Search),
    /// Export the whole audit log as JSON Lines
    Export {
        /// Write it to this file instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Begin at this entry (such an export cannot be verified by itself)
        #[arg(long, value_name = "INDEX")]
        first: Option<u64>,
    },
    /// Get the newest signed checkpoint; keep it where nobody can change it
    Checkpoint {
        /// Write the signed note to this file instead of printing it
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Write the key that verifies it to this file
        #[arg(long, value_name = "FILE")]
        key_out: Option<PathBuf>,
    },
    /// Show that an entry is in the log
    Proof {
        index: u64,
        /// Size of the log to prove it for [default: now]
        #[arg(long)]
        size: Option<u64>,
    },
}

#[derive(Args, Debug)]
struct Verify {
    /// Export of the audit log [default: the log in the data folder, read from its database]
    file: Option<PathBuf>,
    /// Signed checkpoint that was kept elsewhere
    #[arg(long, value_name = "FILE")]
    checkpoint: Option<PathBuf>,
    /// Public key of the log, as it was when you first trusted it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

#[derive(Args, Debug)]
struct Search {
    /// Who: id of a token
    #[arg(long)]
    actor: Option<String>,
    /// Account
    #[arg(long)]
    account: Option<String>,
    /// What: user.create, account.suspend, ...
    #[arg(long)]
    kind: Option<String>,
    /// How it ended: done, refused
    #[arg(long)]
    outcome: Option<String>,
    /// From when: 2030-01-31T00:00:00Z
    #[arg(long, value_name = "RFC 3339")]
    from: Option<String>,
    /// Until when
    #[arg(long, value_name = "RFC 3339")]
    to: Option<String>,
    /// Show at most so many entries
    #[arg(long, default_value_t = 50)]
    limit: usize,
}

impl Audit {
    pub(crate) async fn run(self) -> anyhow::Result<()> {
        let connect = &self.connect;
        match self.act {
            Act::Verify(verify) => verify.run(connect).await,
            Act::Search(search) => search.run(connect).await,
            Act::Export { out, first } => export(connect, out.as_deref(), first).await,
            Act::Checkpoint { out, key_out } => checkpoint(connect, out.as_deref(), key_out.as_deref()).await,
            Act::Proof { index, size } => {
                let size = size.map(|size| format!("&size={size}")).unwrap_or_default();
                connect.show(&connect.api()?.get(&format!("ledger/proof?index={index}{size}")).await?);
                Ok(())
            }
        }
    }
}

impl Verify {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let verified = match &self.file {
            Some(file) => check(file, self.checkpoint.as_deref(), self.key.as_deref())?,
            None => self.data_folder(&Paths::new(&connect.data)).await?,
        };
        report(connect, &verified);
        Ok(())
    }

    /// The log in a data folder, whether something runs on it or not, held against the checkpoint and
    /// the key that lie beside the database.
    async fn data_folder(&self, paths: &Paths) -> anyhow::Result<Verified> {
        let beside = |name: &str| Some(paths.ledger().join(name)).filter(|path| path.exists());
        let checkpoint = self.checkpoint.clone().or_else(|| beside("checkpoint"));
        let key = self.key.clone().or_else(|| beside("key.pub"));
        let file = paths.root().join(format!("export.{}.tmp", std::process::id()));
        let verified = match dump(paths, &file).await {
            Ok(()) => check(&file, checkpoint.as_deref(), key.as_deref()),
            Err(error) => Err(error),
        };
        let _never_made = std::fs::remove_file(&file);
        verified
    }
}

/// Exports the log of a data folder from its database.
async fn dump(paths: &Paths, file: &Path) -> anyhow::Result<()> {
    let store_file = paths.store();
    anyhow::ensure!(
        store_file.exists(),
        "there is no `{}`: name an export, or a data folder with --data; from another database export with `cordon audit export`",
        store_file.display()
    );
    let now = Clock::system().unix_seconds();
    let store = Store::open(&store_file.display().to_string()).await.context("the database cannot be opened")?;
    let vault = Vault::open(&KeySource::File(paths.vault_key()), &store, now)
        .await
        .context("the vault cannot be opened; export with `cordon audit export` and verify the file")?;
    let ledger = Ledger::open(&store, &vault, None, now).await.context("the log cannot be opened")?;
    let mut reader = store.read().await?;
    let mut export = ledger.export(&mut reader, now).await?;
    let mut out = File::create(file).with_context(|| format!("cannot write `{}`", file.display()))?;
    while let Some(lines) = export.next(&mut reader).await? {
        out.write_all(lines.as_bytes()).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    Ok(())
}

/// Verifies an export; nothing but the files is asked.
pub(crate) fn check(file: &Path, checkpoint: Option<&Path>, key: Option<&Path>) -> anyhow::Result<Verified> {
    let trusted = checkpoint.map(files::read).transpose()?;
    let key = match key {
        Some(path) => {
            let text = files::read(path)?;
            let key: NoteKey =
                text.trim().parse().with_context(|| format!("`{}` is no key of a log", path.display()))?;
            Some(key)
        }
        None => None,
    };
    let shown = file.display();
    let reader = BufReader::new(File::open(file).with_context(|| format!("cannot read `{shown}`"))?);
    verify_export(reader, trusted.as_deref(), key.as_ref())
        .map_err(|error| anyhow::anyhow!("`{shown}` is NOT the log as it was written: {error}"))
}

fn report(connect: &Connect, verified: &Verified) {
    if connect.json {
        output::json(&json!({
            "verified": true,
            "origin": verified.origin,
            "size": verified.size,
            "root": verified.root.to_string(),
            "key": verified.key.to_string(),
            "key_given": verified.key_given,
            "checkpoints": verified.checkpoints,
            "trusted_checkpoints": verified.trusted,
            "erased_blobs": verified.erased_blobs,
        }));
        return;
    }
    say(&format!(
        "verified: {} entries, root {}, {} checkpoints",
        verified.size,
        verified.root,
        verified.checkpoints.len()
    ));
    if !verified.trusted.is_empty() {
        let sizes: Vec<String> = verified.trusted.iter().map(u64::to_string).collect();
        say(&format!("it continues the checkpoints that you kept (at {} entries)", sizes.join(", ")));
    }
    if !verified.key_given {
        output::warn(
            "the key is the export's own word: give the one you trust with --key, or a kept checkpoint with --checkpoint",
        );
    }
    if verified.erased_blobs > 0 {
        say(&format!(
            "{} details were erased on purpose; the entries prove that they were there",
            verified.erased_blobs
        ));
    }
}

impl Search {
    async fn run(self, connect: &Connect) -> anyhow::Result<()> {
        let api = connect.api()?;
        let mut query: Vec<(&str, String)> = Vec::new();
        if let Some(account) = &self.account {
            query.push(("account", api.account(account).await?));
        }
        let rest = [
            ("actor", self.actor),
            ("kind", self.kind),
            ("outcome", self.outcome),
            ("from", self.from),
            ("to", self.to),
        ];
        query.extend(rest.into_iter().filter_map(|(name, value)| value.map(|value| (name, value))));
        connect.show_list(&COLUMNS, api.list("ledger/entries", &query, Some(self.limit)).await?);
        Ok(())
    }
}

/// Gets the export, piece by piece, into a file or onto stdout.
pub(crate) async fn export(connect: &Connect, out: Option<&Path>, first: Option<u64>) -> anyhow::Result<()> {
    if let Some(path) = out {
        check_folder(path)?;
    }
    let query = first.map(|first| format!("?first={first}")).unwrap_or_default();
    let mut response = connect.api()?.stream(&format!("ledger/export{query}")).await?;
    let mut target: Box<dyn std::io::Write> = match out {
        Some(path) => Box::new(File::create(path).with_context(|| format!("cannot write `{}`", path.display()))?),
        None => Box::new(std::io::stdout()),
    };
    while let Some(piece) = response.chunk().await.context("the export broke off")? {
        target.write_all(&piece).context("the export cannot be written")?;
    }
    target.flush().context("the export cannot be written")
}

async fn checkpoint(connect: &Connect, out: Option<&Path>, key_out: Option<&Path>) -> anyhow::Result<()> {
    let answer = connect.api()?.get("ledger/checkpoint").await?;
    let (Some(note), Some(key)) =
        (answer.get("note").and_then(Value::as_str), answer.get("key").and_then(Value::as_str))
    else {
        bail!("the admin API gave no checkpoint");
    };
    if let Some(path) = key_out {
        files::write(path, format!("{key}\n").as_bytes(), Readable::ByAll)?;
    }
    match out {
        Some(path) => {
            files::write(path, note.as_bytes(), Readable::ByAll)?;
            connect.done(
                &answer,
                false,
                &format!(
                    "checkpoint of {} entries in {}",
                    answer.get("size").cloned().unwrap_or_default(),
                    path.display()
                ),
            );
        }
        None if connect.json => output::json(&answer),
        None => say(note.trim_end()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_export_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("export.jsonl");
        for (content, told) in [("", "empty"), ("{\"format\":\"other\"}\n", "header"), ("noise", "header")] {
            std::fs::write(&file, content).unwrap();
            let text = format!("{:#}", check(&file, None, None).unwrap_err());
            assert!(text.contains("NOT") && text.contains(told), "{content}: {text}");
        }
        assert!(format!("{:#}", check(&folder.path().join("none"), None, None).unwrap_err()).contains("cannot read"));
    }

    #[test]
    fn a_key_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (file, key) = (folder.path().join("export.jsonl"), folder.path().join("key.pub"));
        std::fs::write(&file, "").unwrap();
        std::fs::write(&key, "nonsense").unwrap();
        assert!(format!("{:#}", check(&file, None, Some(&key)).unwrap_err()).contains("no key of a log"));
    }
}
