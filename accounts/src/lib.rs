//! The domain of Cordon: keys, claims, subjects, permissions and sharing, as values.
//!
//! Values go in, decisions come out. Nothing here reads a file, a socket or a clock, and nothing
//! waits: whoever asks about time passes `now` in unix seconds.
//!
//! ```text
//! token text -> claims::decode -> Verified<Account>  --validate(now)--> what is wrong
//!                                     |
//!                                     +-> permissions, mappings, sharing: compiled once,
//!                                         then asked about every subject
//! ```
//!
//! A refusal is data: what was asked, the rule that said no, and a [`reason::Reason`].
//!
//! ```
//! use cordon_accounts::claims::{self, User, UserClaims};
//! use cordon_accounts::key::{Role, Seed};
//!
//! let account = Seed::generate(Role::Account, &mut rand::rngs::OsRng);
//! let user = Seed::generate(Role::User, &mut rand::rngs::OsRng);
//! let now = 1_700_000_000;
//!
//! let mut wanted = UserClaims::new(user.public().try_into()?);
//! wanted.name = "alice".to_owned();
//! wanted.nats.template.permissions.publish.allow = vec!["orders.>".to_owned()];
//! let token = wanted.encode(&account, now)?;
//!
//! let read = claims::decode::<User>(&token)?;
//! read.validate(now).require_valid()?;
//! assert_eq!(read.issuer, account.public());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

pub mod claims;
pub mod creds;
pub mod explain;
pub mod key;
pub mod limits;
pub mod name;
pub mod permissions;
pub mod reason;
pub mod share;
pub mod sharing;
pub mod subject;
