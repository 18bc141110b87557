//! The state of the device at the moment of a choice.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// How much depends on a right answer.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Criticality {
    /// A wrong answer costs nothing.
    Low,
    /// A wrong answer is a nuisance.
    #[default]
    Normal,
    /// A wrong answer costs an animal, a machine or a person.
    High,
}

/// Whether a link to a larger model is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// No link.
    #[default]
    Offline,
    /// A link that works.
    Online,
}

/// What a choice is made from. A value that is not known is NaN or `None`: no rule on it holds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Context {
    /// Charge of the battery, 0 to 1; 1 on mains.
    pub battery: f64,
    /// Time left for the answer.
    pub latency_budget: Duration,
    /// How much depends on it.
    pub criticality: Criticality,
    /// Confidence of the classifier that ran before, 0 to 1.
    pub confidence: Option<f64>,
    /// Whether a link is there.
    pub network: Network,
    /// Load of the processor, 0 to 1.
    pub load: f64,
}

impl Default for Context {
    /// On mains, ten seconds, nothing special, no link, idle.
    fn default() -> Self {
        Self {
            battery: 1.0,
            latency_budget: Duration::from_secs(10),
            criticality: Criticality::default(),
            confidence: None,
            network: Network::default(),
            load: 0.0,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextFile {
    battery: Option<f64>,
    latency_budget_ms: Option<u64>,
    criticality: Option<Criticality>,
    confidence: Option<f64>,
    network: Option<Network>,
    load: Option<f64>,
}

impl Context {
    /// Reads `{"battery": 0.15, "latency_budget_ms": 80, "criticality": "high", "confidence": 0.97,
    /// "network": "offline", "load": 0.4}`; a part that is missing is as in [`Context::default`].
    ///
    /// # Errors
    /// [`Error::Json`] with line and column, for a part with another name too.
    pub fn from_json(text: &str) -> Result<Self> {
        let file: ContextFile = serde_json::from_str(text).map_err(|source| Error::Json {
            what: "context".to_owned(),
            source,
        })?;
        let base = Self::default();
        Ok(Self {
            battery: file.battery.unwrap_or(base.battery),
            latency_budget: file
                .latency_budget_ms
                .map_or(base.latency_budget, Duration::from_millis),
            criticality: file.criticality.unwrap_or_default(),
            confidence: file.confidence,
            network: file.network.unwrap_or_default(),
            load: file.load.unwrap_or(base.load),
        })
    }
}
