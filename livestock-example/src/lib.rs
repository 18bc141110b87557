//! A camera gateway on a livestock farm: the five `edgeweave` crates in one process.
//!
//! An input (a camera's frame or a leg sensor's sample) goes one way through the tree:
//!
//! ```text
//! source ─► runner (plugin process) ─► tracking, zones ─► events (midstream)
//!        ─► novelty (ruvector) ─► incident workflow (flowcore) ─► state and outbox (agentdb)
//!        ─► alert (stdout, MQTT)
//! ```
//!
//! Each arrow is a file of this crate; none of the five crates knows another.

pub mod detection;
pub mod frame;
pub mod mqtt;
pub mod posture;
pub mod score;
pub mod sim;
pub mod source;
pub mod time;
pub mod zone;
