//! Why a check has nothing to do on a way: everything else of the table is a test.

use super::check::Check;
use super::way::{Group, Way};

/// Why there is no test for this check on this way.
pub fn why_not(way: Way, check: Check) -> Option<&'static str> {
    match way.group() {
        Group::Absent(_) => {
            return Some("the way is not in the product: configuring it opens nothing, and a test says so");
        }
        Group::Elsewhere(_) => return Some("the way is shown by the test that its row names"),
        Group::Message => of_message(way, check),
        Group::Identity => of_identity(way, check),
        Group::Api => of_api(way, check),
        Group::Configured => of_configuration(way, check),
    }
    .or(match check {
        Check::Data => Some("carried in claims and not enforced, by nats-server neither; documented so"),
        _ => None,
    })
}

const NOTHING_CROSSES: &str = "nothing crosses to another account on this way";
const NO_ANSWER: &str = "no grant is used on this way: what it may publish is `publish allow`";
const REPORT: &str = "the report is written by the broker: the publisher chooses neither its size nor a reply";

fn of_message(way: Way, check: Check) -> Option<&'static str> {
    let crosses = matches!(
        way,
        Way::ServiceImport | Way::MappedServiceImport | Way::StreamImport | Way::MappedStreamImport | Way::ServiceReply
    );
    let report = matches!(way, Way::TraceDestination | Way::TraceOnly);
    match check {
        Check::ActivationMissing | Check::ActivationRevoked | Check::ImportNarrowed | Check::ExportNarrowed
            if !crosses =>
        {
            Some(NOTHING_CROSSES)
        }
        Check::ResponseCount | Check::ResponseTime if !matches!(way, Way::ResponsePermission | Way::ServiceReply) => {
            Some(NO_ANSWER)
        }
        Check::ServerPayload | Check::AccountPayload | Check::UserPayload | Check::ReservedReply if report => {
            Some(REPORT)
        }
        Check::ActivationMissing if way == Way::ServiceReply => {
            Some("no request comes through that could be answered: see `request through an import`")
        }
        Check::ReservedSubject if matches!(way, Way::ServiceReply | Way::ResponsePermission) => {
            Some("the subject was given by the broker or the requester, whose own reply was checked")
        }
        Check::ReservedSubject if matches!(way, Way::TenantSystemRequest | Way::SystemRequest) => {
            Some("the subject is itself one of the broker's")
        }
        Check::PublishDeny if way == Way::ResponsePermission => {
            Some("a granted answer is not stopped by a deny, as in nats-server (auth.md 5.5)")
        }
        Check::DefaultPermissions if way == Way::ResponsePermission => {
            Some("defaults are for users without permissions, and this one has a response permission")
        }
        Check::AccountExpires | Check::AccountDeleted if way == Way::SystemRequest => {
            Some("the system account is the operator's own; it can be deleted by nobody, and is what would tell of it")
        }
        Check::BearerForbidden | Check::Proof | Check::AccountNamed => {
            Some("a matter of the identity, on whatever way it then sends: see the rows of identities")
        }
        _ => None,
    }
}

fn of_identity(way: Way, check: Check) -> Option<&'static str> {
    match check {
        Check::ActivationMissing | Check::ActivationRevoked | Check::ImportNarrowed | Check::ExportNarrowed => {
            Some("a matter of the accounts, whoever sends: see the rows of imports")
        }
        Check::UserRevoked | Check::ReceiverRevoked if way == Way::Callout => Some(
            "its key is made for one connection: that revoking it ends that is shown by `a_service_can_be_told_to_end_its_users`; who comes back is the service's to say",
        ),
        Check::SigningKeyRemoved if !matches!(way, Way::SigningKey | Way::ScopedKey) => {
            Some("signed by the account's identity, which goes only with the account")
        }
        Check::BearerForbidden if !matches!(way, Way::Bearer | Way::Sentinel) => Some("not a bearer"),
        Check::Proof if way == Way::Sentinel => Some("it stands in for those who prove nothing"),
        Check::Proof if way == Way::Bearer => {
            Some("a bearer proves nothing but its JWT; a changed one is `JWT` of section 10")
        }
        _ => None,
    }
}

const ONLY_SIGNED: &str = "the API only issues the JWT; the broker decides by it as for `nonce-signing JWT`";

fn of_api(way: Way, check: Check) -> Option<&'static str> {
    match check {
        Check::SigningKeyRemoved if way == Way::ApiUser => {
            Some("signed by the account's identity, which goes only with the account")
        }
        Check::ActivationMissing
        | Check::ActivationRevoked
        | Check::ImportNarrowed
        | Check::ExportNarrowed
        | Check::NotBefore
        | Check::Expired
        | Check::DefaultPermissions
        | Check::AccountExpires
        | Check::EverybodyRevoked
        | Check::ResponseTime
        | Check::BearerForbidden => Some(ONLY_SIGNED),
        _ => None,
    }
}

fn of_configuration(way: Way, check: Check) -> Option<&'static str> {
    match check {
        Check::DefaultPermissions
        | Check::UserRevoked
        | Check::EverybodyRevoked
        | Check::ReceiverRevoked
        | Check::SigningKeyRemoved
        | Check::AccountExpires
        | Check::AccountDeleted
        | Check::Expires => Some("the configuration's users change by a reload: shown by `server/tests/reload`"),
        Check::ActivationMissing | Check::ActivationRevoked | Check::ImportNarrowed | Check::ExportNarrowed => {
            Some("what configured accounts share is shown by `server/tests/configured_sharing.rs`")
        }
        Check::AccountPayload
        | Check::UserPayload
        | Check::AccountSubscriptions
        | Check::UserSubscriptions
        | Check::AccountConnections
        | Check::Network
        | Check::TimeOfDay
        | Check::NotBefore
        | Check::Expired
        | Check::BearerForbidden => Some(
            "configured users have no such option; limits of configured accounts are shown by `server/tests/configured_auth.rs`",
        ),
        Check::PublishAllow
        | Check::PublishDeny
        | Check::SubscribeAllow
        | Check::SubscribeDeny
        | Check::SubscribeOverlap
        | Check::QueueAllow
        | Check::QueueDeny
        | Check::QueueOverlap
        | Check::ResponseCount
        | Check::ResponseTime
        | Check::ConnectionType
            if way == Way::Token =>
        {
            Some("a token has no permissions and no conditions of its own")
        }
        Check::Proof if matches!(way, Way::NoAuthUser | Way::NoConnect) => {
            Some("it stands in for those who prove nothing; a wrong proof is refused, see `user and password`")
        }
        Check::AccountNamed if way == Way::NoConnect => Some("there is no CONNECT to name an account in"),
        _ => None,
    }
}
