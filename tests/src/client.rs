//! A client of the library that Rust programs use, with all that it reports kept.

use async_nats::{ConnectOptions, Event};
use std::time::Duration;
use tokio::sync::mpsc;

use crate::serve::Serve;
use crate::wait::within;

/// Reports that nobody has looked at yet; more are dropped.
const REPORTS: usize = 1024;

/// A connected client of `async-nats`.
#[derive(Debug)]
pub struct Client {
    /// The client itself.
    pub nats: async_nats::Client,
    reports: mpsc::Receiver<String>,
}

impl Client {
    /// Connects over TLS with creds.
    pub async fn connect(serve: &Serve, creds: &str) -> Self {
        Self::try_connect(serve, creds).await.unwrap()
    }

    /// As [`Client::connect`].
    ///
    /// # Errors
    ///
    /// What the library says of a first attempt that fails.
    pub async fn try_connect(serve: &Serve, creds: &str) -> Result<Self, async_nats::ConnectError> {
        Self::with(serve, ConnectOptions::with_credentials(creds).unwrap()).await
    }

    /// Connects with options of the caller's.
    ///
    /// # Errors
    ///
    /// What the library says of a first attempt that fails.
    pub async fn with(serve: &Serve, options: ConnectOptions) -> Result<Self, async_nats::ConnectError> {
        crate::tls::install_provider();
        let (reporter, reports) = mpsc::channel(REPORTS);
        let options = options
            .add_root_certificates(serve.ca())
            .require_tls(true)
            .connection_timeout(Duration::from_secs(10))
            .request_timeout(Some(Duration::from_secs(10)))
            .event_callback(move |event: Event| {
                let reporter = reporter.clone();
                async move {
                    let _full_or_gone = reporter.try_send(event.to_string());
                }
            });
        let nats = options.connect(format!("tls://{}", serve.client_address)).await?;
        Ok(Self { nats, reports })
    }

    /// Waits for a report that contains `text`, passing over others.
    pub async fn reports(&mut self, text: &str) {
        let mut passed = Vec::new();
        let looking = async {
            while let Some(report) = self.reports.recv().await {
                if report.contains(text) {
                    return true;
                }
                passed.push(report);
            }
            false
        };
        let found = within(format!("the client reports `{text}`"), looking).await;
        assert!(found, "the client ended without `{text}`; it reported {passed:?}");
    }

    /// Returns when the broker has processed all that was sent before: it answers a request that
    /// nobody serves.
    pub async fn fence(&self) {
        let answer = self.nats.request("story.fence", "".into()).await;
        assert_eq!(answer.unwrap_err().kind(), async_nats::RequestErrorKind::NoResponders);
    }
}
