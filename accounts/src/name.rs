//! What the broker calls an account.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::key::AccountKey;

/// An account's name inside the broker; cheap to clone.
///
/// In operator mode it is the text of the account's key, in configured mode free text.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(Arc<str>);

impl AccountName {
    /// The account of connections that need no authentication.
    pub const GLOBAL: &'static str = "$G";

    /// The system account of a broker without operators.
    pub const SYSTEM: &'static str = "$SYS";

    /// Takes a configured name.
    pub fn new(name: impl Into<Arc<str>>) -> Self {
        Self(name.into())
    }

    /// `$G`.
    pub fn global() -> Self {
        Self::new(Self::GLOBAL)
    }

    /// `$SYS`.
    pub fn system() -> Self {
        Self::new(Self::SYSTEM)
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The key that the name is the text of; `None` in configured mode.
    pub fn key(&self) -> Option<AccountKey> {
        AccountKey::parse(&self.0).ok()
    }
}

impl From<AccountKey> for AccountName {
    fn from(key: AccountKey) -> Self {
        Self::new(key.to_string())
    }
}

impl From<&AccountKey> for AccountName {
    fn from(key: &AccountKey) -> Self {
        Self::new(key.to_string())
    }
}

impl From<&str> for AccountName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl AsRef<str> for AccountName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AccountName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for AccountName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Role, Seed};

    #[test]
    fn a_key_is_found_again_in_the_name_made_of_it() {
        let key = AccountKey::try_from(Seed::from_raw(Role::Account, [9; 32]).public()).unwrap();
        assert_eq!(AccountName::from(key).key(), Some(key));
        assert_eq!(AccountName::global().key(), None);
    }

    #[test]
    fn a_name_stands_for_its_text() {
        let name = AccountName::new("acme");
        let (as_ref, borrowed): (&str, &str) = (name.as_ref(), name.borrow());
        assert_eq!((as_ref, borrowed, name.to_string().as_str()), ("acme", "acme", "acme"));
        assert_eq!(format!("{name:?}"), "acme");
    }
}
