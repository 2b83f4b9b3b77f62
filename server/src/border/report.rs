//! Reports of other servers about a traced request, on their way back over the border.
//!
//! Those who serve a request beyond a leaf connection of the exporter know nothing of the importer. They are told a
//! reply subject of their own to report to, and what comes back on it reaches the importer where the requester wanted
//! its report, as an answer would.

use std::sync::Arc;

use cordon_accounts::sharing::Crossing;

use crate::border::reply::Expected;
use crate::broker::Broker;
use crate::routing::{Batch, Message};
use crate::tenant::Tenant;
use crate::tracing_messages::Onward;

/// What was so before a request crossed, and the way back for reports.
pub(super) struct Detour {
    before: Option<Onward>,
    hops: u32,
    expected: Option<Expected>,
}

impl Detour {
    /// Leads reports of a traced request back to the importer; `None` if no report is made of the message.
    pub(super) fn begin(
        broker: &Broker,
        exporter: &Arc<Tenant>,
        importer: &Arc<Tenant>,
        crossing: &Crossing,
        request: &Message<'_>,
        batch: &mut Batch,
    ) -> Option<Self> {
        let traced = batch.traced.as_mut()?;
        let before = traced.onward.take();
        let expected = before.as_ref().and_then(|onward| {
            let report = Message { reply: &onward.destination, ..*request };
            exporter.crossings.replies.expect_reports(broker, exporter, importer, crossing, &report)
        });
        traced.onward =
            expected.as_ref().map(|expected| Onward { destination: expected.subject().into(), is_asked: true });
        Some(Self { before, hops: traced.report.hops(), expected })
    }

    /// The request is with its receivers: a way back that nobody was told of goes.
    pub(super) fn end(self, exporter: &Tenant, batch: &mut Batch) {
        let Some(traced) = batch.traced.as_mut() else { return };
        traced.onward = self.before;
        if let Some(expected) = self.expected.filter(|_| traced.report.hops() == self.hops) {
            exporter.crossings.replies.forget(expected.subject());
        }
    }
}
