//! Without a link: how much is buffered, what gives way when it is too much, and who is told.
//!
//! Events wait in three lanes, [`SafetyCritical` > `Normal` > `Telemetry`](crate::Priority). When more wait
//! than a [`Policy`] allows, the lowest lane that has any is thinned: what goes is spread evenly over it, so that
//! what is left still covers the whole time. Nothing goes in silence: each thinning appends a
//! [`Dropped`] record, an event that is replicated like others, and a [`Tally`] holds
//! `appended = held + sent + dropped` in every lane.

mod account;
mod contact;
mod dropped;
mod policy;
mod tally;

pub(crate) use account::Account;
pub use contact::{Contact, LinkChange};
pub use dropped::{DROPPED, Dropped, Why};
pub use policy::Policy;
pub use tally::{Lane, Tally};
