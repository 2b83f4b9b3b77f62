//! A WebSocket as a stream of bytes: what is written goes out in messages, and what messages carry comes in.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::wait::within;

const REQUEST: &str = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const BINARY: u8 = 0x82;
const CLOSE: u8 = 0x88;
const MASK: [u8; 4] = [1, 2, 3, 4];

/// A stream over a new WebSocket. It ends with a close frame, or when it is dropped.
pub async fn open(address: SocketAddr) -> DuplexStream {
    let mut socket = TcpStream::connect(address).await.unwrap();
    let mut head = Vec::new();
    within("the answer to a request for WebSocket", async {
        socket.write_all(REQUEST.as_bytes()).await.unwrap();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(socket.read_u8().await.unwrap());
        }
    })
    .await;
    assert!(head.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&head));
    let (near, far) = tokio::io::duplex(256 * 1024);
    let (read, write) = socket.into_split();
    let (from, into) = tokio::io::split(far);
    tokio::spawn(outgoing(from, write));
    tokio::spawn(incoming(read, into));
    near
}

async fn outgoing(mut from: ReadHalf<DuplexStream>, mut socket: OwnedWriteHalf) {
    let mut bytes = vec![0; 60_000];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        let mut frame = vec![BINARY, 0x80 | 0x7e];
        frame.extend(u16::try_from(count).unwrap().to_be_bytes());
        frame.extend(MASK);
        frame.extend(bytes[..count].iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        if socket.write_all(&frame).await.is_err() {
            return;
        }
    }
}

/// Until a close frame, or the end.
async fn incoming(mut socket: OwnedReadHalf, mut into: WriteHalf<DuplexStream>) {
    while let Ok(first) = socket.read_u8().await {
        let Ok(short) = socket.read_u8().await else { break };
        let length = match short {
            126 => socket.read_u16().await.map(u64::from),
            127 => socket.read_u64().await,
            short => Ok(u64::from(short)),
        };
        let mut payload = vec![0; usize::try_from(length.unwrap_or(0)).unwrap()];
        if socket.read_exact(&mut payload).await.is_err() || first == CLOSE {
            break;
        }
        if first == BINARY && into.write_all(&payload).await.is_err() {
            break;
        }
    }
    // Whoever reads sees an end; it may have gone.
    let _ended = into.shutdown().await;
}
