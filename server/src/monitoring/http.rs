//! The monitoring listener: JSON pages and metrics over HTTP, for tools on this machine.
//!
//! There is no authentication here, so the address is loopback unless the configuration says
//! otherwise, no page shows an account's JWT, and no header lets a web page of another origin read
//! an answer. Connections, headers and the time for them are bounded.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::monitoring::accounts::{self, AccountStatOptions};
use crate::monitoring::connz::{self, ConnzOptions};
use crate::monitoring::jsz::{self, HealthOptions, JszOptions};
use crate::monitoring::leafz::{self, LeafzOptions};
use crate::monitoring::query::Query;
use crate::monitoring::subsz::{self, SubszOptions};
use crate::monitoring::{Fault, absent, healthz, metrics, varz};

/// Connections served at once; more are closed.
const CONNECTIONS: usize = 64;
/// Time for the headers of a request, also between two of them.
const HEADER_TIME: Duration = Duration::from_secs(5);
/// Time that one connection may be open.
const CONNECTION_TIME: Duration = Duration::from_mins(2);
/// Bytes of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Pages whose requests are counted, as nats-server counts them.
const COUNTED: [&str; 11] =
    ["/", "/varz", "/connz", "/routez", "/gatewayz", "/leafz", "/subsz", "/accountz", "/accstatz", "/jsz", "/healthz"];

/// What the pages are made from.
struct Site {
    broker: Arc<Broker>,
    requests: BTreeMap<&'static str, AtomicU64>,
}

type Page = State<Arc<Site>>;

/// Says where monitoring is, as it was asked for, with the port that was picked.
fn announce(listener: &TcpListener, broker: &Broker) {
    let options = broker.options.load();
    let scheme = if options.monitor_tls.is_some() { "https" } else { "http" };
    if let (Some(asked), Ok(bound)) = (options.monitor, listener.local_addr()) {
        tracing::info!("Starting {scheme} monitor on {}", std::net::SocketAddr::new(asked.ip(), bound.port()));
    }
}

/// Serves monitoring until it is told to `stop`. What a reload says of TLS and of the paths counts for new connections.
pub(super) async fn serve(listener: TcpListener, broker: Arc<Broker>, stop: CancellationToken) {
    announce(&listener, &broker);
    let site = Arc::new(Site::new(broker.clone()));
    let mut base = broker.options.load().monitor_base.clone();
    let mut service = TowerToHyperService::new(pages(site.clone(), &base));
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!("monitoring cannot accept: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let Ok(place) = room.clone().try_acquire_owned() else { continue };
        if broker.options.load().monitor_base != base {
            base.clone_from(&broker.options.load().monitor_base);
            service = TowerToHyperService::new(pages(site.clone(), &base));
        }
        let (service, broker) = (service.clone(), broker.clone());
        broker.tasks.clone().spawn(async move {
            let tls = broker.options.load().monitor_tls.clone();
            match tls {
                None => converse(stream, service, &broker).await,
                Some(config) => match tokio::time::timeout(HEADER_TIME, TlsAcceptor::from(config).accept(stream)).await
                {
                    Ok(Ok(stream)) => converse(stream, service, &broker).await,
                    Ok(Err(error)) => tracing::debug!("TLS handshake error of monitoring: {error}"),
                    Err(_) => tracing::debug!("a TLS handshake of monitoring took too long"),
                },
            }
            drop(place);
        });
    }
}

async fn converse<S>(stream: S, service: TowerToHyperService<Router>, broker: &Broker)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut http = Builder::new(TokioExecutor::new()).http1_only();
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEADER_TIME).max_buf_size(HEAD_BYTES);
    let serving = http.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        () = broker.stopping.cancelled() => {}
        served = tokio::time::timeout(CONNECTION_TIME, serving) => {
            if let Ok(Err(error)) = served {
                tracing::debug!("monitoring connection ended: {error}");
            }
        }
    }
}

/// All pages, below this path.
fn pages(site: Arc<Site>, base: &str) -> Router {
    let pages = Router::new()
        .route("/", get(root))
        .route("/varz", get(varz_page))
        .route("/connz", get(connz_page))
        .route("/subsz", get(subsz_page))
        .route("/subscriptionsz", get(subsz_page))
        .route("/accountz", get(accountz_page))
        .route("/accstatz", get(accstatz_page))
        .route("/routez", get(routez_page))
        .route("/gatewayz", get(gatewayz_page))
        .route("/leafz", get(leafz_page))
        .route("/jsz", get(jsz_page))
        .route("/healthz", get(healthz_page))
        .route("/metrics", get(metrics_page))
        .with_state(site);
    if base.is_empty() { pages } else { Router::new().nest(base, pages) }
}

impl Site {
    fn new(broker: Arc<Broker>) -> Self {
        Self { broker, requests: COUNTED.into_iter().map(|page| (page, AtomicU64::new(0))).collect() }
    }

    fn count(&self, page: &str) {
        if let Some(count) = self.requests.get(page) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(&self) -> Value {
        let counts =
            self.requests.iter().map(|(page, count)| ((*page).to_owned(), json!(count.load(Ordering::Relaxed))));
        Value::Object(counts.collect())
    }
}

async fn root(State(site): Page) -> Html<String> {
    site.count("/");
    // Below a path, the page has no slash at its end: its links name the last part again.
    let base = site.broker.options.load().monitor_base.clone();
    let last = base.rsplit_once('/').map_or(String::new(), |(_, last)| format!("{last}/"));
    let links =
        ["varz", "connz", "subsz", "accountz", "accstatz", "healthz", "metrics", "routez", "gatewayz", "leafz", "jsz"];
    let links: String = links.map(|page| format!("<li><a href=\"./{last}{page}\">{page}</a></li>")).concat();
    Html(format!(
        "<!doctype html><html lang=\"en\"><title>Cordon</title><h1>Cordon broker</h1><ul>{links}</ul></html>\n"
    ))
}

async fn varz_page(State(site): Page) -> Response {
    site.count("/varz");
    page(Ok(varz::varz(&site.broker, site.counts())))
}

async fn connz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/connz");
    page(connz_options(&Query::new(query)).and_then(|options| connz::connz(&site.broker, &options, None)))
}

fn connz_options(query: &Query) -> Result<ConnzOptions, Fault> {
    let (subscriptions, subscriptions_detail) = query.switch_or_detail("subs")?;
    let state = match query.text("state").to_ascii_lowercase().as_str() {
        "" | "open" => 0,
        "closed" => 1,
        "any" | "all" => 2,
        other => return Err(Fault::new(format!("Error decoding state for {other}"))),
    };
    Ok(ConnzOptions {
        sort: query.text("sort").to_owned(),
        auth: query.switch("auth")?,
        subscriptions,
        subscriptions_detail,
        offset: query.integer("offset")?,
        limit: query.integer("limit")?,
        cid: query.natural("cid")?,
        state,
        user: query.text("user").to_owned(),
        acc: query.text("acc").to_owned(),
        mqtt_client: query.text("mqtt_client").to_owned(),
        filter_subject: String::new(),
    })
}

async fn subsz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/subsz");
    let query = Query::new(query);
    let options = || {
        Ok(SubszOptions {
            offset: query.integer("offset")?,
            limit: query.integer("limit")?,
            subscriptions: query.switch("subs")?,
            account: query.text("acc").to_owned(),
            test: query.text("test").to_owned(),
        })
    };
    page(options().and_then(|options| subsz::subsz(&site.broker, &options, None)))
}

async fn accountz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/accountz");
    page(accounts::accountz(&site.broker, Query::new(query).text("acc"), false))
}

async fn accstatz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/accstatz");
    let unused = Query::new(query).switch("unused");
    page(unused.map(|include_unused| {
        let options = AccountStatOptions { include_unused, ..AccountStatOptions::default() };
        accounts::accstatz(&site.broker, &options, None)
    }))
}

async fn routez_page(State(site): Page) -> Response {
    site.count("/routez");
    page(Ok(absent::routez(&site.broker)))
}

async fn gatewayz_page(State(site): Page) -> Response {
    site.count("/gatewayz");
    page(Ok(absent::gatewayz(&site.broker)))
}

async fn leafz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/leafz");
    let query = Query::new(query);
    let subscriptions = query.switch("subs");
    page(subscriptions.map(|subscriptions| {
        let options = LeafzOptions { subscriptions, account: query.text("acc").to_owned() };
        leafz::leafz(&site.broker, &options, None)
    }))
}

async fn jsz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/jsz");
    page(JszOptions::of_query(&Query::new(query)).and_then(|options| jsz::jsz(&site.broker, &options)))
}

async fn healthz_page(State(site): Page, RawQuery(query): RawQuery) -> Response {
    site.count("/healthz");
    let options = match HealthOptions::of_query(&Query::new(query)) {
        Ok(options) => options,
        Err(fault) => return page(Err(fault)),
    };
    let (code, body) = healthz::healthz(&site.broker, &options);
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (code, [(header::CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}

async fn metrics_page(State(site): Page) -> Response {
    match metrics::text(&site.broker, site.counts()) {
        Ok(text) => ([(header::CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A page, or what was wrong with the request. Texts end with a newline: nats-top needs one.
fn page(outcome: Result<Value, Fault>) -> Response {
    match outcome {
        Ok(value) => {
            let text = serde_json::to_string_pretty(&value).unwrap_or_default();
            ([(header::CONTENT_TYPE, "application/json")], text).into_response()
        }
        Err(fault) => {
            (StatusCode::BAD_REQUEST, [(header::CONTENT_TYPE, "text/plain")], format!("{fault}\n")).into_response()
        }
    }
}
