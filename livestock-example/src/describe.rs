//! The words of an alert: `promptopt` picks the tier by what is at stake and what the device can afford.
//!
//! Without a local model the chosen tier's text is the summary itself; with one it would be the prompt.

use std::path::Path;
use std::time::Duration;

use promptopt::{Context, Criticality, Network, Policy, Prompt, PromptSet};
use serde::{Deserialize, Serialize};

use crate::incident::{Incident, IncidentKind};

const BUILT_IN: [(&str, &str); 3] = [
    (
        "built-in prompt_ultra.json",
        include_str!("../prompts/prompt_ultra.json"),
    ),
    (
        "built-in prompt_fast.json",
        include_str!("../prompts/prompt_fast.json"),
    ),
    (
        "built-in prompt_quality.json",
        include_str!("../prompts/prompt_quality.json"),
    ),
];

/// What the device can afford at the moment.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device {
    /// Charge of the battery, 0 to 1; 1 on mains.
    pub battery: f64,
    /// Time that an alert may take.
    pub latency_budget: Duration,
    /// Whether the broker can be reached.
    pub online: bool,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            battery: 1.0,
            latency_budget: Duration::from_secs(1),
            online: false,
        }
    }
}

/// The words and why they are these.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// What a person reads.
    pub text: String,
    /// The tier that was chosen.
    pub tier: String,
    /// Which version of it.
    pub version: u32,
    /// The rule that chose it.
    pub reason: String,
}

/// Chooses the tier and writes the summary.
pub struct Describer {
    prompts: PromptSet,
}

impl Describer {
    /// The tiers of a folder, or the built-in ones.
    ///
    /// # Errors
    /// What `promptopt` says of a file that is missing or broken.
    pub fn open(folder: Option<&Path>) -> promptopt::Result<Self> {
        let prompts = match folder {
            Some(folder) => PromptSet::load_dir(folder)?,
            None => {
                let [ultra, fast, quality] =
                    BUILT_IN.map(|(what, text)| Prompt::from_json(text, what));
                PromptSet::new([ultra?, fast?, quality?], Policy::default())?
            }
        };
        Ok(Self { prompts })
    }

    /// The summary of an incident.
    ///
    /// # Errors
    /// What `promptopt` says when a template asks for an input that there is not.
    pub fn describe(&self, incident: &Incident, device: Device) -> promptopt::Result<Summary> {
        let choice = self.prompts.select(&Context {
            battery: device.battery,
            latency_budget: device.latency_budget,
            criticality: criticality(incident.kind),
            network: if device.online {
                Network::Online
            } else {
                Network::Offline
            },
            ..Context::default()
        });
        let text = choice.render(&[
            ("what", words(incident.kind)),
            ("where", &incident.place),
            ("time", &incident.first.clock()),
        ])?;
        Ok(Summary {
            text,
            tier: choice.tier.name().to_owned(),
            version: choice.prompt.version().get(),
            reason: choice.reason.to_string(),
        })
    }
}

fn criticality(kind: IncidentKind) -> Criticality {
    match kind {
        IncidentKind::PersonInPenAtNight | IncidentKind::AnimalDown => Criticality::High,
        IncidentKind::Crowding => Criticality::Normal,
    }
}

fn words(kind: IncidentKind) -> &'static str {
    match kind {
        IncidentKind::PersonInPenAtNight => "A person in the pen at night",
        IncidentKind::AnimalDown => "An animal lies longer than usual and hardly moves",
        IncidentKind::Crowding => "Too many animals at the trough",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn incident(kind: IncidentKind) -> Incident {
        Incident {
            id: "7f".into(),
            kind,
            place: "pen-1".into(),
            camera: Some("cam-1".into()),
            animal: None,
            first: Timestamp::from_millis(72_000_000),
            last: Timestamp::from_millis(72_001_000),
            events: 3,
        }
    }

    #[test]
    fn what_is_at_stake_and_what_is_left_choose_the_tier() {
        let describer = Describer::open(None).unwrap();
        let tier = |kind, device| describer.describe(&incident(kind), device).unwrap().tier;
        assert_eq!(
            tier(IncidentKind::PersonInPenAtNight, Device::default()),
            "quality"
        );
        assert_eq!(tier(IncidentKind::Crowding, Device::default()), "fast");
        let flat = Device {
            battery: 0.1,
            ..Device::default()
        };
        assert_eq!(tier(IncidentKind::PersonInPenAtNight, flat), "ultra");
    }

    #[test]
    fn the_summary_says_what_where_and_when() {
        let describer = Describer::open(None).unwrap();
        let summary = describer
            .describe(
                &incident(IncidentKind::PersonInPenAtNight),
                Device::default(),
            )
            .unwrap();
        for word in ["person", "pen-1", "20:00:00"] {
            assert!(summary.text.contains(word), "{}", summary.text);
        }
        assert!(summary.reason.contains("criticality"), "{}", summary.reason);
    }
}
