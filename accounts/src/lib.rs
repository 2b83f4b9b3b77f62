//! The domain of Cordon: keys, claims, subjects, permissions and sharing, as values.

pub mod subject;
