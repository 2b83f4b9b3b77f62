//! The difference between two configurations, as data: what changed from what to what, and whether it can now.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use sha2::{Digest as _, Sha256};

use crate::tenant::Terms;

/// When a changed option takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// At the next start only.
    AtStart {
        /// What nats-server calls it, where it has it: tools look for this name in the answer.
        field: &'static str,
    },
    /// While the broker runs.
    Live,
}

/// One thing that is configured, as text.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    name: String,
    shown: String,
    hidden: Hidden,
    effect: Effect,
}

/// What counts and is not shown.
#[derive(Clone, Debug, PartialEq)]
enum Hidden {
    Nothing,
    /// A digest of a secret.
    Secret([u8; 32]),
    /// More than can be shown.
    Terms(Arc<Terms>),
}

/// One thing that two configurations have differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is: the option, or what the option lists.
    pub name: String,
    /// What it was, without secrets; `None` if it was not there.
    pub old: Option<String>,
    /// What it is to be, without secrets; `None` if it goes.
    pub new: Option<String>,
    /// When it takes effect.
    pub effect: Effect,
}

impl Setting {
    /// Something that changes while the broker runs.
    pub fn live(name: impl Into<String>, shown: impl fmt::Display) -> Self {
        Self { name: name.into(), shown: shown.to_string(), hidden: Hidden::Nothing, effect: Effect::Live }
    }

    /// Something that a start decides; nats-server calls it `field`.
    pub fn at_start(name: impl Into<String>, field: &'static str, shown: impl fmt::Display) -> Self {
        Self { effect: Effect::AtStart { field }, ..Self::live(name, shown) }
    }

    /// With a part that counts and is never shown.
    pub fn with_secret(mut self, secret: impl AsRef<[u8]>) -> Self {
        self.hidden = Hidden::Secret(digest(secret.as_ref()));
        self
    }

    /// With all that an account is, which is compared as a whole.
    pub fn with_terms(mut self, terms: Arc<Terms>) -> Self {
        self.hidden = Hidden::Terms(terms);
        self
    }
}

/// A digest that tells secrets apart in this process, and says nothing of them outside it.
fn digest(secret: &[u8]) -> [u8; 32] {
    static KEY: OnceLock<[u8; 32]> = OnceLock::new();
    let key = KEY.get_or_init(|| {
        let mut key = [0; 32];
        rand::RngCore::fill_bytes(&mut rand::rngs::OsRng, &mut key);
        key
    });
    Sha256::new().chain_update(key).chain_update(secret).finalize().into()
}

/// What is different in `new`, in order of names.
pub fn difference(old: &[Setting], new: &[Setting]) -> Vec<Change> {
    let mut pairs: BTreeMap<&str, (Option<&Setting>, Option<&Setting>)> = BTreeMap::new();
    for setting in old {
        pairs.entry(&setting.name).or_default().0 = Some(setting);
    }
    for setting in new {
        pairs.entry(&setting.name).or_default().1 = Some(setting);
    }
    pairs.into_iter().filter_map(|(name, (old, new))| change(name, old, new)).collect()
}

fn change(name: &str, old: Option<&Setting>, new: Option<&Setting>) -> Option<Change> {
    if let (Some(old), Some(new)) = (old, new)
        && (&old.shown, &old.hidden) == (&new.shown, &new.hidden)
    {
        return None;
    }
    // Whichever of the two cannot be changed now decides.
    let effects = [old, new].into_iter().flatten().map(|setting| setting.effect);
    let effect = effects.fold(Effect::Live, |effect, next| if next == Effect::Live { effect } else { next });
    let shown = |setting: Option<&Setting>| setting.map(|setting| setting.shown.clone());
    Some(Change { name: name.to_owned(), old: shown(old), new: shown(new), effect })
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.old, &self.new) {
            (Some(old), Some(new)) if old == new => write!(f, "{}: changed, {new}", self.name),
            (Some(old), Some(new)) => write!(f, "{}: {old} -> {new}", self.name),
            (None, Some(new)) => write!(f, "{}: added, {new}", self.name),
            (Some(_) | None, None) => write!(f, "{}: removed", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(old: &[Setting], new: &[Setting]) -> Vec<String> {
        difference(old, new).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_the_same_is_no_change() {
        let settings = || [Setting::live("a", 1), Setting::live("user `u`", "in A").with_secret("s3cret")];
        assert_eq!(difference(&settings(), &settings()), []);
    }

    #[test]
    fn changes_are_told_with_old_and_new() {
        let old = [Setting::live("max_payload", 10), Setting::live("user `gone`", "in A")];
        let new = [Setting::live("user `new`", "in B"), Setting::live("max_payload", 20)];
        assert_eq!(texts(&old, &new), ["max_payload: 10 -> 20", "user `gone`: removed", "user `new`: added, in B"]);
    }

    #[test]
    fn a_secret_counts_and_is_not_told() {
        let old = [Setting::live("token", "set").with_secret("hunter2")];
        let new = [Setting::live("token", "set").with_secret("hunter3")];
        assert_eq!(texts(&old, &new), ["token: changed, set"]);
        assert!(!format!("{old:?}{:?}", difference(&old, &new)).contains("hunter"));
    }

    #[test]
    fn what_one_of_two_cannot_do_live_is_not_done_live() {
        let fixed = Setting::at_start("resolver", "AccountResolver", "memory");
        for (old, new) in [
            (vec![fixed.clone()], vec![]),
            (vec![], vec![fixed.clone()]),
            (vec![Setting::live("resolver", "x")], vec![fixed]),
        ] {
            assert_eq!(difference(&old, &new)[0].effect, Effect::AtStart { field: "AccountResolver" });
        }
    }
}
