//! What every account may ask the system account about itself (auth.md 6.8).
//!
//! These are service crossings like any other, but made by the broker: the account's name is put
//! into the system account's subject here, so a tenant can only ever ask about itself.

use std::sync::Arc;

use cordon_accounts::sharing::{
    Access, AccountSharing, Crossing, Export, ExportKind, RESPONSE_THRESHOLD_DEFAULT_NS, ResponseType,
};
use cordon_accounts::subject::{Pattern, Transform};

use crate::border::service::Service;
use crate::tenant::Tenant;

/// What a tenant publishes, and what becomes of it in the system account (`{}` is its name).
const SERVICES: [(&str, &str, ResponseType); 4] = [
    ("$SYS.REQ.USER.INFO", "$SYS.REQ.USER.{}.INFO", ResponseType::Singleton),
    ("$SYS.REQ.ACCOUNT.PING.CONNZ", "$SYS.REQ.ACCOUNT.{}.CONNZ", ResponseType::Stream),
    ("$SYS.REQ.SERVER.PING.CONNZ", "$SYS.REQ.ACCOUNT.{}.CONNZ", ResponseType::Stream),
    ("$SYS.REQ.ACCOUNT.PING.STATZ", "$SYS.REQ.ACCOUNT.{}.STATZ", ResponseType::Stream),
];

/// What the system account offers each account about itself, whether its claims say so or not (token 4 is the
/// importer's own): an import of it may give the answers another subject.
const EXPORTS: [&str; 2] = ["$SYS.REQ.ACCOUNT.*.CONNZ", "$SYS.REQ.ACCOUNT.*.STATZ"];
/// Where the account stands in [`EXPORTS`].
const POSITION: u32 = 4;

/// The system account's sharing, with what it always offers. What its claims say of the same subjects comes first.
pub fn with_exports(sharing: &AccountSharing) -> AccountSharing {
    let mut sharing = sharing.clone();
    for subject in EXPORTS.into_iter().filter_map(|subject| Pattern::parse(subject).ok()) {
        if sharing.export_of(ExportKind::Service, &subject).is_none() {
            let mut export = Export::new(ExportKind::Service, subject);
            export.access = Access::Position(POSITION);
            export.response = ResponseType::Stream;
            sharing.exports.push(export);
        }
    }
    sharing
}

/// The import that a crossing made by the broker comes from: none.
pub(super) const BUILT_IN: usize = usize::MAX;

/// Gives `tenant` its crossings to the system account.
pub fn offer(tenant: &Arc<Tenant>, system: &Arc<Tenant>) {
    // An account name with wildcards or blanks in it must not widen a subject.
    if tenant.is_system() || !cordon_accounts::subject::matching::is_literal(tenant.name.as_str().as_bytes()) {
        return;
    }
    for (local, remote, response) in SERVICES {
        let remote = remote.replace("{}", tenant.name.as_str());
        let Some(crossing) = crossing(tenant, system, local, &remote, response) else { continue };
        tenant.interest.insert(&Service::subscription(tenant, Arc::new(crossing)));
    }
}

fn crossing(tenant: &Tenant, system: &Tenant, local: &str, remote: &str, response: ResponseType) -> Option<Crossing> {
    Some(Crossing {
        kind: ExportKind::Service,
        importer: tenant.name.clone(),
        exporter: system.name.clone(),
        local: Pattern::parse(local).ok()?,
        remote: Pattern::parse(remote).ok()?,
        outward: Transform::new(local, remote).ok()?,
        inward: Transform::new(remote, local).ok()?,
        share: true,
        allow_trace: false,
        response,
        threshold_ns: RESPONSE_THRESHOLD_DEFAULT_NS,
        latency: None,
        expires: None,
        import_index: BUILT_IN,
        export: Pattern::parse(remote).ok()?,
    })
}
