//! What a server tells about itself over HTTP: both have the same pages.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::link::PATIENCE;

/// Where the pages are.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Monitor {
    address: SocketAddr,
}

impl Monitor {
    /// A port that nobody listens on at the moment.
    ///
    /// # Errors
    ///
    /// When there is none.
    pub(crate) fn reserve() -> Result<Self> {
        Ok(Self { address: TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()? })
    }

    /// The line of the configuration.
    pub(crate) fn line(self) -> String {
        format!("http: \"{}\"\n", self.address)
    }

    /// The number called `name` of the page `/varz`.
    ///
    /// # Errors
    ///
    /// When the page cannot be had, or has no such number.
    pub(crate) fn varz(self, name: &str) -> Result<u64> {
        let mut socket = TcpStream::connect_timeout(&self.address, PATIENCE).context("no monitoring page")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        write!(socket, "GET /varz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer)?;
        let text = String::from_utf8_lossy(&answer);
        let body = text.split_once("\r\n\r\n").map(|(_, body)| body).context("no body in the answer of `/varz`")?;
        // A body in chunks has their lengths around it.
        let json = body.find('{').zip(body.rfind('}')).and_then(|(start, end)| body.get(start..=end));
        let page: Value = serde_json::from_str(json.context("`/varz` has no JSON")?).context("`/varz` is not JSON")?;
        page.get(name).and_then(Value::as_u64).with_context(|| format!("`/varz` has no number `{name}`"))
    }

    /// Asks for the number `name` until it is at most `most`; how long that took.
    ///
    /// # Errors
    ///
    /// When it is still more after `longest`.
    pub(crate) fn wait_for_at_most(self, name: &str, most: u64, longest: Duration) -> Result<Duration> {
        let start = Instant::now();
        loop {
            let value = self.varz(name)?;
            if value <= most {
                return Ok(start.elapsed());
            }
            if start.elapsed() > longest {
                bail!("`{name}` is still {value} after {} s and should be {most}", longest.as_secs());
            }
            thread::sleep(Duration::from_millis(2));
        }
    }
}
