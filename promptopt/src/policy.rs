//! The rules that map a context to a tier: data, tried in order, the first that holds wins.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::context::{Context, Criticality, Network};
use crate::error::{Error, Result};
use crate::tier::Tier;

/// Most rules in a policy.
pub const POLICY_RULES_MAX: usize = 64;

/// What must hold for a rule; every part that is given must hold. Empty: always.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Condition {
    /// Battery charge under this (0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub battery_below: Option<f64>,
    /// Latency budget under this many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_budget_below_ms: Option<u64>,
    /// Criticality of this or higher.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criticality_at_least: Option<Criticality>,
    /// The classifier's confidence over this (0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_above: Option<f64>,
    /// The classifier's confidence under this (0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_below: Option<f64>,
    /// The link is in this state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<Network>,
    /// Processor load over this (0 to 1).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load_above: Option<f64>,
}

impl Condition {
    /// Whether every given part holds. A value that is not known (NaN, `None`) holds for none.
    pub fn holds(&self, context: &Context) -> bool {
        let confidence = context.confidence.unwrap_or(f64::NAN);
        self.battery_below
            .is_none_or(|limit| context.battery < limit)
            && self
                .latency_budget_below_ms
                .is_none_or(|limit| context.latency_budget < Duration::from_millis(limit))
            && self
                .criticality_at_least
                .is_none_or(|limit| context.criticality >= limit)
            && self.confidence_above.is_none_or(|limit| confidence > limit)
            && self.confidence_below.is_none_or(|limit| confidence < limit)
            && self.network.is_none_or(|state| context.network == state)
            && self.load_above.is_none_or(|limit| context.load > limit)
    }

    fn validate(&self) -> Result<()> {
        let shares = [
            ("battery_below", self.battery_below),
            ("confidence_above", self.confidence_above),
            ("confidence_below", self.confidence_below),
            ("load_above", self.load_above),
        ];
        for (what, share) in shares {
            if let Some(found) = share
                && !(0.0..=1.0).contains(&found)
            {
                return Err(Error::OutOfRange {
                    what,
                    found,
                    expected: "0 to 1",
                });
            }
        }
        Ok(())
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        let mut part = |f: &mut fmt::Formatter<'_>, text: fmt::Arguments<'_>| {
            let result = write!(f, "{separator}{text}");
            separator = " and ";
            result
        };
        if let Some(limit) = self.battery_below {
            part(f, format_args!("battery < {limit}"))?;
        }
        if let Some(limit) = self.latency_budget_below_ms {
            part(f, format_args!("latency budget < {limit} ms"))?;
        }
        if let Some(limit) = self.criticality_at_least {
            let name = match limit {
                Criticality::Low => "low",
                Criticality::Normal => "normal",
                Criticality::High => "high",
            };
            part(f, format_args!("criticality >= {name}"))?;
        }
        if let Some(limit) = self.confidence_above {
            part(f, format_args!("confidence > {limit}"))?;
        }
        if let Some(limit) = self.confidence_below {
            part(f, format_args!("confidence < {limit}"))?;
        }
        if let Some(state) = self.network {
            let name = match state {
                Network::Offline => "offline",
                Network::Online => "online",
            };
            part(f, format_args!("network {name}"))?;
        }
        if let Some(limit) = self.load_above {
            part(f, format_args!("load > {limit}"))?;
        }
        if separator.is_empty() {
            f.write_str("always")
        } else {
            Ok(())
        }
    }
}

/// One rule: a name for the log, a condition and the tier that it chooses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name that [`Reason`] reports.
    pub name: String,
    /// When it applies.
    pub when: Condition,
    /// The tier that it chooses.
    #[serde(rename = "use")]
    pub tier: Tier,
}

/// Why a tier was chosen: the first rule that held.
#[derive(Clone, Debug)]
pub struct Reason(Arc<Rule>);

impl Reason {
    /// Name of the rule that won.
    pub fn rule(&self) -> &str {
        &self.0.name
    }

    /// The condition that held.
    pub fn condition(&self) -> &Condition {
        &self.0.when
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.name, self.0.when)
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyFile {
    rules: Vec<Rule>,
    otherwise: Tier,
    #[serde(default)]
    offload_when: Option<Condition>,
}

/// Rules in the order in which they are tried.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Arc<Rule>>,
    otherwise: Arc<Rule>,
    offload_when: Option<Condition>,
}

impl Policy {
    /// A policy of `rules` in order, `otherwise` where none holds; a larger model on the network
    /// may be asked when `offload_when` holds (never, when `None`).
    ///
    /// # Errors
    /// [`Error::Limit`] over [`POLICY_RULES_MAX`] rules, [`Error::OutOfRange`] for a share outside 0 to 1.
    pub fn new(rules: Vec<Rule>, otherwise: Tier, offload_when: Option<Condition>) -> Result<Self> {
        if rules.len() > POLICY_RULES_MAX {
            return Err(Error::Limit {
                what: "number of rules",
                found: rules.len(),
                limit: POLICY_RULES_MAX,
            });
        }
        for condition in rules.iter().map(|rule| &rule.when).chain(&offload_when) {
            condition.validate()?;
        }
        let otherwise = Rule {
            name: "otherwise".to_owned(),
            when: Condition::default(),
            tier: otherwise,
        };
        Ok(Self {
            rules: rules.into_iter().map(Arc::new).collect(),
            otherwise: Arc::new(otherwise),
            offload_when,
        })
    }

    /// Reads the JSON form, as in [`Policy::to_json`].
    ///
    /// # Errors
    /// [`Error::Json`] with line and column; the errors of [`Policy::new`].
    pub fn from_json(text: &str) -> Result<Self> {
        let file: PolicyFile = serde_json::from_str(text).map_err(|source| Error::Json {
            what: "policy".to_owned(),
            source,
        })?;
        Self::new(file.rules, file.otherwise, file.offload_when)
    }

    /// The policy as indented JSON, for a user to change.
    ///
    /// # Errors
    /// [`Error::Json`], which no valid policy gives.
    pub fn to_json(&self) -> Result<String> {
        let file = PolicyFile {
            rules: self.rules.iter().map(|rule| (**rule).clone()).collect(),
            otherwise: self.otherwise.tier,
            offload_when: self.offload_when.clone(),
        };
        serde_json::to_string_pretty(&file).map_err(|source| Error::Json {
            what: "policy".to_owned(),
            source,
        })
    }

    /// The tier for a context and the rule that chose it. No allocation; linear in the rules.
    pub fn tier(&self, context: &Context) -> (Tier, Reason) {
        let rule = self
            .rules
            .iter()
            .find(|rule| rule.when.holds(context))
            .unwrap_or(&self.otherwise);
        (rule.tier, Reason(Arc::clone(rule)))
    }

    /// Whether a larger model on the network may be asked instead.
    pub fn offload(&self, context: &Context) -> Offload {
        match &self.offload_when {
            Some(condition) if condition.holds(context) => Offload::Allowed,
            _ => Offload::Denied,
        }
    }

    /// The rules in the order in which they are tried.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter().map(|rule| &**rule)
    }
}

/// Whether a larger model on the network may be asked instead of the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Offload {
    /// It may.
    Allowed,
    /// It may not.
    Denied,
}

impl Default for Policy {
    /// What cannot be had comes first (power, then time), then what is at stake, then what is known:
    ///
    /// | rule | when | tier |
    /// |---|---|---|
    /// | `battery-low` | battery < 20 % | ultra |
    /// | `latency-tight` | latency budget < 100 ms | fast |
    /// | `criticality-high` | criticality high | quality |
    /// | `confidence-high` | the classifier's confidence > 95 % | ultra |
    /// | `confidence-low` | the classifier's confidence < 80 % | quality |
    /// | `otherwise` | always (so also confidence 80 to 95 %) | fast |
    ///
    /// Offload is allowed when the network is online.
    fn default() -> Self {
        let rule = |name: &str, when: Condition, tier| {
            Arc::new(Rule {
                name: name.to_owned(),
                when,
                tier,
            })
        };
        let none = Condition::default;
        Self {
            rules: vec![
                rule(
                    "battery-low",
                    Condition {
                        battery_below: Some(0.2),
                        ..none()
                    },
                    Tier::Ultra,
                ),
                rule(
                    "latency-tight",
                    Condition {
                        latency_budget_below_ms: Some(100),
                        ..none()
                    },
                    Tier::Fast,
                ),
                rule(
                    "criticality-high",
                    Condition {
                        criticality_at_least: Some(Criticality::High),
                        ..none()
                    },
                    Tier::Quality,
                ),
                rule(
                    "confidence-high",
                    Condition {
                        confidence_above: Some(0.95),
                        ..none()
                    },
                    Tier::Ultra,
                ),
                rule(
                    "confidence-low",
                    Condition {
                        confidence_below: Some(0.8),
                        ..none()
                    },
                    Tier::Quality,
                ),
            ],
            otherwise: rule("otherwise", none(), Tier::Fast),
            offload_when: Some(Condition {
                network: Some(Network::Online),
                ..none()
            }),
        }
    }
}
