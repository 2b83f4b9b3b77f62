//! Account JWTs of an HTTP server: `GET` of its address and the account's key.
//!
//! The answer is bounded, redirects to another host or away from TLS are not followed, and all of it has to be done
//! within the time of a look-up. Whatever is neither a JWT nor "not found" is a failure, and refuses.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use cordon_accounts::key::AccountKey;
use cordon_accounts::limits::TOKEN_BYTES_MAX;
use cordon_auth::remote::{Remote, RemoteError, RemoteFuture};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Certificate, Client, Identity, Response, StatusCode, Url};
use rustls::crypto::{CryptoProvider, aws_lc_rs};

/// Time to connect to the server.
const CONNECT_WITHIN: Duration = Duration::from_secs(1);
/// Time for the question at the start of the broker, whether the server is there.
const START_WITHIN: Duration = Duration::from_secs(5);
/// Redirects followed on the same host.
const REDIRECTS: usize = 3;

/// Files for TLS with the server: `resolver_tls`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HttpTls {
    /// The only authorities believed, PEM; those of the system when absent.
    pub ca: Option<PathBuf>,
    /// The broker's own certificate and its key, PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

/// A server of account JWTs.
#[derive(Debug)]
pub struct HttpAccounts {
    client: Client,
    base: Url,
}

/// Why a server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A file for TLS.
    #[error("`{path}` of `resolver_tls` cannot be used: {cause}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The client cannot be made.
    #[error("the resolver's HTTP client cannot be made: {0}")]
    Client(#[from] reqwest::Error),
    /// The server does not answer as one of account JWTs.
    #[error("the server of account JWTs at `{address}` does not answer as it should: {cause}")]
    Unreachable {
        /// The address, without credentials.
        address: String,
        /// What is wrong.
        cause: String,
    },
}

impl HttpAccounts {
    /// A client of the server at `base`, which ends in a slash.
    ///
    /// # Errors
    ///
    /// [`HttpError`] names the file that cannot be used.
    pub fn new(base: Url, tls: &HttpTls) -> Result<Self, HttpError> {
        if CryptoProvider::get_default().is_none() {
            // Somebody else may be faster, with the same.
            let _installed = aws_lc_rs::default_provider().install_default();
        }
        let mut builder =
            Client::builder().connect_timeout(CONNECT_WITHIN).redirect(Policy::custom(redirect)).referer(false);
        let read = |path: &PathBuf| {
            fs::read(path).map_err(|error| HttpError::File { path: path.clone(), cause: error.to_string() })
        };
        if let Some(path) = &tls.ca {
            let unusable = |cause: String| HttpError::File { path: path.clone(), cause };
            let authorities =
                Certificate::from_pem_bundle(&read(path)?).map_err(|error| unusable(error.to_string()))?;
            if authorities.is_empty() {
                return Err(unusable("no certificate is in it".to_owned()));
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some((certificate, key)) = &tls.identity {
            let both = zeroize::Zeroizing::new([read(certificate)?, read(key)?].concat());
            let identity = Identity::from_pem(&both)
                .map_err(|error| HttpError::File { path: key.clone(), cause: error.to_string() })?;
            builder = builder.identity(identity);
        }
        Ok(Self { client: builder.build()?, base })
    }

    /// Asks whether the server is there, as nats-server does at its start.
    ///
    /// # Errors
    ///
    /// [`HttpError::Unreachable`] unless it answers its bare address with 200.
    pub async fn check(&self) -> Result<(), HttpError> {
        let unreachable = |cause: String| HttpError::Unreachable { address: shown(&self.base), cause };
        let asked = self.client.get(self.base.clone()).timeout(START_WITHIN).send().await;
        let status = asked.map_err(|error| unreachable(causes(&error)))?.status();
        if status == StatusCode::OK { Ok(()) } else { Err(unreachable(format!("it says {status}"))) }
    }

    async fn get(&self, key: AccountKey) -> Result<Option<String>, RemoteError> {
        let failed = |cause: String| RemoteError(format!("the server of account JWTs: {cause}"));
        // A key is letters and digits, so it cannot lead elsewhere.
        let address = self.base.join(&key.to_string()).map_err(|error| failed(error.to_string()))?;
        let response = self.client.get(address).send().await.map_err(|error| failed(causes(&error)))?;
        match response.status() {
            StatusCode::OK => body(response).await.map(Some).map_err(failed),
            StatusCode::NOT_FOUND => Ok(None),
            other => Err(failed(format!("it says {other}"))),
        }
    }
}

impl Remote for HttpAccounts {
    fn fetch(&self, key: AccountKey) -> RemoteFuture<'_> {
        Box::pin(self.get(key))
    }
}

/// The address without what may be a password in it.
pub fn shown(address: &Url) -> String {
    let mut bare = address.clone();
    // Neither can fail for an address with a host, and without one there is nothing to hide.
    let _user = bare.set_username("");
    let _password = bare.set_password(None);
    bare.set_query(None);
    bare.to_string()
}

/// Reads the address of a server of account JWTs, and has it end in a slash.
///
/// # Errors
///
/// What is wrong with it, without repeating it: there may be a password in it.
pub fn address(text: &str) -> Result<Url, String> {
    let mut address = Url::parse(text).map_err(|error| format!("the resolver's URL cannot be read: {error}"))?;
    if !matches!(address.scheme(), "http" | "https") || !address.has_host() {
        return Err("the resolver's URL must be one of http or https, with a host".to_owned());
    }
    if !address.path().ends_with('/') {
        let path = format!("{}/", address.path());
        address.set_path(&path);
    }
    Ok(address)
}

/// The body, as far as it may be a JWT.
async fn body(mut response: Response) -> Result<String, String> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| causes(&error))? {
        if bytes.len() + chunk.len() > TOKEN_BYTES_MAX {
            return Err(format!("its answer is longer than {TOKEN_BYTES_MAX} bytes"));
        }
        bytes.extend_from_slice(&chunk);
    }
    let text = String::from_utf8(bytes).map_err(|_| "its answer is no text".to_owned())?;
    Ok(text.trim().to_owned())
}

/// Follows a few redirects on the same host, and none from TLS to plain text.
fn redirect(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let to = attempt.url();
    let stays = attempt.previous().last().is_some_and(|from| {
        from.host() == to.host()
            && from.port_or_known_default() == to.port_or_known_default()
            && from.scheme() == to.scheme()
    });
    if stays && attempt.previous().len() <= REDIRECTS { attempt.follow() } else { attempt.stop() }
}

/// An error with everything that led to it, without the address.
fn causes(error: &reqwest::Error) -> String {
    let mut text = match error.url() {
        Some(url) => error.to_string().replace(url.as_str(), "its address"),
        None => error.to_string(),
    };
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::sync::Arc;

    use axum::Router;
    use axum::body::Body;
    use axum::extract::{Path, State};
    use axum::http::HeaderMap;
    use axum::response::{IntoResponse, Redirect};
    use axum::routing::get;
    use cordon_accounts::key::{Role, Seed};

    use super::*;

    fn key() -> AccountKey {
        AccountKey::try_from(Seed::generate(Role::Account, &mut rand::rngs::OsRng).public()).unwrap()
    }

    type Table = Arc<HashMap<String, (StatusCode, String, usize)>>;

    /// A server that answers what stands in the table: status, text, and how often the text is repeated. A text that
    /// begins with `->` redirects.
    async fn server(table: HashMap<String, (StatusCode, String, usize)>) -> Url {
        let answer = async |State(table): State<Table>, Path(name): Path<String>| match table.get(&name) {
            None => StatusCode::NOT_FOUND.into_response(),
            Some((status, text, times)) => match text.strip_prefix("->") {
                Some(target) => Redirect::temporary(target).into_response(),
                None => (*status, HeaderMap::new(), Body::from(text.repeat(*times))).into_response(),
            },
        };
        let router = Router::new()
            .route("/accounts/", get(async || ""))
            .route("/accounts/{name}", get(answer))
            .with_state(Arc::new(table));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = address(&format!("http://{}/accounts", listener.local_addr().unwrap())).unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        base
    }

    #[tokio::test]
    async fn only_a_bounded_text_with_200_is_a_jwt() {
        let keys: Vec<AccountKey> = std::iter::repeat_with(key).take(5).collect();
        let ok = StatusCode::OK;
        let base = server(HashMap::from([
            (keys[0].to_string(), (ok, "eyJ\n".to_owned(), 1)),
            (keys[1].to_string(), (StatusCode::INTERNAL_SERVER_ERROR, "eyJ".to_owned(), 1)),
            (keys[2].to_string(), (ok, "x".repeat(1024), 1024)),
            (keys[3].to_string(), (ok, "x".repeat(1024), 1025)),
        ]))
        .await;
        let accounts = HttpAccounts::new(base, &HttpTls::default()).unwrap();
        accounts.check().await.unwrap();
        assert_eq!(accounts.fetch(keys[0]).await, Ok(Some("eyJ".to_owned())));
        assert!(accounts.fetch(keys[1]).await.unwrap_err().0.contains("500"));
        assert_eq!(accounts.fetch(keys[2]).await.unwrap().unwrap().len(), TOKEN_BYTES_MAX);
        assert!(accounts.fetch(keys[3]).await.unwrap_err().0.contains("longer"));
        assert_eq!(accounts.fetch(keys[4]).await, Ok(None), "not found");
    }

    #[tokio::test]
    async fn redirects_stay_on_the_same_host() {
        let keys: Vec<AccountKey> = std::iter::repeat_with(key).take(4).collect();
        let other =
            server(HashMap::from([(keys[0].to_string(), (StatusCode::OK, "eyJ-elsewhere".to_owned(), 1))])).await;
        let to = |target: String| (StatusCode::OK, format!("->{target}"), 1);
        let base = server(HashMap::from([
            (keys[0].to_string(), to(format!("{other}{}", keys[0]))),
            (keys[1].to_string(), to(format!("/accounts/{}", keys[2]))),
            (keys[2].to_string(), (StatusCode::OK, "eyJ-here".to_owned(), 1)),
            (keys[3].to_string(), to(format!("/accounts/{}", keys[3]))),
        ]))
        .await;
        let accounts = HttpAccounts::new(base, &HttpTls::default()).unwrap();
        assert!(accounts.fetch(keys[0]).await.is_err());
        assert_eq!(accounts.fetch(keys[1]).await, Ok(Some("eyJ-here".to_owned())));
        assert!(accounts.fetch(keys[3]).await.is_err(), "in a circle");
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_a_failure_that_shows_no_password() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let base = address(&format!("http://user:canary@{closed}/a?token=canary")).unwrap();
        assert!(!shown(&base).contains("canary") && shown(&base).ends_with("/a/"));
        let accounts = HttpAccounts::new(base, &HttpTls::default()).unwrap();
        let at_start = accounts.check().await.unwrap_err().to_string();
        let later = accounts.fetch(key()).await.unwrap_err().0;
        assert!(!at_start.contains("canary") && !later.contains("canary"), "{at_start} {later}");
    }

    #[test]
    fn addresses_are_of_http_and_tls_files_are_read_at_once() {
        for wrong in ["", "x", "nats://h/", "file:///etc/passwd", "http://"] {
            assert!(address(wrong).is_err(), "{wrong}");
        }
        assert_eq!(address("https://h/jwt/v1/accounts/").unwrap().as_str(), "https://h/jwt/v1/accounts/");
        let folder = tempfile::tempdir().unwrap();
        let (missing, empty) = (folder.path().join("missing"), folder.path().join("empty"));
        fs::write(&empty, "").unwrap();
        for path in [missing, empty] {
            let tls = HttpTls { ca: Some(path.clone()), identity: None };
            let error = HttpAccounts::new(address("https://h/").unwrap(), &tls).unwrap_err();
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
    }
}
