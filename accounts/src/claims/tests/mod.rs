//! Tests of claims: reading, writing, validating.

mod peer;
mod reading;
mod round_trip;
mod rules;
mod signing;

use super::*;
use crate::key::{AccountKey, OperatorKey, Role, Seed, UserKey};

/// A fixed moment.
const NOW: i64 = 1_700_000_000;

fn seed(role: Role, byte: u8) -> Seed {
    Seed::from_raw(role, [byte; 32])
}

fn operator() -> Seed {
    seed(Role::Operator, 1)
}

fn account() -> Seed {
    seed(Role::Account, 2)
}

fn user() -> Seed {
    seed(Role::User, 3)
}

fn operator_key(byte: u8) -> OperatorKey {
    seed(Role::Operator, byte).public().try_into().unwrap()
}

fn account_key(byte: u8) -> AccountKey {
    seed(Role::Account, byte).public().try_into().unwrap()
}

fn user_key(byte: u8) -> UserKey {
    seed(Role::User, byte).public().try_into().unwrap()
}
