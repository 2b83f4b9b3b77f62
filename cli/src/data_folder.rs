//! The data folder: where everything of one installation lies, and who may use it.
//!
//! ```text
//! cordon.json   marker: this folder is ours, of this format, set up or not
//! lock          held while a process uses the folder
//! run.json      addresses, while it runs
//! admin-token   the owner's API token
//! cordon.db, vault.key, ca/, tls/, creds/, ledger/, broker/
//! ```

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};

use crate::files::{self, Readable};

/// Where the folder is unless told otherwise.
pub(crate) const DEFAULT: &str = "cordon-data";
/// The format that this version writes, and the newest it reads.
const FORMAT: u32 = 1;
const KIND: &str = "cordon-data";

/// What is said of a data folder inside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Marker {
    pub(crate) format: u32,
    pub(crate) kind: String,
    /// The first start went through to its end.
    #[serde(default)]
    pub(crate) complete: bool,
    /// The operator that was made for the broker of this folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) operator: Option<String>,
    /// What the server certificate is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) server_certificate: Option<ServerCertificate>,
}

/// What the server certificate is for, so that a start sees whether it is still enough.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ServerCertificate {
    /// DNS names and addresses.
    pub(crate) names: Vec<String>,
    /// Unix seconds.
    pub(crate) not_after: i64,
}

/// Where a running process is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) pid: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_address: Option<SocketAddr>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) websocket_address: Option<SocketAddr>,
    pub(crate) admin_address: SocketAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) monitor_address: Option<SocketAddr>,
}

/// A data folder that belongs to this process until it is dropped.
#[derive(Debug)]
pub(crate) struct DataFolder {
    paths: Paths,
    marker: Marker,
    _lock: File,
}

/// What lies where.
#[derive(Clone, Debug)]
pub(crate) struct Paths {
    root: PathBuf,
}

impl Paths {
    pub(crate) fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn run(&self) -> PathBuf {
        self.root.join("run.json")
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.root.join("cordon.db")
    }

    pub(crate) fn vault_key(&self) -> PathBuf {
        self.root.join("vault.key")
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.root.join("ca")
    }

    pub(crate) fn ca(&self) -> PathBuf {
        self.root.join("ca").join("ca.pem")
    }

    pub(crate) fn server_certificate(&self) -> PathBuf {
        self.root.join("tls").join("server.pem")
    }

    pub(crate) fn server_key(&self) -> PathBuf {
        self.root.join("tls").join("server.key")
    }

    pub(crate) fn creds(&self) -> PathBuf {
        self.root.join("creds")
    }

    pub(crate) fn system_creds(&self) -> PathBuf {
        self.creds().join("system.creds")
    }

    pub(crate) fn ledger(&self) -> PathBuf {
        self.root.join("ledger")
    }

    pub(crate) fn resolver(&self) -> PathBuf {
        self.root.join("broker").join("jwt")
    }

    pub(crate) fn security(&self) -> PathBuf {
        self.root.join("broker").join("security")
    }

    /// Where streams are kept, in a folder `jetstream`.
    pub(crate) fn streams(&self) -> PathBuf {
        self.root.join("broker")
    }

    pub(crate) fn certificate_users(&self) -> PathBuf {
        self.root.join("broker").join("certificate-users.json")
    }

    pub(crate) fn admin_token(&self) -> PathBuf {
        self.root.join("admin-token")
    }

    fn marker(&self) -> PathBuf {
        self.root.join("cordon.json")
    }

    fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// Where the process that uses this folder is reached.
    pub(crate) fn read_run(&self) -> anyhow::Result<Run> {
        let text = files::read(&self.run())?;
        serde_json::from_str(&text).with_context(|| format!("`{}` cannot be understood", self.run().display()))
    }
}

impl DataFolder {
    /// Takes a folder into use; an empty or missing one becomes a data folder.
    pub(crate) fn open(root: &Path) -> anyhow::Result<Self> {
        let paths = Paths::new(root);
        let shown = root.display();
        let marker = read_marker(&paths)?;
        if marker.is_none() {
            refuse_foreign(root)?;
        }
        files::make_private_folder(root).with_context(|| {
            format!("the data folder `{shown}` cannot be made or is not yours; choose another with --data")
        })?;
        let lock = take_lock(&paths)?;
        let marker = marker.unwrap_or(Marker {
            format: FORMAT,
            kind: KIND.to_owned(),
            complete: false,
            operator: None,
            server_certificate: None,
        });
        let mut folder = Self { paths, marker, _lock: lock };
        if !folder.marker.complete {
            folder.write_marker()?;
        }
        // Whoever wrote it has ended.
        match fs::remove_file(folder.paths.run()) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(error).with_context(|| format!("the data folder `{shown}` cannot be written"))
            }
            _ => Ok(folder),
        }
    }

    /// Whether the first start is still to be made, or was interrupted.
    pub(crate) fn is_new(&self) -> bool {
        !self.marker.complete
    }

    /// The operator that was made for this folder's broker.
    pub(crate) fn operator(&self) -> Option<&str> {
        self.marker.operator.as_deref()
    }

    /// Remembers the operator, before anything else depends on it.
    pub(crate) fn set_operator(&mut self, key: &str) -> anyhow::Result<()> {
        if self.marker.operator.as_deref() == Some(key) {
            return Ok(());
        }
        self.marker.operator = Some(key.to_owned());
        self.write_marker()
    }

    /// What the server certificate is for, if there is one.
    pub(crate) fn server_certificate(&self) -> Option<&ServerCertificate> {
        self.marker.server_certificate.as_ref()
    }

    /// Remembers what the server certificate is for, after it was written.
    pub(crate) fn set_server_certificate(&mut self, certificate: ServerCertificate) -> anyhow::Result<()> {
        self.marker.server_certificate = Some(certificate);
        self.write_marker()
    }

    /// Remembers that everything is set up.
    pub(crate) fn set_complete(&mut self) -> anyhow::Result<()> {
        self.marker.complete = true;
        self.write_marker()
    }

    /// What lies where.
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }

    /// Tells others where this process is reached.
    pub(crate) fn write_run(&self, run: &Run) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(run)? + "\n";
        files::write(&self.paths.run(), text.as_bytes(), Readable::ByAll)
    }

    fn write_marker(&mut self) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(&self.marker)? + "\n";
        files::write(&self.paths.marker(), text.as_bytes(), Readable::ByAll)
            .context("the data folder cannot be written; give a folder that you may write with --data")
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        // A left-over is removed at the next start.
        let _removed = fs::remove_file(self.paths.run());
    }
}

fn read_marker(paths: &Paths) -> anyhow::Result<Option<Marker>> {
    let path = paths.marker();
    match fs::metadata(&path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
        Err(error) => {
            let text = format!("the data folder `{}` cannot be read; choose another with --data", paths.root.display());
            return Err(error).context(text);
        }
        Ok(_) => {}
    }
    let shown = path.display();
    let marker: Marker = serde_json::from_str(&files::read(&path)?).with_context(|| {
        format!("`{shown}` is damaged; restore it from a backup, or choose another folder with --data")
    })?;
    if marker.kind != KIND {
        bail!("`{shown}` does not belong to Cordon; choose another folder with --data");
    }
    if marker.format > FORMAT {
        bail!(
            "the data folder `{}` has format {}, and this version of Cordon knows formats up to {FORMAT}: \
             use the version that wrote it, or a newer one",
            paths.root.display(),
            marker.format
        );
    }
    Ok(Some(marker))
}

/// A folder with something in it that is not ours is left alone.
fn refuse_foreign(root: &Path) -> anyhow::Result<()> {
    let shown = root.display();
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => {
            bail!("`{shown}` is not a folder; choose another with --data")
        }
        Err(error) => {
            return Err(error)
                .with_context(|| format!("the data folder `{shown}` cannot be read; choose another with --data"));
        }
        Ok(entries) => entries,
    };
    for entry in entries {
        let name = entry.with_context(|| format!("the data folder `{shown}` cannot be read"))?.file_name();
        // What an interrupted first start may leave behind.
        let ours = name == "lock" || name.to_str().is_some_and(|name| name.starts_with("cordon.json."));
        if !ours {
            bail!(
                "the folder `{shown}` is not empty and is not a data folder of Cordon (it has no cordon.json): \
                 choose an empty or a new folder with --data"
            );
        }
    }
    Ok(())
}

fn take_lock(paths: &Paths) -> anyhow::Result<File> {
    let path = paths.lock();
    let unwritable =
        || format!("the data folder `{}` cannot be written; choose another with --data", paths.root.display());
    let file = File::options().create(true).write(true).truncate(false).open(&path).with_context(unwritable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => bail!(
            "the data folder `{}` is in use by another process of Cordon: stop that one, or choose another folder with --data",
            paths.root.display()
        ),
        Err(TryLockError::Error(error)) => Err(error).with_context(unwritable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(root: &Path) -> String {
        format!("{:#}", DataFolder::open(root).unwrap_err())
    }

    #[test]
    fn a_new_folder_is_ours_and_private() {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("data");
        let mut folder = DataFolder::open(&root).unwrap();
        assert!(folder.is_new());
        #[cfg(unix)]
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&root).unwrap().permissions()) & 0o777, 0o700);
        folder.set_operator("OABC").unwrap();
        folder.set_complete().unwrap();
        drop(folder);
        let folder = DataFolder::open(&root).unwrap();
        assert!(!folder.is_new());
        assert_eq!(folder.operator(), Some("OABC"));
    }

    #[test]
    fn an_interrupted_first_start_is_taken_up_again() {
        let parent = tempfile::tempdir().unwrap();
        drop(DataFolder::open(parent.path()).unwrap());
        assert!(DataFolder::open(parent.path()).unwrap().is_new());
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("letter.txt"), "dear").unwrap();
        let text = refusal(parent.path());
        assert!(text.contains("not empty") && text.contains("--data"), "{text}");
        assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_is_no_folder() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("file");
        fs::write(&path, "").unwrap();
        assert!(refusal(&path).contains("is not a folder"));
    }

    #[test]
    fn a_second_process_is_told_who_is_in_the_way() {
        let parent = tempfile::tempdir().unwrap();
        let _first = DataFolder::open(parent.path()).unwrap();
        assert!(refusal(parent.path()).contains("in use by another process"));
    }

    #[test]
    fn markers_of_others_and_of_the_future_are_refused() {
        for (marker, told) in [
            (r#"{"format":2,"kind":"cordon-data"}"#, "format 2"),
            (r#"{"format":1,"kind":"something"}"#, "does not belong"),
            ("{", "damaged"),
            ("", "damaged"),
        ] {
            let parent = tempfile::tempdir().unwrap();
            fs::write(parent.path().join("cordon.json"), marker).unwrap();
            let text = refusal(parent.path());
            assert!(text.contains(told), "{marker}: {text}");
        }
    }

    #[test]
    fn addresses_are_gone_when_the_process_is() {
        let parent = tempfile::tempdir().unwrap();
        let folder = DataFolder::open(parent.path()).unwrap();
        let run = Run {
            pid: 1,
            client_address: None,
            websocket_address: None,
            admin_address: ([127, 0, 0, 1], 8443).into(),
            monitor_address: None,
        };
        folder.write_run(&run).unwrap();
        assert_eq!(folder.paths().read_run().unwrap(), run);
        let paths = folder.paths().clone();
        drop(folder);
        assert!(paths.read_run().is_err());
    }
}
