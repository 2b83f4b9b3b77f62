//! Traffic inside JWT accounts: one, and twenty at once. Each tenant has a publisher and a subscriber on
//! the same subject, so a message that crosses over would be counted as a fault.

use anyhow::Result;

use super::Scenario;
use crate::figure::Figure;
use crate::run::Run;
use crate::security::Entry;
use crate::shape::Shape;
use crate::traffic::{self, Lane};

pub(super) const SCENARIOS: [Scenario; 2] = [
    Scenario {
        name: "jwt_one_to_one_128",
        title: "JWT account 1:1, 128 B",
        entry: Entry::Tenants(1),
        limit: true,
        measure: |run| pairs(run, 1),
    },
    Scenario {
        name: "tenants_20",
        title: "20 JWT accounts, 1:1 in each, 128 B",
        entry: Entry::Tenants(20),
        limit: true,
        measure: |run| pairs(run, 20),
    },
];

fn pairs(run: &Run<'_>, tenants: usize) -> Result<Vec<Figure>> {
    let lane = |tenant| Lane { tenant, ..Lane::one_to_one(Shape::plain("bench.tenant", 128)) };
    traffic::measure(run, &(0..tenants).map(lane).collect::<Vec<_>>())
}
