//! The name of a letter inside one list.

/// A letter: the replica that inserted it, as an index into the list's own table, and its number there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Id {
    pub(super) replica: u32,
    pub(super) number: u32,
}

impl Id {
    /// No letter: as a left neighbour the beginning, as a right one the end.
    pub(super) const NONE: Self = Self {
        replica: u32::MAX,
        number: u32::MAX,
    };

    pub(super) const fn new(replica: u32, number: u32) -> Self {
        Self { replica, number }
    }

    pub(super) fn is_none(self) -> bool {
        self.replica == u32::MAX
    }

    /// The letter that its replica inserted so many later.
    pub(super) const fn plus(self, count: u32) -> Self {
        Self {
            replica: self.replica,
            number: self.number.wrapping_add(count),
        }
    }
}
