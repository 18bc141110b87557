//! Steps on another tier: the engine's side ([`RemoteTier`]) sends a call over TCP, the other side
//! ([`RemoteWorker`]) runs the action there and answers. Blocking, on the standard library alone;
//! the wire format is in `PROTOCOL.md`.
//!
//! * **Idempotent**: a call carries the step's idempotency key. The worker keeps the latest answers,
//!   so a call that is sent again after a lost connection is answered without running again, and one
//!   that is still running is waited for.
//! * **Fenced**: a call carries the epoch of its engine's lease. The worker refuses an epoch older
//!   than the newest that it has seen from that engine.
//! * **Bounded**: lengths are checked before memory is taken; a worker serves as many connections as
//!   it was told.
//!
//! There is no encryption and no login: use it inside a network that you trust, or through a tunnel.

mod answers;
mod tier;
mod wire;
mod worker;

pub use tier::RemoteTier;
pub use wire::{FRAME_LEN_MAX, RemoteCall, RemoteError, read_frame};
pub use worker::RemoteWorker;
