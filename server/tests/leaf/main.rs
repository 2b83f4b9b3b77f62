//! Leaf nodes, as raw sockets see them and between two brokers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests: what fails here is their failure"
)]

#[path = "../house/mod.rs"]
mod house;
#[path = "../callout/mod.rs"]
mod service;
#[path = "../support/mod.rs"]
mod support;

mod callout;
mod compression;
mod crossing;
mod handshake;
mod remote;
mod rights;
mod tracing;
mod traffic;
mod websocket;

use std::net::SocketAddr;
use std::sync::Arc;

use cordon_server::BrokerOptions;
use cordon_server::leaf::options::{LeafListen, LeafOptions};
use support::TestBroker;

/// Options of a broker that accepts leaf nodes, with the listener as `change` makes it.
fn listening(change: impl FnOnce(&mut LeafListen)) -> BrokerOptions {
    let mut listen = LeafListen::new(SocketAddr::from(([127, 0, 0, 1], 0)));
    change(&mut listen);
    let leaf = LeafOptions { listen: Some(listen), remotes: Vec::new(), write_deadline: None, write_timeout: None };
    BrokerOptions { leaf: Arc::new(leaf), ..BrokerOptions::default() }
}

/// A broker that accepts leaf nodes and asks nobody who they are.
fn open() -> TestBroker {
    TestBroker::with(listening(|_| {}), support::nobody())
}
