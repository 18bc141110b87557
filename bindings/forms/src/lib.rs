//! Values of the five crates as JSON: what the C library and the Python wheel take and tell where a value has too
//! many parts for arguments of its own. Written once, so that both speak alike; an operation is never done here.
//!
//! ```
//! # #[cfg(feature = "agentdb")] {
//! let schemas = serde_json::json!({"cow": {"zone": "lww", "health": {"status": ["well", "ill"]}}});
//! assert_eq!(forms::agentdb::schemas(&schemas)?[0].name(), "cow");
//! # }
//! # Ok::<(), forms::Malformed>(())
//! ```

use std::fmt;

#[cfg(feature = "agentdb")]
pub mod agentdb;
#[cfg(feature = "flowcore")]
pub mod flowcore;
#[cfg(feature = "midstream")]
pub mod midstream;
#[cfg(feature = "promptopt")]
pub mod promptopt;
#[cfg(feature = "ruvector")]
pub mod ruvector;

/// A JSON value that is not of the form that was asked for; the message says what is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(String);

impl Malformed {
    fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Malformed>;
