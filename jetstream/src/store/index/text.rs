//! The text of a subject as the index keeps it: a short one in place, so that it is found with what is known of the
//! subject, and costs no memory of its own.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

/// So many bytes are kept in place: with them a text is as large as three pointers.
const SHORT: usize = 22;

/// A subject. Clones share a long one.
#[derive(Clone, Debug)]
pub(crate) enum Text {
    Short(u8, [u8; SHORT]),
    Long(Arc<[u8]>),
}

impl From<&[u8]> for Text {
    fn from(text: &[u8]) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(len)) => {
                place.copy_from_slice(text);
                Self::Short(len, bytes)
            }
            _ => Self::Long(Arc::from(text)),
        }
    }
}

impl Text {
    /// Bytes of memory that it takes beyond itself, if it is kept in two places.
    pub(crate) fn heap(&self) -> usize {
        match self {
            Self::Short(..) => 0,
            Self::Long(text) => 16 + text.len(),
        }
    }
}

impl Deref for Text {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Short(len, bytes) => bytes.get(..usize::from(*len)).unwrap_or_default(),
            Self::Long(text) => text,
        }
    }
}

// What is borrowed compares as what it is borrowed from: both by their bytes.
impl Borrow<[u8]> for Text {
    fn borrow(&self) -> &[u8] {
        self
    }
}

impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text {}

impl PartialOrd for Text {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_its_bytes_whatever_its_length() {
        let all: Vec<Vec<u8>> = (0..2 * SHORT).map(|len| (0..len).map(|at| at as u8).collect()).collect();
        for (number, bytes) in all.iter().enumerate() {
            let text = Text::from(bytes.as_slice());
            assert_eq!(*text, **bytes);
            assert_eq!(text.clone(), text);
            assert_eq!(text.heap() > 0, bytes.len() > SHORT);
            for (other_number, other) in all.iter().enumerate() {
                assert_eq!(text.cmp(&Text::from(other.as_slice())), number.cmp(&other_number));
            }
        }
        assert!(Text::from(&b"b"[..]) > Text::from(&[b'a'; 60][..]));
        assert_eq!(size_of::<Option<Text>>(), 24);
    }
}
