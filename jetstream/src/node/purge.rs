//! `ACCOUNT.PURGE`: an operator has everything of an account deleted (jetstream.md 1.1). In the system account alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use cordon_accounts::name::AccountName;
use serde_json::json;

use super::Shared;
use crate::account::file_name;
use crate::store::file::GONE;

/// What its subjects begin with, behind the API's own name.
pub(super) const PURGE: &[u8] = b"ACCOUNT.PURGE.";

impl Shared {
    /// Answers a request to purge the account of that name; it is done by and by.
    pub(super) fn purge(self: &Arc<Self>, name: &[u8]) -> Vec<u8> {
        let kind = "io.nats.jetstream.api.v1.account_purge_response";
        let refused = |error: crate::api::ApiError| json!({"type": kind, "error": error});
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty() && !name.contains('.'));
        let answer = match (name, self.runtime.get()) {
            (Some(name), Some(runtime)) => {
                let (this, name) = (self.clone(), AccountName::from(name));
                tracing::info!(account = %name, "all streams of the account are deleted, as an operator asked");
                if self.apart.begin(runtime, Box::new(move || this.purge_now(&name))) {
                    json!({"type": kind, "initiated": true})
                } else {
                    refused(crate::api::ApiError::stream_general("too much is being done already: ask again later"))
                }
            }
            _ => refused(crate::api::ApiError::bad_request()),
        };
        answer.to_string().into_bytes()
    }

    fn purge_now(self: &Arc<Self>, name: &AccountName) {
        let Some(root) = self.settings.get().and_then(|settings| settings.store_dir.clone()) else { return };
        let root = root.join("jetstream");
        let place = {
            // Nobody makes a place for it, and opens what is there, before it is moved away.
            let places = self.places.write();
            let place = places.get(name).cloned();
            if place.is_none() {
                take_away(&root, name);
            }
            place
        };
        if let Some(place) = place {
            {
                let _one_at_a_time = place.changing.lock();
                if let Some(member) = place.door.member() {
                    for stream in member.account.streams() {
                        if let Err(error) = member.account.delete_stream(stream.name()) {
                            tracing::warn!(account = %name, stream = %stream.name(), %error, "a stream is not deleted");
                        }
                    }
                    place.door.set_member(None);
                    member.close();
                }
                take_away(&root, name);
            }
            if let Some(tenant) = place.tenant.upgrade() {
                self.adjust(&tenant);
            }
        }
        sweep(&root);
        tracing::info!(account = %name, "all streams of the account are deleted");
    }
}

/// Its folder is no account's any more.
fn take_away(root: &Path, name: &AccountName) {
    let folder = root.join(file_name(name.as_str()));
    if !folder.exists() {
        return;
    }
    let away = root.join(format!("{GONE}{}-{}", file_name(name.as_str()), nuid::next()));
    let moved = fs::rename(&folder, &away).and_then(|()| fs::File::open(root)?.sync_all());
    if let Err(error) = moved {
        tracing::error!(%error, path = %folder.display(), "the files of an account cannot be removed");
    }
}

/// Removes what was taken away, also by one that did not come to its end.
pub(super) fn sweep(root: &Path) {
    if let Err(error) = crate::store::file::FileStore::sweep(root) {
        tracing::warn!(%error, "cannot remove what is left of an account");
    }
}
