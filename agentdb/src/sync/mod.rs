//! Sync between stores: a pure state machine, and drivers that carry its frames.
//!
//! An [`Endpoint`] is a store as its peers see it; a [`Session`] is one side of a link. A session is given the
//! frames that come and asked for frames to send, with the time; it opens nothing and starts no thread, so
//! any transport will do, and frames may be lost, repeated and reordered on their way. [`run_local`] carries
//! frames within a process, [`tcp`](crate::sync) (feature `tcp`) and `mqtt` (feature `mqtt`) over a network.
//!
//! Only what a crash cannot take back is sent or acknowledged. The wire format is in PROTOCOL.md.
//!
//! ```
//! use agentdb::sync::{Endpoint, Phase, Role, Session, SyncOptions, Toward, run_local};
//! use agentdb::{AgentDb, Field, Options, ReplicaId, Schema, Timestamp};
//!
//! let open = |replica, role| {
//!     let schema = Schema::new("robot").field("battery", Field::Lww);
//!     let options = Options::new(ReplicaId::new(replica)).schema(schema);
//!     AgentDb::in_memory(options).map(|db| Endpoint::new(db, SyncOptions::new(role)))
//! };
//! let now = Timestamp::from_millis(1_000);
//! let mut robot = open(1, Role::Device)?;
//! let mut farm = open(2, Role::Root)?;
//! let mut tx = robot.db_mut().begin(now)?;
//! tx.agent("robot", "R042")?.set("battery", 17)?;
//! tx.commit()?;
//!
//! let mut up = Session::new(&mut robot, Toward::Parent, now);
//! let mut down = Session::new(&mut farm, Toward::Child, now);
//! run_local((&mut robot, &mut up), (&mut farm, &mut down), now)?;
//! assert_eq!(up.phase(), Phase::Live);
//! assert_eq!(farm.db().get("R042")?.unwrap().state["battery"], 17);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod bucket;
mod dictionary;
mod endpoint;
mod error;
mod finder;
mod flight;
mod frame;
mod intake;
mod ledger;
mod local;
mod message;
#[cfg(feature = "mqtt")]
pub mod mqtt;
mod outgoing;
mod peers;
mod ranges;
mod replay;
mod session;
#[cfg(feature = "tcp")]
pub mod tcp;
#[cfg(test)]
mod training;

pub use endpoint::{Endpoint, Pace, Role, SyncOptions, Toward};
pub use error::SyncError;
pub use frame::{FRAME_BYTES_MAX, PROTOCOL_VERSION};
pub use local::run_local;
pub use peers::Peers;
#[cfg(feature = "signed")]
pub use peers::{PublicKey, SigningKey};
pub use session::{Phase, Session, SessionStats};
