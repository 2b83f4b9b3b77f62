//! The way to a remote: straight, or through a proxy that is asked for a tunnel by CONNECT (RFC 9110, 9.3.6).

use std::io;
use std::time::Duration;

use data_encoding::BASE64;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use zeroize::Zeroizing;

use crate::leaf::dial::within;
use crate::leaf::options::{RemoteOptions, RemoteUrl};
use crate::leaf::remote::DialError;
use crate::limits::{UPGRADE_BYTES, UPGRADE_HEADERS};

/// A proxy in front of a remote.
#[derive(Clone, Debug)]
pub struct ProxyOptions {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who this broker is there.
    pub login: Option<(String, SecretString)>,
    /// Time for the proxy to lead to the remote; that of a dial if `None`.
    pub timeout: Option<Duration>,
}

/// A socket that leads to `url`.
pub(super) async fn reach(options: &RemoteOptions, url: &RemoteUrl) -> Result<TcpStream, DialError> {
    let Some(proxy) = &options.proxy else {
        let connecting = TcpStream::connect((url.host.as_str(), url.port));
        return within(options.dial_timeout, "connecting", connecting).await;
    };
    let tunnel = async {
        let mut stream = TcpStream::connect((proxy.host.as_str(), proxy.port)).await?;
        stream.write_all(request(proxy, url).as_bytes()).await?;
        opened(&mut stream).await?;
        Ok::<_, DialError>(stream)
    };
    within(proxy.timeout.unwrap_or(options.dial_timeout), "the proxy", tunnel).await
}

fn request(proxy: &ProxyOptions, url: &RemoteUrl) -> Zeroizing<String> {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let place = format!("{host}:{}", url.port);
    let login = proxy.login.as_ref().map(|(user, password)| {
        let plain = Zeroizing::new(format!("{user}:{}", password.expose_secret()));
        Zeroizing::new(format!("Proxy-Authorization: Basic {}\r\n", BASE64.encode(plain.as_bytes())))
    });
    let login = login.as_ref().map_or("", |line| line.as_str());
    Zeroizing::new(format!("CONNECT {place} HTTP/1.1\r\nHost: {place}\r\n{login}\r\n"))
}

/// Reads the proxy's answer: nothing may follow it, since the remote waits to be spoken to.
async fn opened(stream: &mut TcpStream) -> Result<(), DialError> {
    let mut head = Vec::with_capacity(UPGRADE_BYTES);
    loop {
        if (&mut *stream).take((UPGRADE_BYTES - head.len()) as u64).read_buf(&mut head).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if is_open(&head).map_err(DialError::Proxy)? {
            return Ok(());
        }
        if head.len() >= UPGRADE_BYTES {
            return Err(DialError::Proxy("its answer is too long".to_owned()));
        }
    }
}

/// Whether the answer, as far as it has come, opens the tunnel; false when it is not whole yet.
fn is_open(bytes: &[u8]) -> Result<bool, String> {
    let mut headers = [httparse::EMPTY_HEADER; UPGRADE_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(false),
        Err(_) => return Err("its answer is no HTTP".to_owned()),
    };
    match response.code {
        Some(200..=299) if len == bytes.len() => Ok(true),
        Some(200..=299) => Err("it says more than that the tunnel is open".to_owned()),
        code => Err(format!("its answer has status {}", code.unwrap_or_default())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(login: Option<(&str, &str)>) -> ProxyOptions {
        let login = login.map(|(user, password)| (user.to_owned(), SecretString::from(password)));
        ProxyOptions { host: "p".to_owned(), port: 1, login, timeout: None }
    }

    #[test]
    fn a_tunnel_is_asked_for_with_and_without_a_login() {
        let url = RemoteUrl::parse("ws://[::1]:8/a").unwrap();
        assert_eq!(*request(&proxy(None), &url), "CONNECT [::1]:8 HTTP/1.1\r\nHost: [::1]:8\r\n\r\n");
        let url = RemoteUrl::parse("wss://hub:443").unwrap();
        // As nats-server sends it.
        let line = "Proxy-Authorization: Basic dTpwIHc=\r\n";
        let wanted = format!("CONNECT hub:443 HTTP/1.1\r\nHost: hub:443\r\n{line}\r\n");
        assert_eq!(*request(&proxy(Some(("u", "p w"))), &url), wanted);
        assert!(!format!("{:?}", proxy(Some(("u", "canary")))).contains("canary"));
    }

    #[test]
    fn nothing_but_a_whole_answer_opens_the_tunnel() {
        let good = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n";
        for len in 0..good.len() {
            assert_eq!(is_open(&good[..len]), Ok(false), "{len}");
        }
        assert_eq!(is_open(good), Ok(true));
        for (answer, part) in [
            ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "status 407"),
            ("HTTP/1.1 302 Found\r\n\r\n", "status 302"),
            ("HTTP/1.1 101 Switching Protocols\r\n\r\n", "status 101"),
            ("HTTP/1.1 200 OK\r\n\r\nINFO {}\r\n", "says more"),
            ("INFO {}\r\n\r\n", "no HTTP"),
            ("\x00\x01\x02\r\n\r\n", "no HTTP"),
        ] {
            let error = is_open(answer.as_bytes()).unwrap_err();
            assert!(error.contains(part), "{answer}: {error}");
        }
    }
}
