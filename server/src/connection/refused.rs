//! A connection whose proof was not accepted: what is logged and recorded of it, and how it ends.

use cordon_accounts::reason::Reason;
use cordon_auth::refusal::{ClosePolicy, Refusal};

use crate::connection::Connection;
use crate::connection::close::Closing;
use crate::system::security::SecurityEvent;

impl Connection {
    /// Authentication has decided against it.
    pub(crate) fn refused(&self, refusal: &Refusal) -> Closing {
        tracing::info!(connection.id = self.cid, peer = %self.peer(), reason = refusal.reason.code(), "authentication refused: {refusal}");
        self.broker.security.note(SecurityEvent::of_refusal(self, refusal));
        self.broker.observer().authentication_refused(self, refusal);
        Closing::by_policy(refusal.close_policy(), refusal.reason, refusal.detail.clone())
    }

    /// Authentication has not decided within its time.
    pub(crate) fn not_decided_in_time(&self) -> Closing {
        let detail = "the credentials could not be checked in time";
        let event = SecurityEvent::of(self, Reason::AuthenticationTimeout).about(b"", "", detail);
        self.broker.security.note(event);
        Closing::by_policy(ClosePolicy::AUTHENTICATION_TIMEOUT, Reason::AuthenticationTimeout, detail)
    }
}
