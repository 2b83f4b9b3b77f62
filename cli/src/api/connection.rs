//! Where the admin API is, whom to trust, and who we are.
//!
//! What is said by flag goes before what the environment says, and that before what the data folder of
//! a `cordon serve` on this machine says.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use secrecy::SecretString;

use super::Api;
use crate::data_folder::{self, Paths};
use crate::files;

/// How a command reaches the admin API.
#[derive(Args, Clone, Debug)]
pub(crate) struct Connect {
    /// Address of the admin API [default: that of the data folder]
    #[arg(long, global = true, value_name = "URL", env = "CORDON_URL", help_heading = "Admin API")]
    pub(crate) url: Option<String>,
    /// CA certificate to trust [default: that of the data folder]
    #[arg(long, global = true, value_name = "FILE", env = "CORDON_CA", help_heading = "Admin API")]
    pub(crate) ca: Option<PathBuf>,
    /// File with the API token [default: CORDON_TOKEN, else that of the data folder]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Admin API")]
    pub(crate) token_file: Option<PathBuf>,
    /// Data folder of a `cordon serve` on this machine
    #[arg(long, global = true, value_name = "DIR", env = "CORDON_DATA", default_value = data_folder::DEFAULT, help_heading = "Admin API")]
    pub(crate) data: PathBuf,
    /// Print JSON
    #[arg(long, global = true, help_heading = "Admin API")]
    pub(crate) json: bool,
}

impl Connect {
    /// A client of the API.
    pub(crate) fn api(&self) -> anyhow::Result<Api> {
        self.api_with(std::env::var("CORDON_TOKEN").ok())
    }

    fn api_with(&self, token: Option<String>) -> anyhow::Result<Api> {
        let paths = Paths::new(&self.data);
        let url = self.url.clone().map_or_else(|| local_url(&paths), |url| Ok(base(&url)))?;
        let ca = match (&self.ca, paths.ca()) {
            (Some(file), _) => Some(file.clone()),
            (None, file) if file.exists() => Some(file),
            // A certificate of a public authority.
            (None, _) => None,
        };
        let token = match (&self.token_file, token.filter(|token| !token.is_empty())) {
            (Some(file), _) => read_token(file)?,
            (None, Some(token)) => token.trim().to_owned(),
            (None, None) => read_token(&paths.admin_token()).context(
                "no API token: give --token-file or CORDON_TOKEN, or the data folder of `cordon serve` with --data",
            )?,
        };
        Api::new(&url, ca.as_deref(), SecretString::from(token))
    }
}

fn read_token(path: &Path) -> anyhow::Result<String> {
    let token = files::read(path)?.trim().to_owned();
    anyhow::ensure!(!token.is_empty(), "`{}` is empty; it must hold an API token", path.display());
    Ok(token)
}

/// The address that a process on this machine has left in its data folder.
fn local_url(paths: &Paths) -> anyhow::Result<String> {
    let run = paths.read_run().with_context(|| {
        format!(
            "nothing runs on the data folder `{}`: start `cordon serve`, or say where the admin API is with --url, or its folder with --data",
            paths.root().display()
        )
    })?;
    let mut address = run.admin_address;
    if address.ip().is_unspecified() {
        let loopback: std::net::IpAddr =
            if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(loopback);
    }
    Ok(format!("https://{address}"))
}

/// The URL without what would be written twice.
fn base(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    let url = url.strip_suffix("/api/v1").unwrap_or(url);
    if url.contains("://") { url.to_owned() } else { format!("https://{url}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connect(data: &Path) -> Connect {
        Connect { url: None, ca: None, token_file: None, data: data.to_owned(), json: false }
    }

    #[test]
    fn urls_are_taken_as_people_write_them() {
        for (given, meant) in [
            ("https://h:8443", "https://h:8443"),
            ("https://h:8443/", "https://h:8443"),
            ("https://h:8443/api/v1/", "https://h:8443"),
            ("h:8443", "https://h:8443"),
        ] {
            assert_eq!(base(given), meant);
        }
    }

    #[test]
    fn without_a_running_server_the_error_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let text = format!("{:#}", connect(folder.path()).api_with(Some("cdn_x".to_owned())).unwrap_err());
        assert!(text.contains("cordon serve") && text.contains("--url"), "{text}");
    }

    #[test]
    fn without_a_token_the_error_says_how_to_give_one() {
        let folder = tempfile::tempdir().unwrap();
        let mut connect = connect(folder.path());
        connect.url = Some("https://localhost:1".to_owned());
        let text = format!("{:#}", connect.api_with(None).unwrap_err());
        assert!(text.contains("--token-file"), "{text}");
        std::fs::write(folder.path().join("admin-token"), "\n").unwrap();
        let text = format!("{:#}", connect.api_with(None).unwrap_err());
        assert!(text.contains("is empty"), "{text}");
    }

    #[test]
    fn the_data_folder_says_where_the_server_is() {
        let folder = tempfile::tempdir().unwrap();
        for (address, url) in [
            ("0.0.0.0:81", "https://127.0.0.1:81"),
            ("[::]:82", "https://[::1]:82"),
            ("10.0.0.1:83", "https://10.0.0.1:83"),
        ] {
            std::fs::write(folder.path().join("run.json"), format!(r#"{{"pid":1,"admin_address":"{address}"}}"#))
                .unwrap();
            assert_eq!(local_url(&Paths::new(folder.path())).unwrap(), url);
        }
        std::fs::write(folder.path().join("run.json"), "{").unwrap();
        assert!(local_url(&Paths::new(folder.path())).is_err());
    }
}
