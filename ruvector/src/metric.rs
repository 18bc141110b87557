//! How near two vectors are.

/// What is compared. A [`Hit`](crate::Hit)'s score is always "higher is nearer".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Metric {
    /// The cosine of the angle. Score in -1..=1. Vectors are normalised when they come in, and the
    /// stored vector is the normalised one.
    #[default]
    Cosine,
    /// The inner product. Score unbounded.
    Dot,
    /// Squared Euclidean distance. The score is minus the distance, so 0 is best.
    L2,
    /// Number of bits that differ, of vectors that are stored as bits and nothing else. They come in as
    /// bits ([`Index::upsert_bits`](crate::Index::upsert_bits)), or as components that are above 0 where
    /// the bit is set. The score is minus the number, exactly.
    Hamming,
}

impl Metric {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Cosine => 0,
            Self::Dot => 1,
            Self::L2 => 2,
            Self::Hamming => 3,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Cosine,
            1 => Self::Dot,
            2 => Self::L2,
            3 => Self::Hamming,
            _ => return None,
        })
    }

    /// The name in messages and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
            Self::Hamming => "hamming",
        }
    }

    /// The score of an internal distance (lower is nearer).
    pub(crate) fn score(self, distance: f32) -> f32 {
        match self {
            Self::Cosine => (-distance).clamp(-1.0, 1.0),
            Self::Dot | Self::L2 | Self::Hamming => -distance,
        }
    }
}
