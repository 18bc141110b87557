//! Time as the caller passes it.

/// A moment in milliseconds since whatever moment the caller counts from, the same for all calls.
/// The cache never reads a clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// This moment and so many milliseconds; the last moment if there is none so late.
    #[must_use]
    pub fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}
