//! The socket of a syslog.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cordon_server::config::SyslogTo;
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

/// Where machines keep the socket of their log, the usual first.
const SOCKETS: [&str; 3] = ["/dev/log", "/var/run/syslog", "/var/run/log"];

/// How long a connection may take to come about, and a packet to be taken.
const PATIENCE: Duration = Duration::from_secs(5);

/// A socket that is opened when it is needed.
pub(super) struct Link {
    places: Places,
    socket: Option<Open>,
}

enum Places {
    Sockets(Vec<PathBuf>),
    Udp(String),
    Tcp(String),
}

struct Open {
    socket: Socket,
    /// It says when the other side has gone.
    is_stream: bool,
}

impl Link {
    pub(super) fn to(to: &SyslogTo) -> Self {
        let places = match to {
            SyslogTo::Machine => Places::Sockets(SOCKETS.map(PathBuf::from).to_vec()),
            SyslogTo::Socket(path) => Places::Sockets(vec![path.clone()]),
            SyslogTo::Udp(address) => Places::Udp(address.clone()),
            SyslogTo::Tcp(address) => Places::Tcp(address.clone()),
        };
        Self { places, socket: None }
    }

    /// A machine's own, whose log may be in any of these places.
    #[cfg(test)]
    pub(super) fn to_any(paths: &[PathBuf]) -> Self {
        Self { places: Places::Sockets(paths.to_vec()), socket: None }
    }

    /// Opens the socket, if it is not open.
    ///
    /// # Errors
    ///
    /// When nobody is there.
    pub(super) fn open(&mut self) -> io::Result<()> {
        self.opened().map(|_| ())
    }

    /// Sends a packet whole; after an error the next one goes over a new socket.
    ///
    /// # Errors
    ///
    /// When it was not taken, or not within some seconds.
    pub(super) fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        if self.socket.as_mut().is_some_and(Open::has_ended) {
            self.socket = None;
        }
        let sent = self.opened().and_then(|open| open.send(packet));
        if sent.as_ref().is_err_and(|error| !is_too_long(error)) {
            self.socket = None;
        }
        sent
    }

    fn opened(&mut self) -> io::Result<&mut Open> {
        let open = match self.socket.take() {
            Some(open) => open,
            None => self.places.open()?,
        };
        Ok(self.socket.insert(open))
    }
}

/// Whether it was the packet's length that kept it from being sent.
pub(super) fn is_too_long(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::MSGSIZE.raw_os_error())
}

impl Places {
    fn open(&self) -> io::Result<Open> {
        match self {
            // Datagrams first, wherever the socket is, as Go's log/syslog does.
            Self::Sockets(paths) => first(
                [false, true]
                    .iter()
                    .flat_map(|is_stream| paths.iter().map(move |path| || Open::local(path, *is_stream))),
            ),
            Self::Udp(address) => first(address.to_socket_addrs()?.map(|to| move || Open::remote(to, false))),
            Self::Tcp(address) => first(address.to_socket_addrs()?.map(|to| move || Open::remote(to, true))),
        }
    }
}

/// The first that succeeds; the first failure if none does.
fn first<F: FnOnce() -> io::Result<Open>>(attempts: impl Iterator<Item = F>) -> io::Result<Open> {
    let mut failure = None;
    for attempt in attempts {
        match attempt() {
            Ok(open) => return Ok(open),
            Err(error) => failure = failure.or(Some(error)),
        }
    }
    Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
}

impl Open {
    fn local(path: &Path, is_stream: bool) -> io::Result<Self> {
        Self::connect(Domain::UNIX, &SockAddr::unix(path)?, is_stream)
    }

    fn remote(to: SocketAddr, is_stream: bool) -> io::Result<Self> {
        Self::connect(Domain::for_address(to), &to.into(), is_stream)
    }

    fn connect(domain: Domain, to: &SockAddr, is_stream: bool) -> io::Result<Self> {
        let socket = Socket::new(domain, if is_stream { Type::STREAM } else { Type::DGRAM }, None)?;
        socket.connect_timeout(to, PATIENCE)?;
        socket.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { socket, is_stream })
    }

    /// Whether the other side has closed the connection. What it says is nothing to us.
    fn has_ended(&mut self) -> bool {
        if !self.is_stream {
            return false;
        }
        if self.socket.set_nonblocking(true).is_err() {
            return true;
        }
        let mut answer = [0; 256];
        let ended = match self.socket.read(&mut answer) {
            Ok(length) => length == 0,
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        };
        ended || self.socket.set_nonblocking(false).is_err()
    }

    fn send(&mut self, packet: &[u8]) -> io::Result<()> {
        if self.is_stream {
            return self.socket.write_all(packet);
        }
        self.socket.send(packet).map(|_| ())
    }
}
