//! Drivers: they own an engine, a clock and the threads, and do what its commands say.

#[cfg(feature = "tokio")]
mod asynchronous;
mod blocking;
mod pool;

#[cfg(feature = "tokio")]
pub use asynchronous::AsyncRunner;
pub use blocking::Runner;
pub use pool::{Order, Pool};

use crate::time::Timestamp;

/// Where a driver gets the time from.
pub trait Clock: Send {
    /// The time now.
    fn now(&self) -> Timestamp;
}

/// The system's wall clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a driver's clock is where time enters"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }
}

impl<F: Fn() -> Timestamp + Send> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}
