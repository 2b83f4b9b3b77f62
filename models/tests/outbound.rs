//! An outbound queue with several publishers, a drain task and an end: bytes are written once, in each publisher's
//! order, by one at a time, and never wait with nobody to write them.

#![expect(clippy::panic, clippy::unwrap_used, clippy::string_slice, reason = "a model: what fails here is its failure")]

use std::sync::Arc;

use cordon_models::connection::outbound::{Appended, Flushed, Outbound};
use cordon_models::connection::socket::Socket;
use cordon_models::limits::FLUSH_ROUNDS;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

const NO_BOUND: usize = usize::MAX;

/// A connection as far as it matters: its output, and the drain task that it starts.
struct Receiver {
    outbound: Arc<Outbound>,
    socket: Arc<Socket>,
}

impl Receiver {
    fn new(room: usize) -> Self {
        let socket = Arc::new(Socket::new(room));
        let outbound = Arc::new(Outbound::new());
        outbound.attach(socket.clone());
        Self { outbound, socket }
    }

    /// A publisher of this receiver, in a thread of its own.
    fn publisher(&self, lines: &'static [&'static str]) -> thread::JoinHandle<()> {
        let outbound = self.outbound.clone();
        thread::spawn(move || publish(&outbound, lines))
    }

    /// Everything that was appended is with the kernel, and of each publisher in its order.
    fn require_all(&self, publishers: &[&[&str]]) {
        assert!(self.outbound.is_settled(), "bytes wait, and nobody is in charge of them");
        let taken = String::from_utf8(self.socket.taken()).unwrap();
        assert_eq!(taken.len(), publishers.iter().flat_map(|lines| lines.iter()).map(|line| line.len()).sum::<usize>());
        for lines in publishers {
            let mut from = 0;
            for line in *lines {
                let place = taken[from..].find(line).unwrap_or_else(|| panic!("{line} after {from} of {taken}"));
                from += place + line.len();
            }
        }
    }
}

/// Appends, and flushes at the end of the batch if that was promised, as a session does.
fn publish(outbound: &Arc<Outbound>, lines: &[&str]) {
    for line in lines {
        if outbound.line(NO_BOUND, line.as_bytes()) == Appended::Owe {
            flush(outbound);
        }
    }
}

/// As `Connection::flush`: a drain task takes over from a socket that blocks.
fn flush(outbound: &Arc<Outbound>) {
    if let Flushed::Blocked(socket) = outbound.flush() {
        drain(outbound, &socket);
    }
}

/// The drain task; who started it goes on at once in truth, which other threads stand for here.
fn drain(outbound: &Outbound, socket: &Socket) {
    loop {
        socket.make_room();
        match outbound.drain_round(socket) {
            Some(false) => thread::yield_now(),
            Some(true) | None => return,
        }
    }
}

#[test]
fn two_publishers_and_an_open_socket() {
    loom::model(|| {
        let receiver = Receiver::new(NO_BOUND);
        let other = receiver.publisher(&["b1 "]);
        publish(&receiver.outbound, &["a1 ", "a2 "]);
        other.join().unwrap();
        receiver.require_all(&[&["a1 ", "a2 "], &["b1 "]]);
    });
}

#[test]
fn two_publishers_and_a_socket_that_blocks() {
    loom::model(|| {
        let receiver = Receiver::new(2);
        let other = receiver.publisher(&["b1 "]);
        publish(&receiver.outbound, &["a1 "]);
        other.join().unwrap();
        receiver.require_all(&[&["a1 "], &["b1 "]]);
    });
}

#[test]
fn a_publisher_that_is_kept_writing_for_others_hands_over() {
    // As many preemptions as it takes to give the writer more after each of its rounds.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(FLUSH_ROUNDS + 1);
    model.check(|| {
        const LINES: [&str; FLUSH_ROUNDS] = ["b1 ", "b2 ", "b3 ", "b4 "];
        let receiver = Receiver::new(NO_BOUND);
        let other = receiver.publisher(&LINES);
        publish(&receiver.outbound, &["a1 "]);
        other.join().unwrap();
        receiver.require_all(&[&["a1 "], &LINES]);
    });
}

#[test]
fn nothing_is_delivered_once_a_subscription_was_ended() {
    loom::model(|| {
        let receiver = Receiver::new(NO_BOUND);
        let open = Arc::new(AtomicBool::new(true));
        let publisher = {
            let (outbound, open) = (receiver.outbound.clone(), open.clone());
            thread::spawn(move || {
                let wanted = || open.load(Ordering::Acquire);
                if outbound.deliver(NO_BOUND, 3, wanted, |chunks| chunks.append(3, |out| out.extend(b"msg")))
                    == Appended::Owe
                {
                    flush(&outbound);
                }
            })
        };
        receiver.outbound.with_lock(|| open.store(false, Ordering::Release));
        // UNSUB is answered: what was delivered stands before the answer.
        publish(&receiver.outbound, &["+OK"]);
        publisher.join().unwrap();
        let taken = String::from_utf8(receiver.socket.taken()).unwrap();
        assert!(["+OK", "msg+OK"].contains(&taken.as_str()), "{taken}");
        assert!(receiver.outbound.is_settled());
    });
}

#[test]
fn an_end_that_keeps_output_says_its_last_words_last() {
    loom::model(|| {
        let receiver = Receiver::new(NO_BOUND);
        let other = receiver.publisher(&["b1 "]);
        receiver.outbound.close(true, b"-ERR");
        flush(&receiver.outbound);
        assert_eq!(receiver.outbound.line(NO_BOUND, b"late"), Appended::Refused);
        other.join().unwrap();
        assert!(receiver.outbound.is_settled());
        let taken = String::from_utf8(receiver.socket.taken()).unwrap();
        assert!(["-ERR", "b1 -ERR"].contains(&taken.as_str()), "{taken}");
    });
}

#[test]
fn an_end_that_drops_output_leaves_nobody_in_charge() {
    loom::model(|| {
        let receiver = Receiver::new(2);
        let other = receiver.publisher(&["b1 ", "b2 "]);
        receiver.outbound.close(false, b"-ERR");
        receiver.outbound.detach();
        other.join().unwrap();
        assert!(receiver.outbound.is_settled());
        assert_eq!(receiver.outbound.pending(), 0);
        assert_eq!(receiver.outbound.line(NO_BOUND, b"late"), Appended::Refused);
    });
}

#[test]
fn a_socket_that_breaks_ends_the_writing() {
    loom::model(|| {
        let receiver = Receiver::new(NO_BOUND);
        let other = receiver.publisher(&["b1 "]);
        receiver.socket.break_down();
        other.join().unwrap();
        if let Flushed::Broken(_) = receiver.outbound.flush() {
            receiver.outbound.close(false, b"-ERR");
        }
        assert!(receiver.outbound.is_settled() || receiver.outbound.pending() == 0);
    });
}
