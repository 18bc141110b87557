//! Who has seen what, and when: replicas, dots, contexts, stamps.

mod context;
mod dots;
mod replica;
mod runs;
mod stamp;

pub(crate) use context::COUNT_MAX;
pub use context::Context;
pub(crate) use dots::{Dots, Join};
pub use replica::{Dot, ReplicaId};

pub(crate) use stamp::Clock;
pub use stamp::Stamp;
