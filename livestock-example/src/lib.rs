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

pub mod command;
pub mod config;
pub mod describe;
pub mod detection;
pub mod frame;
pub mod gateway;
pub mod handbook;
pub mod incident;
pub mod latency;
#[cfg(feature = "ssd")]
pub mod models;
pub mod mqtt;
pub mod night;
pub mod novelty;
pub mod outbox;
pub mod patterns;
pub mod plugins;
pub mod posture;
pub mod runner;
pub mod score;
pub mod sighting;
pub mod sim;
pub mod source;
pub mod state;
pub mod summary;
pub mod time;
pub mod tracking;
pub mod workflow;
pub mod zone;
