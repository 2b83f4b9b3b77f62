//! Status messages: an empty payload below `NATS/1.0 <code> <text>`. Clients compare the code and words of the text, so
//! each is written here once (jetstream.md 3.5, 3.7).

use std::fmt::{self, Write as _};

use super::progress::Pair;

/// What a status message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    IdleHeartbeat,
    FlowControl,
    BadRequest(String),
    NoMessages,
    RequestTimeout,
    InterestExpired,
    RequestsPending,
    BatchCompleted,
    MessageTooLarge,
    PushBased,
    ConsumerDeleted,
    MaxWaiting,
    MaxBatch(i64),
    MaxExpires(i64),
    MaxBytes(i64),
    ServerShutdown,
    RequiredLevel,
    PinMismatch,
    WrongPin,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdleHeartbeat => f.write_str("100 Idle Heartbeat"),
            Self::FlowControl => f.write_str("100 FlowControl Request"),
            Self::BadRequest(what) => write!(f, "400 Bad Request - {what}"),
            Self::NoMessages => f.write_str("404 No Messages"),
            Self::RequestTimeout => f.write_str("408 Request Timeout"),
            Self::InterestExpired => f.write_str("408 Interest Expired"),
            Self::RequestsPending => f.write_str("408 Requests Pending"),
            Self::BatchCompleted => f.write_str("409 Batch Completed"),
            Self::MessageTooLarge => f.write_str("409 Message Size Exceeds MaxBytes"),
            Self::PushBased => f.write_str("409 Consumer is push based"),
            Self::ConsumerDeleted => f.write_str("409 Consumer Deleted"),
            Self::MaxWaiting => f.write_str("409 Exceeded MaxWaiting"),
            Self::MaxBatch(most) => write!(f, "409 Exceeded MaxRequestBatch of {most}"),
            Self::MaxExpires(most) => write!(f, "409 Exceeded MaxRequestExpires of {}", GoDuration(*most)),
            Self::MaxBytes(most) => write!(f, "409 Exceeded MaxRequestMaxBytes of {most}"),
            Self::ServerShutdown => f.write_str("409 Server Shutdown"),
            Self::RequiredLevel => f.write_str("412 Required Api Level"),
            Self::PinMismatch => f.write_str("423 Nats-Pin-Id mismatch"),
            Self::WrongPin => f.write_str("423 Nats-Wrong-Pin-Id"),
        }
    }
}

impl Status {
    /// Its header block, alone.
    pub(crate) fn header(&self) -> Vec<u8> {
        format!("NATS/1.0 {self}\r\n\r\n").into_bytes()
    }

    /// Its header block with what a request did not get.
    pub(crate) fn header_with_rest(&self, messages: i64, bytes: i64) -> Vec<u8> {
        format!("NATS/1.0 {self}\r\nNats-Pending-Messages: {messages}\r\nNats-Pending-Bytes: {bytes}\r\n\r\n")
            .into_bytes()
    }

    /// Its header block with how far the consumer is, and with the flow control request that it waits for.
    pub(crate) fn header_with_last(&self, last: Pair, stalled: Option<&[u8]>) -> Vec<u8> {
        let mut out = format!(
            "NATS/1.0 {self}\r\nNats-Last-Consumer: {}\r\nNats-Last-Stream: {}\r\n",
            last.consumer, last.stream
        )
        .into_bytes();
        if let Some(stalled) = stalled {
            out.extend_from_slice(b"Nats-Consumer-Stalled: ");
            out.extend_from_slice(stalled);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// Nanoseconds as the Go language prints durations; clients parse that: `1m30s`, `1.5s`, `100ms`, `2µs`.
pub(crate) struct GoDuration(pub(crate) i64);

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.unsigned_abs();
        if self.0 < 0 {
            f.write_char('-')?;
        }
        match nanos {
            0 => f.write_str("0s"),
            1..1_000 => write!(f, "{nanos}ns"),
            1_000..1_000_000 => decimal(f, nanos, 1_000, "µs"),
            1_000_000..1_000_000_000 => decimal(f, nanos, 1_000_000, "ms"),
            _ => {
                let seconds = nanos / 1_000_000_000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                if hours > 0 {
                    write!(f, "{hours}h")?;
                }
                if hours > 0 || minutes > 0 {
                    write!(f, "{minutes}m")?;
                }
                decimal(f, nanos % 60_000_000_000, 1_000_000_000, "s")
            }
        }
    }
}

fn decimal(f: &mut fmt::Formatter<'_>, nanos: u64, unit: u64, name: &str) -> fmt::Result {
    write!(f, "{}", nanos / unit)?;
    let rest = nanos % unit;
    if rest > 0 {
        let width = unit.ilog10() as usize;
        let digits = format!("{rest:0width$}");
        write!(f, ".{}", digits.trim_end_matches('0'))?;
    }
    f.write_str(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_status_line_has_the_words_that_clients_look_for() {
        for (status, line) in [
            (Status::IdleHeartbeat, "100 Idle Heartbeat"),
            (Status::FlowControl, "100 FlowControl Request"),
            (Status::BadRequest("heartbeat value too large".into()), "400 Bad Request - heartbeat value too large"),
            (Status::NoMessages, "404 No Messages"),
            (Status::RequestTimeout, "408 Request Timeout"),
            (Status::InterestExpired, "408 Interest Expired"),
            (Status::RequestsPending, "408 Requests Pending"),
            (Status::BatchCompleted, "409 Batch Completed"),
            (Status::MessageTooLarge, "409 Message Size Exceeds MaxBytes"),
            (Status::PushBased, "409 Consumer is push based"),
            (Status::ConsumerDeleted, "409 Consumer Deleted"),
            (Status::MaxWaiting, "409 Exceeded MaxWaiting"),
            (Status::MaxBatch(5), "409 Exceeded MaxRequestBatch of 5"),
            (Status::MaxExpires(1_500_000_000), "409 Exceeded MaxRequestExpires of 1.5s"),
            (Status::MaxBytes(1024), "409 Exceeded MaxRequestMaxBytes of 1024"),
            (Status::ServerShutdown, "409 Server Shutdown"),
            (Status::RequiredLevel, "412 Required Api Level"),
            (Status::PinMismatch, "423 Nats-Pin-Id mismatch"),
            (Status::WrongPin, "423 Nats-Wrong-Pin-Id"),
        ] {
            assert_eq!(status.header(), format!("NATS/1.0 {line}\r\n\r\n").into_bytes());
        }
    }

    #[test]
    fn headers_say_what_was_not_served_and_how_far_the_consumer_is() {
        assert_eq!(
            Status::RequestTimeout.header_with_rest(3, 40),
            b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\nNats-Pending-Bytes: 40\r\n\r\n"
        );
        assert_eq!(
            Status::IdleHeartbeat.header_with_last(Pair { consumer: 4, stream: 9 }, Some(b"$JS.FC.S.c.abcd")),
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 4\r\nNats-Last-Stream: 9\r\nNats-Consumer-Stalled: $JS.FC.S.c.abcd\r\n\r\n"
        );
    }

    #[test]
    fn durations_are_written_as_go_writes_them() {
        for (nanos, text) in [
            (0, "0s"),
            (5, "5ns"),
            (2_000, "2µs"),
            (1_500_000, "1.5ms"),
            (100_000_000, "100ms"),
            (1_000_000_000, "1s"),
            (60_000_000_000, "1m0s"),
            (90_500_000_000, "1m30.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(GoDuration(nanos).to_string(), text);
        }
    }
}
