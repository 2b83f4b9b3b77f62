//! What crosses from one account to another: a stream that one exports and the other imports, and requests
//! to a service that the other exports. The same traffic inside one account is in `one_to_one` and
//! `request_reply`.

use super::Scenario;
use super::request_reply::{Between, exchange};
use crate::security::Entry;
use crate::shape::Shape;
use crate::tenancy::STREAM;
use crate::traffic::{self, Lane};

/// The tenant that exports; the other imports.
const EXPORTER: usize = 0;
const IMPORTER: usize = 1;
const ACROSS: Between = Between { requester: IMPORTER, responder: EXPORTER };

pub(super) const SCENARIOS: [Scenario; 3] = [
    Scenario {
        name: "stream_import_128",
        title: "stream import 1:1, 128 B",
        entry: Entry::Sharing,
        limit: true,
        measure: |run| {
            let shape = Shape::plain(STREAM, 128);
            traffic::measure(run, &[Lane { tenant: EXPORTER, importer: Some(IMPORTER), ..Lane::one_to_one(shape) }])
        },
    },
    Scenario {
        name: "service_import_1",
        title: "service import, 1 in flight, requests",
        entry: Entry::Sharing,
        limit: true,
        measure: |run| exchange(run, 1, ACROSS),
    },
    Scenario {
        name: "service_import_16",
        title: "service import, 16 in flight, requests",
        entry: Entry::Sharing,
        limit: true,
        measure: |run| exchange(run, 16, ACROSS),
    },
];
