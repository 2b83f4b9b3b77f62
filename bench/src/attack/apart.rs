//! Processors of their own for the attacker and for the tenant's client, where there are two or more: an attacker is
//! another machine in truth, so what its own work takes from the tenant's client says nothing of the server. The server may
//! use every processor, and comes before the attacker on the attacker's too.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Keeps this thread, and those that it starts, off the attacker's processor until it is dropped.
pub(super) struct Apart(Option<(CpuSet, usize)>);

impl Apart {
    /// From now on this thread leaves the attacker's processor alone.
    pub(super) fn from_the_attacker() -> Self {
        let Some((all, attackers)) = shared_out() else { return Self(None) };
        let mut others = all;
        others.unset(attackers);
        Self(sched_setaffinity(None, &others).is_ok().then_some((all, attackers)))
    }

    /// The attacker's processor; `None` where there is none to spare.
    pub(super) fn attackers(&self) -> Option<usize> {
        self.0.as_ref().map(|(_, attackers)| *attackers)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some((all, _)) = &self.0 {
            // What could be narrowed can be widened again.
            let _widened = sched_setaffinity(None, all);
        }
    }
}

/// From now on this thread, and those that it starts, stay on `processor`.
pub(super) fn stay_on(processor: usize) {
    let mut own = CpuSet::new();
    own.set(processor);
    // Where it cannot be had, the attacker shares its processor with the tenant and the figures are an upper bound.
    let _pinned = sched_setaffinity(None, &own);
}

/// The processors that this thread may use, and the last of them; `None` with fewer than two.
fn shared_out() -> Option<(CpuSet, usize)> {
    let all = sched_getaffinity(None).ok()?;
    if all.count() < 2 {
        return None;
    }
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| all.is_set(*cpu))?;
    Some((all, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attackers_processor_is_given_back() {
        let before = sched_getaffinity(None).unwrap();
        let apart = Apart::from_the_attacker();
        let during = sched_getaffinity(None).unwrap();
        let spared = apart.attackers();
        assert_eq!(spared.is_some(), before.count() > 1);
        assert!(spared.is_none_or(|cpu| before.is_set(cpu) && !during.is_set(cpu)));
        drop(apart);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
    }
}
