//! A socket to a remote, up to its session: INFO and TLS in either order, or TLS and the request for WebSocket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::BASE64;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::leaf::credentials::Credentials;
use crate::leaf::info::{self, LeafInfo};
use crate::leaf::options::{RemoteOptions, RemoteTls, RemoteUrl};
use crate::leaf::remote::DialError;
use crate::leaf::session::Framing;
use crate::limits::{UPGRADE_BYTES, UPGRADE_HEADERS};
use crate::websocket::incoming::Input;
use crate::websocket::outgoing::Output;
use crate::websocket::request::{self, Fragments};

/// The operation that a server begins with.
const INFO: &[u8] = b"INFO";
/// Longest first INFO, in bytes.
const INFO_MAX: usize = 64 * 1024;

/// A socket that has been spoken to.
pub(super) struct Greeted {
    pub(super) stream: TcpStream,
    pub(super) tls: Option<rustls::ClientConnection>,
    pub(super) framing: Option<Framing>,
    /// The first INFO, unless it comes inside TLS or WebSocket.
    pub(super) info: Option<LeafInfo>,
}

/// Everything before the session; `most` bounds one message that is inflated.
pub(super) async fn greet(
    mut stream: TcpStream,
    peer: SocketAddr,
    options: &RemoteOptions,
    url: &RemoteUrl,
    credentials: &Credentials,
    most: usize,
) -> Result<Greeted, DialError> {
    let wanted = options.tls.as_ref();
    // A proxy on this machine leads elsewhere.
    let stays_here = peer.ip().is_loopback() && options.proxy.is_none();
    let is_readable = credentials.are_readable() && !stays_here;
    if let Some(path) = &url.websocket {
        if wanted.is_none() && !url.tls && is_readable {
            return Err(DialError::Plain("a password must not go without"));
        }
        return over_websocket(stream, path, options, url, most).await;
    }
    if let Some(tls) = wanted.filter(|tls| tls.first) {
        let (stream, tls) = secure(stream, tls, url).await?.into_inner();
        return Ok(Greeted { stream, tls: Some(tls), framing: None, info: None });
    }
    let info = within(options.first_info_timeout, "the first INFO", first_info(&mut stream)).await?;
    let info = info::read::<LeafInfo>(&info).map_err(|_| DialError::NoInfo)?;
    if !info.tls_required {
        // Whoever stands in between could have taken the demand away.
        if wanted.is_some() || url.tls {
            return Err(DialError::Plain("the configuration demands"));
        }
        if is_readable {
            return Err(DialError::Plain("a password must not go without"));
        }
        return Ok(Greeted { stream, tls: None, framing: None, info: Some(info) });
    }
    let (stream, tls) = secure(stream, &tls_of(wanted)?, url).await?.into_inner();
    Ok(Greeted { stream, tls: Some(tls), framing: None, info: Some(info) })
}

fn tls_of(wanted: Option<&RemoteTls>) -> Result<RemoteTls, DialError> {
    let of_this_machine = || crate::config::leafnodes::system_tls().map_err(DialError::Credentials);
    wanted.cloned().map_or_else(of_this_machine, Ok)
}

/// What `work` gives within its time.
pub(super) async fn within<T, E: Into<DialError>>(
    time: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, DialError> {
    tokio::time::timeout(time, work).await.map_err(|_| DialError::TooSlow(what))?.map_err(Into::into)
}

/// The JSON of the first line, which is read byte by byte: what follows it may be TLS.
async fn first_info(stream: &mut TcpStream) -> Result<Vec<u8>, DialError> {
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        // `peek` first: one system call for many bytes, and none of what follows the line is taken.
        let mut buffer = [0u8; 4096];
        let seen = stream.peek(&mut buffer).await?;
        let seen = buffer.get(..seen).unwrap_or_default();
        if seen.is_empty() {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        let taken = memchr::memchr(b'\n', seen).map_or(seen.len(), |at| at + 1);
        let begin = line.len();
        line.resize(begin + taken, 0);
        stream.read_exact(line.get_mut(begin..).unwrap_or_default()).await?;
        let begins = INFO.get(..line.len()).unwrap_or(INFO);
        if line.len() > INFO_MAX || !line.starts_with(begins) {
            return Err(DialError::NoInfo);
        }
    }
    Ok(line.get(INFO.len()..).unwrap_or_default().trim_ascii().to_vec())
}

async fn secure(stream: TcpStream, tls: &RemoteTls, url: &RemoteUrl) -> Result<TlsStream<TcpStream>, DialError> {
    let name = url.tls_name.as_ref().unwrap_or(&url.host).clone();
    let name = ServerName::try_from(name).map_err(|error| DialError::Socket(io::Error::other(error)))?;
    let connector = TlsConnector::from(tls.config.clone());
    let mut stream = within(tls.timeout, "the TLS handshake", connector.connect(name, stream)).await?;
    // TLS 1.3: the last message of the handshake may wait for the first bytes of the application.
    stream.flush().await?;
    // What may wait is bounded by `max_pending` before it is encrypted.
    stream.get_mut().1.set_buffer_limit(None);
    Ok(stream)
}

async fn over_websocket(
    mut stream: TcpStream,
    path: &str,
    options: &RemoteOptions,
    url: &RemoteUrl,
    most: usize,
) -> Result<Greeted, DialError> {
    let time = options.first_info_timeout;
    let what = "the answer to the request for WebSocket";
    if !url.tls && options.tls.is_none() {
        let agreed = within(time, what, ask(&mut stream, path, options, url)).await?;
        return Ok(Greeted { stream, tls: None, framing: Some(agreed.framing(most)), info: None });
    }
    let mut stream = secure(stream, &tls_of(options.tls.as_ref())?, url).await?;
    let mut agreed = within(time, what, ask(&mut stream, path, options, url)).await?;
    let (stream, mut tls) = stream.into_inner();
    // What came with the answer in one record.
    match io::Read::read_to_end(&mut tls.reader(), &mut agreed.rest) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
        Err(error) => return Err(error.into()),
    }
    Ok(Greeted { stream, tls: Some(tls), framing: Some(agreed.framing(most)), info: None })
}

/// What the answer to a request says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Agreed {
    compression: bool,
    /// The other server takes frames without a mask.
    no_masking: bool,
    /// Bytes of the first frame.
    rest: Vec<u8>,
}

impl Agreed {
    fn framing(self, most: usize) -> Framing {
        let output = Output::new(Fragments::NONE, self.compression);
        Framing {
            input: Input::new(false, self.compression, most).after(self.rest),
            output: if self.no_masking { output } else { output.masked() },
        }
    }
}

/// Asks for WebSocket (topology.md 2.15), and reads the answer.
async fn ask(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    path: &str,
    options: &RemoteOptions,
    url: &RemoteUrl,
) -> Result<Agreed, DialError> {
    let key = BASE64.encode(&rand::random::<[u8; 16]>());
    stream.write_all(request(path, options, url, &key).as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::with_capacity(UPGRADE_BYTES);
    loop {
        if stream.take((UPGRADE_BYTES - head.len()) as u64).read_buf(&mut head).await? == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        if let Some(agreed) = answered(&head, options, &key).map_err(DialError::Websocket)? {
            return Ok(agreed);
        }
        if head.len() >= UPGRADE_BYTES {
            return Err(DialError::Websocket("the answer is too long".to_owned()));
        }
    }
}

fn request(path: &str, options: &RemoteOptions, url: &RemoteUrl, key: &str) -> String {
    let host = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    let mut request = format!(
        "GET {path}/leafnode HTTP/1.1\r\nHost: {host}:{}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n",
        url.port
    );
    if options.ws_compression {
        request.push_str(
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n",
        );
    }
    if options.ws_no_masking {
        request.push_str("Nats-No-Masking: true\r\n");
    }
    request.push_str("\r\n");
    request
}

/// Reads the answer; `None` when it is not whole yet.
fn answered(bytes: &[u8], options: &RemoteOptions, key: &str) -> Result<Option<Agreed>, String> {
    let mut headers = [httparse::EMPTY_HEADER; UPGRADE_HEADERS];
    let mut response = httparse::Response::new(&mut headers);
    let len = match response.parse(bytes) {
        Ok(httparse::Status::Complete(len)) => len,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(_) => return Err("the answer is no HTTP".to_owned()),
    };
    if response.code != Some(101) {
        return Err(format!("the answer has status {}", response.code.unwrap_or_default()));
    }
    let find = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.and_then(|header| std::str::from_utf8(header.value).ok()).map(str::trim)
    };
    let is = |name: &str, value: &str| find(name).is_some_and(|found| found.eq_ignore_ascii_case(value));
    if !is("Upgrade", "websocket") || !is("Connection", "Upgrade") {
        return Err("the answer upgrades to something else".to_owned());
    }
    if find("Sec-WebSocket-Accept") != Some(request::accept(key.as_bytes()).as_str()) {
        return Err("the answer does not prove that the request was read".to_owned());
    }
    let compression = match find("Sec-WebSocket-Extensions") {
        None => false,
        Some(found) => {
            let mut parts = found.split(';').map(str::trim);
            let takeovers = ["server_no_context_takeover", "client_no_context_takeover"];
            let is_known = parts.next() == Some("permessage-deflate")
                && takeovers.iter().all(|name| found.split(';').any(|part| part.trim() == *name));
            if !is_known || !options.ws_compression {
                return Err(format!("the answer has extensions that were not asked for: `{}`", found.escape_debug()));
            }
            true
        }
    };
    let no_masking = options.ws_no_masking && find("Nats-No-Masking") == Some("true");
    let rest = bytes.get(len..).unwrap_or_default().to_vec();
    Ok(Some(Agreed { compression, no_masking, rest }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
    const GOOD: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    const DEFLATE: &str =
        "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n";

    fn options(ws_compression: bool, ws_no_masking: bool) -> RemoteOptions {
        RemoteOptions { ws_compression, ws_no_masking, ..RemoteOptions::new(Vec::new()) }
    }

    #[test]
    fn the_request_asks_for_what_is_configured_below_the_path_of_the_url() {
        let url = RemoteUrl::parse("wss://[::1]:8/a").unwrap();
        let plain = request("/a", &options(false, false), &url, KEY);
        assert!(plain.starts_with("GET /a/leafnode HTTP/1.1\r\nHost: [::1]:8\r\n") && plain.ends_with("\r\n\r\n"));
        assert!(!plain.contains("Extensions") && !plain.contains("Masking"));
        let full = request("/a", &options(true, true), &url, KEY);
        assert!(full.contains(DEFLATE) && full.contains("Nats-No-Masking: true\r\n"));
    }

    #[test]
    fn an_answer_is_read_once_it_is_whole_with_what_follows_it() {
        let more = [GOOD, DEFLATE, "Nats-No-Masking: true\r\n\r\n"].concat();
        for len in 0..more.len() {
            assert_eq!(answered(&more.as_bytes()[..len], &options(true, true), KEY), Ok(None), "{len}");
        }
        let bytes = [more.as_bytes(), &[0x82, 1, b'I']].concat();
        let agreed = Agreed { compression: true, no_masking: true, rest: vec![0x82, 1, b'I'] };
        assert_eq!(answered(&bytes, &options(true, true), KEY), Ok(Some(agreed)));
        let plain = [GOOD, "\r\n"].concat();
        assert_eq!(answered(plain.as_bytes(), &options(true, true), KEY), Ok(Some(Agreed::default())));
        // What was not asked for is not used.
        let unasked = [GOOD, "Nats-No-Masking: true\r\n\r\n"].concat();
        assert_eq!(answered(unasked.as_bytes(), &options(false, false), KEY), Ok(Some(Agreed::default())));
    }

    #[test]
    fn other_answers_are_refused() {
        let cases = [
            ("HTTP/1.1 404 Not Found\r\n\r\n".to_owned(), "status 404"),
            ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "status 200"),
            ("INFO {}\r\n".to_owned(), "no HTTP"),
            (format!("{}\r\n", GOOD.replace("s3pP", "xxxx")), "does not prove"),
            (format!("{}\r\n", GOOD.replace("websocket", "h2c")), "something else"),
            (format!("{}\r\n", GOOD.replace("upgrade", "close")), "something else"),
            (format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"), "extensions"),
            (
                format!("{GOOD}Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n\r\n"),
                "extens",
            ),
            (format!("{GOOD}Sec-WebSocket-Extensions: x-other\r\n\r\n"), "extensions"),
        ];
        for (answer, part) in cases {
            let error = answered(answer.as_bytes(), &options(true, false), KEY).unwrap_err();
            assert!(error.contains(part), "{answer}: {error}");
        }
        let unasked = format!("{GOOD}{DEFLATE}\r\n");
        assert!(answered(unasked.as_bytes(), &options(false, false), KEY).is_err());
    }
}
