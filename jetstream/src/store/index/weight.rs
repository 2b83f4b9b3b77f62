//! How much a message counts for, kept with its subject: a stream that keeps the last message of each subject removes one
//! with every message that comes, and would read it for nothing else.

/// The size of a message as its stream counts it, and whether it has headers. Of none, nothing is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weight(u32);

impl Weight {
    const HAS_HEADER: u32 = 1 << 31;

    /// Of a message of this size; nothing is known of one whose size does not fit.
    pub(crate) fn new(size: u64, has_header: bool) -> Self {
        let size = u32::try_from(size).ok().filter(|size| size & Self::HAS_HEADER == 0).unwrap_or(0);
        Self(if has_header && size > 0 { size | Self::HAS_HEADER } else { size })
    }

    /// The size, and whether there are headers.
    pub(crate) fn known(self) -> Option<(u64, bool)> {
        (self.0 > 0).then_some((u64::from(self.0 & !Self::HAS_HEADER), self.0 & Self::HAS_HEADER != 0))
    }
}

/// The weights of a subject's last message, and of the one before as long as none of the subject's was removed since.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Weights {
    last: Weight,
    before: Weight,
}

impl Weights {
    /// A message comes.
    pub(crate) fn push(&mut self, weight: Weight) {
        self.before = std::mem::replace(&mut self.last, weight);
    }

    /// A message of the subject was removed.
    pub(crate) fn removed(&mut self, was_last: bool) {
        self.before = Weight::default();
        if was_last {
            self.last = Weight::default();
        }
    }

    /// That of the first of so many messages.
    pub(crate) fn first_of(self, count: u64) -> Weight {
        match count {
            1 => self.last,
            2 => self.before,
            _ => Weight::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::Index;
    use super::*;

    #[test]
    fn a_weight_says_what_it_was_made_of() {
        for size in [1, 30, u64::from(u32::MAX >> 1)] {
            for has_header in [false, true] {
                assert_eq!(Weight::new(size, has_header).known(), Some((size, has_header)));
            }
        }
        for size in [0, 1 << 31, u64::from(u32::MAX), 1 << 32, (1 << 32) + 5, u64::MAX] {
            assert_eq!((Weight::new(size, false).known(), Weight::new(size, true).known()), (None, None), "{size}");
        }
    }

    proptest! {
        /// What is known of a subject's first message is true of it, whatever came and went.
        #[test]
        fn no_message_is_given_the_weight_of_another(
            steps in prop::collection::vec((0..6_u8, 0..3_u8, any::<prop::sample::Index>()), 1..80),
        ) {
            let mut index = Index::default();
            let mut model: BTreeMap<u64, (u8, Weight)> = BTreeMap::new();
            let mut known = 0;
            for (seq, (what, subject, which)) in (1..).zip(steps) {
                let at = (!model.is_empty()).then(|| model.keys().copied().nth(which.index(model.len())).unwrap());
                match (what, at) {
                    (0, Some(at)) => {
                        let (subject, _) = model.remove(&at).unwrap();
                        index.remove(at, &[subject], 0);
                    }
                    (1, Some(at)) => {
                        model.remove(&at);
                        index.remove_unread(at);
                    }
                    (2, _) => {
                        if let Some(first) = index.of_subject(&[subject]).map(|of| of.first) {
                            model.remove(&first);
                            index.remove(first, &[subject], 0);
                        }
                    }
                    _ => {
                        let weight = if what == 3 { Weight::default() } else { Weight::new(seq, false) };
                        index.append(seq, &[subject], 0, weight);
                        model.insert(seq, (subject, weight));
                    }
                }
                for subject in 0..3 {
                    let first = index.first_of(&[subject]);
                    let expected = model.iter().find(|(_, (other, _))| *other == subject);
                    prop_assert_eq!(first.map(|(seq, _)| seq), expected.map(|(seq, _)| *seq));
                    if let Some((seq, weight)) = first && let Some((size, _)) = weight.known() {
                        prop_assert_eq!(size, seq);
                        known += 1;
                    }
                }
            }
            prop_assume!(known > 0);
        }
    }
}
