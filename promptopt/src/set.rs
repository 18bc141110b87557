//! The prompts of all tiers in memory, and the choice among them.
//!
//! Choosing takes a read lock, compares a few numbers and clones two reference counts: it allocates
//! nothing. A swap builds the new state aside and puts it in place under the write lock, so a choice
//! sees the old prompt or the new one, never a mixture; choices made before keep theirs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::context::Context;
use crate::error::{Error, Result};
use crate::outcome::{Outcome, OutcomeLog, OutcomeStats};
use crate::policy::{Offload, Policy, Reason};
use crate::prompt::{Prompt, Version};
use crate::tier::Tier;

/// Most outcomes that are kept; the oldest is dropped, and counted, when there is one more.
pub const OUTCOMES_MAX: usize = 1024;

/// A chosen prompt, why it was chosen, and how likely it was.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Choice {
    /// The prompt; it stays as it is when the set is swapped later.
    pub prompt: Arc<Prompt>,
    /// The tier that the policy chose.
    pub tier: Tier,
    /// The rule that chose the tier.
    pub reason: Reason,
    /// Whether a larger model on the network may be asked instead.
    pub offload: Offload,
    /// Probability with which this version was chosen within its tier, 0 to 1.
    pub propensity: f64,
}

impl Choice {
    /// The prompt's text with the inputs (name, value) in place.
    ///
    /// # Errors
    /// As [`Template::render`](crate::Template::render).
    pub fn render(&self, inputs: &[(&str, &str)]) -> Result<String> {
        self.prompt.template().render(inputs)
    }
}

#[derive(Debug)]
struct Slot {
    running: Arc<Prompt>,
    earlier: Option<Arc<Prompt>>,
}

/// The three tiers, the policy and the outcome log. Shared between threads by reference.
#[derive(Debug)]
pub struct PromptSet {
    slots: RwLock<[Slot; 3]>,
    policy: Policy,
    outcomes: Mutex<OutcomeLog>,
}

impl PromptSet {
    /// Reads `prompt_ultra.json`, `prompt_fast.json` and `prompt_quality.json`, and `policy.json` where
    /// there is one (the default policy where there is none).
    ///
    /// # Errors
    /// Those of [`Prompt::load`] for each file, [`Error::WrongTier`] when a file holds another tier than
    /// its name says, [`Error::InputsDiffer`] when the tiers do not read the same inputs, those of
    /// [`Policy::from_json`].
    pub fn load_dir(dir: impl AsRef<Path>) -> Result<Self> {
        let dir = dir.as_ref();
        let load = |tier: Tier| {
            let path = dir.join(tier.file_name());
            let prompt = Prompt::load(&path)?;
            if prompt.tier() != tier {
                return Err(Error::WrongTier {
                    what: path.display().to_string(),
                    found: prompt.tier(),
                    expected: tier,
                });
            }
            Ok(prompt)
        };
        let prompts = [load(Tier::Ultra)?, load(Tier::Fast)?, load(Tier::Quality)?];
        let path = dir.join("policy.json");
        let policy = if path.exists() {
            Policy::from_json(&crate::prompt::read_text(
                &path,
                crate::prompt::PROMPT_FILE_BYTES_MAX,
            )?)?
        } else {
            Policy::default()
        };
        Self::new(prompts, policy)
    }

    /// A set of one prompt a tier, in any order.
    ///
    /// # Errors
    /// [`Error::WrongTier`] when a tier is there twice, [`Error::InputsDiffer`] when the tiers do not
    /// read the same inputs.
    pub fn new(mut prompts: [Prompt; 3], policy: Policy) -> Result<Self> {
        prompts.sort_by_key(Prompt::tier);
        for (prompt, expected) in prompts.iter().zip(Tier::ALL) {
            if prompt.tier() != expected {
                return Err(Error::WrongTier {
                    what: "the set".to_owned(),
                    found: prompt.tier(),
                    expected,
                });
            }
            same_inputs(prompt, &prompts[0])?;
        }
        Ok(Self {
            slots: RwLock::new(prompts.map(|prompt| Slot {
                running: Arc::new(prompt),
                earlier: None,
            })),
            policy,
            outcomes: Mutex::new(OutcomeLog::new(OUTCOMES_MAX)),
        })
    }

    /// The prompt for a context. Allocates nothing; linear in the policy's rules.
    pub fn select(&self, context: &Context) -> Choice {
        let (tier, reason) = self.policy.tier(context);
        let prompt = Arc::clone(&self.read()[tier.index()].running);
        Choice {
            prompt,
            tier,
            reason,
            offload: self.policy.offload(context),
            propensity: 1.0,
        }
    }

    /// The policy in use.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The prompt that a tier runs now.
    pub fn running(&self, tier: Tier) -> Arc<Prompt> {
        Arc::clone(&self.read()[tier.index()].running)
    }

    /// Puts a newer prompt in its tier's place at once and gives back the one that it replaced, which
    /// stays in memory for [`PromptSet::rollback`].
    ///
    /// # Errors
    /// [`Error::StaleVersion`] unless its version is larger, [`Error::InputsDiffer`] when it reads other
    /// inputs than callers give today. The running prompt then stays.
    pub fn swap(&self, prompt: Prompt) -> Result<Arc<Prompt>> {
        let mut slots = self.write();
        let slot = &mut slots[prompt.tier().index()];
        if prompt.version() <= slot.running.version() {
            return Err(Error::StaleVersion {
                tier: prompt.tier(),
                running: slot.running.version().get(),
                offered: prompt.version().get(),
            });
        }
        same_inputs(&prompt, &slot.running)?;
        let replaced = std::mem::replace(&mut slot.running, Arc::new(prompt));
        slot.earlier = Some(Arc::clone(&replaced));
        Ok(replaced)
    }

    /// Goes back to the prompt that the last swap replaced and gives its version.
    ///
    /// # Errors
    /// [`Error::NoEarlierVersion`] when the tier was not swapped, or already rolled back.
    pub fn rollback(&self, tier: Tier) -> Result<Version> {
        let mut slots = self.write();
        let slot = &mut slots[tier.index()];
        let earlier = slot
            .earlier
            .take()
            .ok_or(Error::NoEarlierVersion { tier })?;
        slot.running = earlier;
        Ok(slot.running.version())
    }

    /// Keeps what came of a choice; the log holds the last [`OUTCOMES_MAX`].
    pub fn record(&self, outcome: Outcome) {
        self.log().push(outcome);
    }

    /// Takes all outcomes out of the log, oldest first.
    pub fn drain_outcomes(&self) -> Vec<Outcome> {
        self.log().drain()
    }

    /// Counters of the log; they add up: `recorded = dropped + drained + held`.
    pub fn outcome_stats(&self) -> OutcomeStats {
        self.log().stats()
    }

    // A panic elsewhere cannot leave a slot half written: every write is one move. So poison is no reason to fail.
    fn read(&self) -> RwLockReadGuard<'_, [Slot; 3]> {
        self.slots.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, [Slot; 3]> {
        self.slots.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self) -> MutexGuard<'_, OutcomeLog> {
        self.outcomes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn same_inputs(prompt: &Prompt, running: &Prompt) -> Result<()> {
    let found = prompt.template().inputs();
    let expected = running.template().inputs();
    if found == expected {
        return Ok(());
    }
    Err(Error::InputsDiffer {
        tier: prompt.tier(),
        version: prompt.version().get(),
        found: found.join(", "),
        expected: expected.join(", "),
    })
}
