//! The remotes that are being kept connected, each by a task of its own; a reload changes which.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::broker::Broker;
use crate::leaf::describe::of_remote;
use crate::leaf::options::RemoteOptions;
use crate::leaf::remote;
use crate::reload::Setting;

/// Those that are kept connected.
#[derive(Default)]
pub(super) struct Remotes(Mutex<Vec<Kept>>);

struct Kept {
    /// What it is, with what its files held when it began.
    setting: Setting,
    stop: CancellationToken,
    /// Cancelled once its connection has ended, and everything that it held was given back.
    ended: CancellationToken,
}

impl Remotes {
    /// Whether this remote is kept connected just so.
    pub(super) fn keeps(&self, remote: &RemoteOptions) -> bool {
        let setting = setting(remote);
        self.0.lock().iter().any(|kept| kept.setting == setting)
    }

    /// Keeps these connected, and no others. Who is among them already does not notice; whoever comes waits for those
    /// that go, since one of them may be what it was before.
    pub(super) fn replace(&self, broker: &Arc<Broker>, remotes: &[Arc<RemoteOptions>]) {
        let enabled = remotes.iter().filter(|remote| !remote.disabled);
        let mut wanted: Vec<(Setting, &Arc<RemoteOptions>)> = enabled.map(|remote| (setting(remote), remote)).collect();
        let mut all = self.0.lock();
        let (mut stay, mut go) = (Vec::new(), Vec::new());
        for kept in all.drain(..) {
            if let Some(at) = wanted.iter().position(|(setting, _)| *setting == kept.setting) {
                wanted.swap_remove(at);
                stay.push(kept);
            } else {
                kept.stop.cancel();
                go.push(kept.ended);
            }
        }
        for (setting, remote) in wanted {
            stay.push(keep(broker, setting, remote.clone(), go.clone()));
        }
        *all = stay;
    }
}

/// Two remotes are the same if nothing but their place in the list differs.
fn setting(remote: &RemoteOptions) -> Setting {
    of_remote("", remote)
}

fn keep(broker: &Arc<Broker>, setting: Setting, remote: Arc<RemoteOptions>, earlier: Vec<CancellationToken>) -> Kept {
    let (stop, ended) = (broker.stopping.child_token(), CancellationToken::new());
    let guard = ended.clone().drop_guard();
    let (own, stopped) = (broker.clone(), stop.clone());
    broker.tasks.spawn(async move {
        let _told_at_the_end = guard;
        for gone in earlier {
            gone.cancelled().await;
        }
        remote::keep_connected(own, remote, stopped).await;
    });
    Kept { setting, stop, ended }
}
