//! What handing out an action takes: a link, a place, a part of the budget, an urgency.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::site::Site;
use crate::definition::{Gpu, Offline, Priority, ResourcesDef, StepDef};
use crate::error::Result;

/// Below this latency a step belongs on the device itself.
const FAR_BELOW: Duration = Duration::from_millis(10);
/// Below this latency a step belongs no farther than the gateway.
const MID_BELOW: Duration = Duration::from_millis(50);

/// Where in the hierarchy something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tier {
    /// On the camera, sensor or vehicle.
    Far,
    /// On the gateway of the site.
    Mid,
    /// In the operator's network or the cloud.
    Network,
}

impl Tier {
    /// The farthest tier that answers within `latency`.
    pub fn for_latency(latency: Duration) -> Self {
        if latency < FAR_BELOW {
            Tier::Far
        } else if latency < MID_BELOW {
            Tier::Mid
        } else {
            Tier::Network
        }
    }
}

/// A part of a machine, or what is left of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Resources {
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// GPUs.
    pub gpus: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dispatch {
    pub(crate) requires: Option<Box<str>>,
    pub(crate) offline: Offline,
    pub(crate) tier: Option<Tier>,
    pub(crate) priority: Priority,
    /// Without the GPU, which may be optional.
    pub(crate) need: Resources,
    pub(crate) gpu: Gpu,
}

impl Dispatch {
    pub(super) fn compile(
        step: &StepDef,
        of_workflow: Priority,
        site: &Site,
    ) -> Result<Option<Box<Self>>> {
        let given = step.requires.is_some()
            || step.offline.is_some()
            || step.latency.is_some()
            || step.priority.is_some()
            || step.resources.is_some();
        if given && step.action.is_none() {
            return Err(site.invalid(
                "`requires`, `offline`, `latency`, `priority` and `resources` belong to an action",
            ));
        }
        if step.offline.is_some() && step.requires.is_none() {
            return Err(site.invalid("`offline` needs `requires`, the link that may be down"));
        }
        let answers = step.fallback.is_some() || step.catch.is_some();
        if step.offline == Some(Offline::Fallback) && !answers {
            return Err(site.invalid("`offline: fallback` needs a `fallback` or a `catch`"));
        }
        let offline = match step.offline {
            Some(offline) => offline,
            None if answers => Offline::Fallback,
            None => Offline::Queue,
        };
        let tier = match &step.latency {
            Some(text) => Some(Tier::for_latency(site.span("latency", text)?)),
            None => None,
        };
        let priority = step.priority.unwrap_or(of_workflow);
        let default = ResourcesDef::default();
        let resources = step.resources.as_ref().unwrap_or(&default);
        let dispatch = Dispatch {
            requires: step.requires.as_deref().map(Into::into),
            offline,
            tier,
            priority,
            need: need(resources, site)?,
            gpu: resources.gpu,
        };
        let plain = !given && priority == Priority::Normal;
        Ok((!plain && step.action.is_some()).then(|| Box::new(dispatch)))
    }
}

fn need(resources: &ResourcesDef, site: &Site) -> Result<Resources> {
    let cpu = resources.cpu.unwrap_or(0.0);
    if !(0.0..=4096.0).contains(&cpu) {
        return Err(site.invalid(format!("resources.cpu {cpu} lies between 0 and 4096 cores")));
    }
    let memory_bytes = match &resources.memory {
        Some(text) => parse_bytes(text).ok_or_else(|| {
            site.invalid(format!(
                "resources.memory: `{text}` is no size; write 64KiB, 256MiB or 2GiB"
            ))
        })?,
        None => 0,
    };
    Ok(Resources {
        cpu_milli: (cpu * 1000.0).round() as u32,
        memory_bytes,
        gpus: 0,
    })
}

/// Reads `1024`, `64KiB`, `256MiB`, `2GiB`, and the decimal `KB`, `MB`, `GB`.
fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let count: u64 = text[..digits].parse().ok()?;
    let unit = match text[digits..].trim() {
        "" | "B" => 1,
        "KB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_chooses_the_tier() {
        let tier = |ms| Tier::for_latency(Duration::from_millis(ms));
        assert_eq!(
            [tier(8), tier(10), tier(49), tier(50), tier(2000)],
            [
                Tier::Far,
                Tier::Mid,
                Tier::Mid,
                Tier::Network,
                Tier::Network
            ]
        );
    }

    #[test]
    fn sizes_are_read_in_every_unit() {
        assert_eq!(parse_bytes("256MiB"), Some(256 << 20));
        assert_eq!(parse_bytes("1 GB"), Some(1_000_000_000));
        for text in [
            "",
            "MiB",
            "1.5GiB",
            "-1",
            "1TiB",
            "99999999999999999999",
            "18446744073709551615GiB",
        ] {
            assert_eq!(parse_bytes(text), None, "{text}");
        }
    }
}
