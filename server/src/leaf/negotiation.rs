//! How the two ends of a connection come to compress it, and change how much.

use std::time::Duration;

use cordon_accounts::reason::Reason;
use tokio::time::Instant;

use crate::connection::close::Closing;
use crate::connection::layer::OutputLayer;
use crate::connection::reader::Reader;
use crate::leaf::compression::Mode;
use crate::leaf::info::LeafInfo;
use crate::leaf::session::LeafSession;
use crate::leaf::state::Leaf;
use crate::s2::outgoing::Outgoing;

/// How long the line that precedes compression may wait to be written.
const LAST_PLAIN: Duration = Duration::from_secs(2);

/// Bytes that may come beside CONNECT before it is answered: its operation, and a PING or the like.
const SPARE: usize = 1024;

impl LeafSession {
    /// The first INFO of a hub was read: whether its answer is INFO, since both would have compression.
    pub(super) fn asks_for_compression(&mut self, info: &LeafInfo) -> bool {
        let Some(agreed) = self.agree(info) else { return true };
        if !agreed.is_s2() {
            return false;
        }
        // The hub takes nothing but the mode from it; by the time it answers compressed.
        let own = LeafInfo { client_id: info.client_id, compression: agreed.name().to_owned(), ..LeafInfo::default() };
        self.line(&own.line());
        self.switch();
        true
    }

    /// INFO of a leaf node that has not said who it is: nothing but the mode counts.
    pub(super) fn negotiate(&mut self, info: &LeafInfo) {
        if let Some(agreed) = self.agree(info)
            && agreed.is_s2()
        {
            self.switch();
        }
    }

    /// What comes of both sides' modes; `None` ends the connection.
    fn agree(&mut self, info: &LeafInfo) -> Option<Mode> {
        let agreed = self.compression.mode.agreed(&info.compression);
        self.agreed = Some(agreed.unwrap_or(Mode::Off));
        if agreed.is_none() {
            let shown: String = info.compression.chars().filter(|c| !c.is_control()).take(64).collect();
            let text = format!("unsupported route compression mode \"{shown}\"");
            self.note(Reason::ProtocolViolation, b"", "", &text);
            self.end(Closing::told(text, "Protocol Violation", Reason::ProtocolViolation));
        }
        agreed
    }

    /// Everything after what was queued so far is compressed, in both directions.
    pub(super) async fn compress(&mut self, reader: &mut Reader) -> Result<(), Closing> {
        let connection = self.connection.clone();
        let until = Instant::now() + LAST_PLAIN;
        connection.flush();
        while !connection.outbound.is_settled() {
            if Instant::now() >= until || connection.is_closing() {
                return Err(Closing::broken("Write Error").because("INFO could not be written"));
            }
            connection.outbound.wait_for_drain(until - Instant::now()).await;
        }
        let Some(socket) = connection.outbound.socket() else { return Err(Closing::by_peer()) };
        socket.compress(Outgoing::new(self.level().compresses()));
        // No more than one line may come: CONNECT.
        let line = self.longest_line() + SPARE;
        reader.decompress(self.dialled.is_none().then_some(line));
        if self.dialled.is_none() {
            let info = LeafInfo::on_accept(&connection.broker, &connection, self.local, &self.nonce);
            self.line(&info.line());
        }
        Ok(())
    }

    /// How what goes out is compressed now.
    pub(super) fn level(&self) -> Mode {
        let rtt = self.connection.traffic.rtt.load(std::sync::atomic::Ordering::Relaxed);
        let rtt = (rtt > 0).then(|| Duration::from_nanos(rtt));
        self.agreed.unwrap_or(Mode::NotSupported).level(rtt, &self.compression.thresholds)
    }

    /// Another round-trip time may ask for another level.
    pub(super) fn relevel(&self, rtt: Duration) {
        if self.agreed != Some(Mode::Auto) {
            return;
        }
        let level = Mode::Auto.level(Some(rtt), &self.compression.thresholds);
        if let Some(socket) = self.connection.outbound.socket()
            && let Some(layer) = socket.layer()
            && let OutputLayer::S2(outgoing) = &mut *layer.lock()
        {
            outgoing.set_compress(level.compresses());
        }
        self.show_level();
    }

    /// The connection is a leaf node, at the level that was agreed. Call it before the connection is bound: whoever finds a
    /// bound one finds its level.
    pub(super) fn show_as(&self, leaf: Leaf) {
        self.connection.set_leaf(leaf);
        self.show_level();
    }

    /// Tells monitoring.
    fn show_level(&self) {
        if let Some(leaf) = self.connection.leaf() {
            *leaf.level.write() = self.level();
        }
    }
}
