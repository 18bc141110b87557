//! What can go wrong with a list.

/// What can go wrong with a list. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListError {
    /// A position is behind the end.
    #[error(
        "position {position} is behind the end of a list of {len} letters; nothing was changed"
    )]
    Position {
        /// The position that was needed.
        position: usize,
        /// The length of the list.
        len: usize,
    },
    /// Something is larger than its limit.
    #[error("{what}: {found}, at most {limit} are allowed; nothing was changed")]
    Limit {
        /// What.
        what: &'static str,
        /// How large it would be.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The bytes are no delta and no list, or damaged ones.
    #[error("bytes refused at offset {offset}: {cause}; ask the sender for them again")]
    Malformed {
        /// Where reading stopped.
        offset: usize,
        /// What is wrong there.
        cause: &'static str,
    },
}

impl From<crate::bytes::Malformed> for ListError {
    fn from(malformed: crate::bytes::Malformed) -> Self {
        Self::Malformed {
            offset: malformed.offset,
            cause: malformed.cause,
        }
    }
}
