//! The prompts of all tiers in memory, and the choice among them.
//!
//! Choosing takes a read lock, compares a few numbers and clones two reference counts: it allocates
//! nothing. A swap builds the new state aside and puts it in place under the write lock, so a choice
//! sees the old prompt or the new one, never a mixture; choices made before keep theirs.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::bundle::Bundle;
use crate::context::Context;
use crate::error::{Error, Result};
use crate::experiment::{Experiment, ExperimentOptions, ExperimentStatus};
use crate::outcome::{Outcome, OutcomeLog, OutcomeStats};
use crate::policy::{Offload, Policy, Reason};
use crate::prompt::{Prompt, Version};
use crate::sequential::Arm;
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
    experiment: Option<Experiment>,
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
                experiment: None,
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

    /// As [`PromptSet::select`], and where the tier has an experiment, the version is chosen by a stable
    /// hash of `key` (such as a device's or a sensor's id). Allocates nothing.
    pub fn select_keyed(&self, context: &Context, key: &[u8]) -> Choice {
        let (tier, reason) = self.policy.tier(context);
        let slots = self.read();
        let slot = &slots[tier.index()];
        let (prompt, propensity) = match &slot.experiment {
            Some(experiment) => match experiment.assign(key) {
                (Arm::Candidate, share) => (Arc::clone(&experiment.candidate), share),
                (Arm::Running, share) => (Arc::clone(&slot.running), share),
            },
            None => (Arc::clone(&slot.running), 1.0),
        };
        Choice {
            prompt,
            tier,
            reason,
            offload: self.policy.offload(context),
            propensity,
        }
    }

    /// Puts a newer prompt beside the running one of its tier; outcomes of both then decide whether it is
    /// taken back. An earlier experiment of the tier ends.
    ///
    /// # Errors
    /// As [`PromptSet::swap`], and [`Error::OutOfRange`] for options outside their ranges.
    pub fn start_experiment(&self, candidate: Prompt, options: ExperimentOptions) -> Result<()> {
        let mut slots = self.write();
        let slot = &mut slots[candidate.tier().index()];
        newer_with_same_inputs(&candidate, &slot.running)?;
        slot.experiment = Some(Experiment::new(candidate, slot.running.version(), options)?);
        Ok(())
    }

    /// State of a tier's experiment; it stays after a rollback until it is ended.
    pub fn experiment(&self, tier: Tier) -> Option<ExperimentStatus> {
        self.read()[tier.index()]
            .experiment
            .as_ref()
            .map(Experiment::status)
    }

    /// Ends a tier's experiment. Where the new version is to be promoted and was not taken back it is
    /// swapped in; otherwise the running version stays. Gives the version that runs then.
    pub fn end_experiment(&self, tier: Tier, end: ExperimentEnd) -> Version {
        let mut slots = self.write();
        let slot = &mut slots[tier.index()];
        if let Some(experiment) = slot.experiment.take()
            && end == ExperimentEnd::Promote
            && !experiment.rolled_back()
        {
            slot.earlier = Some(std::mem::replace(&mut slot.running, experiment.candidate));
        }
        slot.running.version()
    }

    /// Swaps in every prompt of a bundle, all at once or none.
    ///
    /// # Errors
    /// As [`PromptSet::swap`] for the first prompt that does not go in; all running prompts then stay.
    pub fn import(&self, bundle: &Bundle) -> Result<()> {
        let mut slots = self.write();
        for prompt in bundle.prompts() {
            newer_with_same_inputs(prompt, &slots[prompt.tier().index()].running)?;
        }
        for prompt in bundle.prompts() {
            let slot = &mut slots[prompt.tier().index()];
            let replaced = std::mem::replace(&mut slot.running, Arc::new(prompt.clone()));
            slot.earlier = Some(replaced);
            slot.experiment = None;
        }
        Ok(())
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
    /// stays in memory for [`PromptSet::rollback`]. An experiment of the tier ends.
    ///
    /// # Errors
    /// [`Error::StaleVersion`] unless its version is larger, [`Error::InputsDiffer`] when it reads other
    /// inputs than callers give today. The running prompt then stays.
    pub fn swap(&self, prompt: Prompt) -> Result<Arc<Prompt>> {
        let mut slots = self.write();
        let slot = &mut slots[prompt.tier().index()];
        newer_with_same_inputs(&prompt, &slot.running)?;
        let replaced = std::mem::replace(&mut slot.running, Arc::new(prompt));
        slot.earlier = Some(Arc::clone(&replaced));
        slot.experiment = None;
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
        slot.experiment = None;
        Ok(slot.running.version())
    }

    /// Keeps what came of a choice; the log holds the last [`OUTCOMES_MAX`]. Where the tier has an
    /// experiment the outcome counts in it, and a new version that proves worse is taken back here.
    pub fn record(&self, outcome: Outcome) {
        if let Some(experiment) = &mut self.write()[outcome.choice.tier.index()].experiment {
            experiment.record(&outcome);
        }
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

/// What becomes of the new version when its experiment ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExperimentEnd {
    /// It runs from now on, unless it was taken back.
    Promote,
    /// It goes.
    Discard,
}

fn newer_with_same_inputs(prompt: &Prompt, running: &Prompt) -> Result<()> {
    if prompt.version() <= running.version() {
        return Err(Error::StaleVersion {
            tier: prompt.tier(),
            running: running.version().get(),
            offered: prompt.version().get(),
        });
    }
    same_inputs(prompt, running)
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
