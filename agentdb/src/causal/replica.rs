//! Names of devices and of their writes.

use std::fmt;

/// A replica of the store: a device, and which life of its file.
///
/// The number is unique among all devices that ever sync with one another. The incarnation is the store's
/// own business: it is raised when a file may have lost writes that others have seen (it was not closed, or
/// is an older copy), so that no dot is ever used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId {
    number: u64,
    incarnation: u32,
}

impl ReplicaId {
    /// The device with this number, in its first incarnation.
    pub const fn new(number: u64) -> Self {
        Self {
            number,
            incarnation: 0,
        }
    }

    /// The same device in another incarnation.
    #[must_use]
    pub const fn with_incarnation(self, incarnation: u32) -> Self {
        Self {
            number: self.number,
            incarnation,
        }
    }

    /// The device's number.
    pub const fn get(self) -> u64 {
        self.number
    }

    /// Which life of the device's file, counted from 0.
    pub const fn incarnation(self) -> u32 {
        self.incarnation
    }

    /// What [`Display`](fmt::Display) writes.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        let (number, incarnation) = word.split_once('.').unwrap_or((word, "0"));
        Some(Self {
            number: number.parse().ok()?,
            incarnation: incarnation.parse().ok()?,
        })
    }
}

/// `7`, or `7.2` in the second incarnation after the first.
impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.incarnation {
            0 => write!(f, "{}", self.number),
            incarnation => write!(f, "{}.{incarnation}", self.number),
        }
    }
}

/// One write of one replica; counts begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dot {
    /// Who wrote.
    pub replica: ReplicaId,
    /// Its how-manieth write of the document.
    pub count: u64,
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.replica, self.count)
    }
}
