//! Looking away from a peer that has proved nothing.

use std::io;
use std::time::Duration;

use tokio::net::TcpStream;

/// The first pause before what is incomplete is looked at again: what was sent in two packets is there by then.
pub(crate) const FIRST_PAUSE: Duration = Duration::from_millis(1);

/// Nobody is woken for what comes while `pause` lasts, not even by a thousand peers in one moment.
///
/// # Errors
///
/// When the system does not watch the socket again.
pub(crate) async fn unwatched(stream: TcpStream, pause: impl Future<Output = ()>) -> io::Result<TcpStream> {
    let stream = stream.into_std()?;
    pause.await;
    TcpStream::from_std(stream)
}
