//! What is shown once: creds, tokens, private keys. Into a file of their owner, or only on demand to the
//! terminal.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::failure::usage;
use crate::files::{self, Readable};
use crate::output;

/// Where a secret goes.
#[derive(Args, Clone, Debug)]
pub(crate) struct SecretOut {
    /// Write the secret to this file, which only you can read
    #[arg(long, value_name = "FILE", conflicts_with = "show")]
    pub(crate) out: Option<PathBuf>,
    /// Print the secret
    #[arg(long)]
    pub(crate) show: bool,
    /// Replace the file if it is there
    #[arg(long, requires = "out")]
    pub(crate) force: bool,
}

impl SecretOut {
    /// Asked before anything is issued, so that no secret is made and lost.
    pub(crate) fn check(&self, what: &str) -> anyhow::Result<()> {
        match &self.out {
            None if !self.show => Err(usage(format!(
                "the {what} can be had only now: say where they go with --out FILE, or print them with --show"
            ))),
            Some(path) if path.exists() && !self.force => {
                Err(usage(format!("`{}` exists; choose another file, or replace it with --force", path.display())))
            }
            Some(path) => check_folder(path),
            None => Ok(()),
        }
    }

    /// Hands the secret over; says where it is.
    pub(crate) fn hand_over(&self, secret: &str) -> anyhow::Result<Option<&Path>> {
        let Some(path) = &self.out else {
            output::say(secret.trim_end());
            return Ok(None);
        };
        // Should this fail the secret is lost, so it was checked before; it can be issued again.
        files::write(path, secret.as_bytes(), Readable::ByOwner)?;
        Ok(Some(path))
    }
}

/// The folder of a file that is to be written is there.
pub(crate) fn check_folder(path: &Path) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if folder.is_dir() {
        Ok(())
    } else {
        Err(usage(format!("there is no folder `{}`; make it first", folder.display())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(path: Option<PathBuf>, show: bool, force: bool) -> SecretOut {
        SecretOut { out: path, show, force }
    }

    #[test]
    fn a_secret_needs_a_place_before_it_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().join("there");
        std::fs::write(&there, "x").unwrap();
        assert!(out(None, false, false).check("creds").unwrap_err().to_string().contains("--out"));
        assert!(out(None, true, false).check("creds").is_ok());
        assert!(out(Some(there.clone()), false, false).check("creds").unwrap_err().to_string().contains("--force"));
        assert!(out(Some(there), false, true).check("creds").is_ok());
        assert!(out(Some(folder.path().join("new")), false, false).check("creds").is_ok());
        assert!(out(Some(folder.path().join("no").join("new")), false, false).check("creds").is_err());
    }

    #[cfg(unix)]
    #[test]
    fn the_file_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("app.creds");
        out(Some(path.clone()), false, false).hand_over("secret").unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}
