//! Every way in times every check: the one table, and what makes its tests.
//!
//! A [`Way`] is how a message gets in, or by what somebody is who they are. A [`Check`] is what may keep it back. Each
//! pair is a cell: a test that [`cell`] generates, or the reason in [`reasons`] why there is nothing to test. A test
//! sends a message of a [`scene`] on the way and sees it arrive, puts the check in its way, and sees it refused in
//! the words that the check has.

pub mod cell;
pub mod check;
pub mod configuration;
pub mod desk;
pub mod drive;
pub mod hall;
pub mod reasons;
pub mod scene;
pub mod site;
pub mod table;
pub mod way;

pub use cell::{Form, Refused, When};
pub use check::{Check, Side};
pub use scene::Scene;
pub use site::Site;
pub use way::{Group, Way};
