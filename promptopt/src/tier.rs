//! The three tiers that a prompt is optimised for.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How much a prompt may cost, cheapest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// A handful of tokens: for a device that runs out of power.
    Ultra,
    /// A short prompt: for a tight latency budget, and where no rule says otherwise.
    Fast,
    /// The most accurate prompt: for what must be right.
    Quality,
}

impl Tier {
    /// All tiers, cheapest first.
    pub const ALL: [Self; 3] = [Self::Ultra, Self::Fast, Self::Quality];

    /// The lower-case name, as in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ultra => "ultra",
            Self::Fast => "fast",
            Self::Quality => "quality",
        }
    }

    /// The file that [`PromptSet::load_dir`](crate::PromptSet::load_dir) reads for this tier.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Ultra => "prompt_ultra.json",
            Self::Fast => "prompt_fast.json",
            Self::Quality => "prompt_quality.json",
        }
    }

    pub(crate) const fn index(self) -> usize {
        match self {
            Self::Ultra => 0,
            Self::Fast => 1,
            Self::Quality => 2,
        }
    }
}

impl fmt::Display for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
