//! Which plans go on: successive halving a tier, with proposals from a Parzen estimator.

use std::collections::HashSet;

use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::data::Example;
use super::effects::{Tried, smoothed};
use super::evaluate::{Evaluator, Probe};
use super::optimizer::{Observer, Progress};
use super::propose::Proposer;
use super::reader::{Reader, Reading};
use super::recipe::{Draft, Glue, Recipe};
use super::space::{Plan, Space};
use super::tpe::Tpe;
use super::variants::Round;
use crate::error::{Error, Result};
use crate::model::{LanguageModel, Row};
use crate::template::Template;

/// Fewest examples that a plan is first tried on.
pub(crate) const FIRST_EXAMPLES_MIN: usize = 4;
/// Most examples that a plan is first tried on: more tells little more about a bad plan.
const FIRST_EXAMPLES_MAX: usize = 40;
/// Share of the search's calls that the first trials get.
pub(crate) const FIRST_SHARE: f64 = 0.45;
/// Plans a tier that go on, and the share of the calls left that they get.
const RUNGS: [(usize, f64); 3] = [(8, 0.35), (3, 0.4), (2, 0.6)];
/// Share of the calls left after a rung that variants of the best may take, at least.
const VARIANTS_SHARE: f64 = 0.3;
/// Share of the search's calls that is kept for settling, where so many are of use: with few examples behind
/// it, neither the choice of a prompt nor its rule can be relied on.
const SETTLING_SHARE: f64 = 0.35;
/// Prompts a tier that are settled.
const SETTLED: usize = 2;
/// Share of the plans that the estimator proposes.
const PROPOSED_SHARE: f64 = 0.4;
/// Draws in a row that bring nothing new before the space counts as used up.
const STALE_DRAWS_MAX: usize = 2000;
/// Such draws before it is the next tier's turn.
const STALE_TURN: usize = 100;
/// Fewest plans that make a search.
const CANDIDATES_MIN: usize = 12;

/// A plan with its prompt and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) plan: Plan,
    /// What it is made of; none where a phrase was cut out of the template.
    pub(crate) recipe: Option<Recipe>,
    pub(crate) about: String,
    pub(crate) glue: Glue,
    pub(crate) probe: Probe,
    /// Of the template without inputs, of the longest thought and what stands behind it.
    pub(crate) tokens: usize,
    /// What the model gave for the first validation examples.
    pub(crate) rows: Vec<Row>,
    pub(crate) reading: Option<Reading>,
}

impl Candidate {
    /// What the comparison of candidates is by; minus infinity before anything is known.
    pub(crate) fn merit(&self) -> f64 {
        let reading = self.reading.as_ref();
        reading.map_or(f64::NEG_INFINITY, Reading::merit)
    }

    /// How far the merit is above another prompt's, beyond the standard error of their difference.
    fn lead_over(&self, other: &Self) -> f64 {
        match (&self.reading, &other.reading) {
            (Some(held), Some(other)) => held.merit() - other.merit() - held.error_beside(other),
            _ => f64::NEG_INFINITY,
        }
    }

    /// Share of right answers to validation examples.
    pub(crate) fn accuracy(&self) -> f64 {
        let reading = self.reading.as_ref();
        reading.map_or(0.0, |reading| reading.accuracy)
    }

    /// Calls that it takes to bring it to the first `goal` validation examples.
    pub(crate) fn missing(&self, goal: usize) -> usize {
        goal.saturating_sub(self.rows.len()) * self.probe.calls_each()
    }

    /// What no two candidates have in common.
    fn key(&self) -> (String, usize) {
        let thought = self.probe.thought.as_ref();
        (
            self.probe.template.source().to_owned(),
            thought.map_or(0, |thought| thought.tokens_max()),
        )
    }
}

/// Most validation examples that one of them was asked.
fn furthest(candidates: &[Candidate]) -> usize {
    candidates.iter().map(|c| c.rows.len()).max().unwrap_or(0)
}

/// What the smoothing of merits needs to know.
fn tried(candidates: &[Candidate]) -> Vec<Tried> {
    let known = |candidate: &Candidate| Tried {
        plan: candidate.plan,
        merit: candidate.merit(),
        examples: candidate.rows.len(),
        variance: candidate.reading.as_ref().map_or(0.0, Reading::variance),
        expectation: candidate.reading.as_ref().map_or(0.0, |r| r.expectation),
    };
    candidates.iter().map(known).collect()
}

/// The state of one search.
pub(crate) struct Search<'a> {
    pub(crate) model: &'a dyn LanguageModel,
    pub(crate) space: &'a Space<'a>,
    pub(crate) reader: &'a Reader<'a>,
    pub(crate) validation: &'a [&'a Example],
    pub(crate) caps: [usize; 3],
    pub(crate) seed: u64,
    pub(crate) train: &'a [Example],
    pub(crate) proposers: &'a [&'a dyn Proposer],
}

impl Search<'_> {
    /// Tries `count` plans within the calls that the evaluator has left above `reserve`, fewer where the
    /// calls or the space do not suffice; gives all, the naive one first.
    pub(crate) fn run(
        &self,
        count: usize,
        reserve: usize,
        evaluator: &mut Evaluator<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Candidate>> {
        let available = evaluator.left().saturating_sub(reserve);
        let settled = 1 + self.caps.len();
        let settled_examples =
            ((available as f64 * SETTLING_SHARE) as usize / settled).min(self.validation.len());
        let settling = settled * settled_examples;
        let first = ((available as f64 * FIRST_SHARE / count as f64) as usize)
            .clamp(FIRST_EXAMPLES_MIN, FIRST_EXAMPLES_MAX)
            .min(self.validation.len());
        let count = count.min((available - settling) / first.max(1));
        if count < CANDIDATES_MIN {
            return Err(Error::Budget {
                calls: evaluator.calls() + evaluator.left(),
                needed: reserve + settling + first * CANDIDATES_MIN,
            });
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut seen = HashSet::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        let drawn = count - (count as f64 * PROPOSED_SHARE) as usize;
        let mut stale = 0;
        // What was learnt for a tier, until there are more candidates to learn from.
        let mut learnt: Option<((usize, usize), Tpe)> = None;
        while candidates.len() < count && stale < STALE_DRAWS_MAX {
            // Proposals are for the tiers in turn; one that has no more plans gives its turn up.
            let tier = (candidates.len() + stale / STALE_TURN) % self.caps.len();
            let (plan, cap) = if candidates.is_empty() {
                (self.space.naive(), usize::MAX)
            } else if candidates.len() < drawn {
                (self.space.draw(&mut random), self.caps[self.caps.len() - 1])
            } else {
                let state = (candidates.len(), tier);
                let (_, tpe) = match learnt.take() {
                    Some(held) if held.0 == state => learnt.insert(held),
                    _ => learnt.insert((state, self.estimator(&candidates, tier))),
                };
                (tpe.propose(&mut random), self.caps[tier])
            };
            let mut candidate = self.candidate(plan, self.space.recipe(&plan))?;
            let wanted = candidate.tokens <= cap;
            // A plan that thinks takes twice the calls; those of the plans to come are kept for them.
            let others = first * (count - candidates.len() - 1);
            let affordable = first * candidate.probe.calls_each() + others + settling
                <= evaluator.left().saturating_sub(reserve);
            if !wanted || !affordable || !seen.insert(candidate.key()) {
                stale += 1;
                continue;
            }
            stale = 0;
            self.extend(&mut candidate, first, evaluator)?;
            candidates.push(candidate);
            let stage = if candidates.len() <= drawn {
                "drawing"
            } else {
                "proposing"
            };
            self.tell(stage, &candidates, evaluator, observer);
        }
        // Beyond what settling will take: what the rungs ask the best prompts need not be asked again.
        let unkept = |candidates: &[Candidate], evaluator: &Evaluator<'_>| {
            let chosen = self.chosen(candidates, 1).into_iter();
            let settling: usize = chosen
                .map(|at| candidates[at].missing(settled_examples))
                .sum();
            evaluator.left().saturating_sub(reserve + settling)
        };
        for (rung, (keep, share)) in RUNGS.into_iter().enumerate() {
            let spare = unkept(&candidates, evaluator) as f64 * share;
            let (chosen, more) = self.rung(&candidates, keep, spare as usize);
            let reached = chosen
                .iter()
                .map(|at| candidates[*at].rows.len())
                .max()
                .unwrap_or(0);
            let goal = (reached + more).min(self.validation.len());
            for at in chosen {
                // Counted out here: a rung may bring some candidates further than others.
                let missing = candidates[at].missing(goal);
                if missing <= unkept(&candidates, evaluator) {
                    self.extend(&mut candidates[at], goal, evaluator)?;
                }
                self.tell("narrowing", &candidates, evaluator, observer);
            }
            if rung + 1 < RUNGS.len() {
                let goal = furthest(&candidates);
                let available = unkept(&candidates, evaluator);
                // What the later rungs cannot use is the variants' too.
                let later: usize = self
                    .chosen(&candidates, RUNGS[rung + 1].0)
                    .into_iter()
                    .map(|at| candidates[at].missing(self.validation.len()))
                    .sum();
                let share = (available as f64 * VARIANTS_SHARE) as usize;
                let budget = share.max(available.saturating_sub(later));
                let round = if rung == 0 {
                    Round::First
                } else {
                    Round::Later
                };
                let variants = self.variants(&candidates, round, goal, budget, evaluator)?;
                for mut variant in variants {
                    if variant.tokens <= self.caps[2]
                        && variant.missing(goal) <= unkept(&candidates, evaluator)
                        && seen.insert(variant.key())
                    {
                        self.extend(&mut variant, goal, evaluator)?;
                        candidates.push(variant);
                        self.tell("varying", &candidates, evaluator, observer);
                    }
                }
            }
        }
        Ok(candidates)
    }

    /// Asks the best prompts of each tier and the naive one for all validation examples that the calls above
    /// `reserve` allow, which makes the choice among them surer and their rules better; `reserve` is told how
    /// many prompts may be tested beside the naive one, and how many of those think.
    pub(crate) fn settle(
        &self,
        candidates: &mut [Candidate],
        reserve: impl Fn(usize, usize) -> usize,
        evaluator: &mut Evaluator<'_>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let chosen = self.chosen(candidates, SETTLED);
        let thinks = |at: &&usize| candidates[**at].probe.thought.is_some();
        let thinkers = chosen.iter().filter(thinks).count().min(1);
        let reserve = reserve((chosen.len() - 1).min(self.caps.len()), thinkers);
        let spare = evaluator.left().saturating_sub(reserve);
        let missing = |goal: usize| -> usize {
            let each = chosen.iter().map(|at| candidates[*at].missing(goal));
            each.sum()
        };
        let Some(goal) = (0..=self.validation.len())
            .rev()
            .find(|goal| missing(*goal) <= spare)
        else {
            return Ok(());
        };
        for at in chosen {
            self.extend(&mut candidates[at], goal, evaluator)?;
            self.tell("settling", candidates, evaluator, observer);
        }
        Ok(())
    }

    /// Who goes on to the next rung, and with how many more examples each: the best `keep` of each tier, fewer
    /// where `spare` calls would not double the examples that they are known by.
    fn rung(&self, candidates: &[Candidate], keep: usize, spare: usize) -> (Vec<usize>, usize) {
        let examples = furthest(candidates);
        let mut keep = keep;
        loop {
            let chosen = self.chosen(candidates, keep);
            let more = spare / chosen.len().max(1);
            if more >= examples || keep == 1 {
                return (chosen, more);
            }
            keep -= 1;
        }
    }

    /// The prompt of a tier, of those compared to the end that fit it: the one whose merit is furthest above the
    /// naive prompt's beyond the standard error of their difference on the same examples; the naive one itself,
    /// where it fits and none is. The shortest of all where none of them fits.
    pub(crate) fn winner<'c>(&self, candidates: &'c [Candidate], tier: usize) -> &'c Candidate {
        let naive = &candidates[0];
        let compared = self.chosen(candidates, SETTLED);
        let compared: Vec<&Candidate> = compared.into_iter().map(|at| &candidates[at]).collect();
        let furthest = compared.iter().map(|held| held.rows.len()).max();
        compared
            .into_iter()
            .filter(|held| Some(held.rows.len()) == furthest && self.fits(held, tier))
            // Of equal ones the last is taken: the naive prompt, which is the first of all.
            .rev()
            .max_by(|a, b| a.lead_over(naive).total_cmp(&b.lead_over(naive)))
            .or_else(|| {
                candidates
                    .iter()
                    .filter(|candidate| candidate.probe.thought.is_none())
                    .min_by_key(|candidate| candidate.tokens)
            })
            .unwrap_or(naive)
    }

    /// Positions of the best `keep` of each tier, and of the naive prompt.
    pub(crate) fn chosen(&self, candidates: &[Candidate], keep: usize) -> Vec<usize> {
        let merits = smoothed(&tried(candidates));
        let most = |at: &usize| candidates[*at].rows.len();
        let mut chosen = vec![0];
        for tier in 0..self.caps.len() {
            let fitting: Vec<usize> = (0..candidates.len())
                .filter(|at| self.fits(&candidates[*at], tier))
                .collect();
            // Those that came furthest are compared; the others lost before.
            let furthest = fitting.iter().map(most).max().unwrap_or(0);
            let mut compared: Vec<usize> = fitting
                .into_iter()
                .filter(|at| most(at) == furthest)
                .collect();
            compared.sort_by(|a, b| merits[*b].total_cmp(&merits[*a]));
            chosen.extend(compared.into_iter().take(keep));
        }
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    /// Whether a candidate may serve a tier: short enough, and only the last tier takes the time to think.
    pub(crate) fn fits(&self, candidate: &Candidate, tier: usize) -> bool {
        let last = tier + 1 == self.caps.len();
        candidate.tokens <= self.caps[tier] && (last || candidate.probe.thought.is_none())
    }

    /// What tells the best of those that fit a tier from its others.
    fn estimator(&self, candidates: &[Candidate], tier: usize) -> Tpe {
        let merits = smoothed(&tried(candidates)).into_iter();
        let losses: Vec<(Plan, f64)> = candidates
            .iter()
            .zip(merits)
            .filter(|(candidate, _)| self.fits(candidate, tier))
            .map(|(candidate, merit)| (candidate.plan, -merit))
            .collect();
        Tpe::new(self.space.sizes(), &losses)
    }

    /// The candidate that a recipe makes; `plan` is what it descends from.
    pub(crate) fn candidate(&self, plan: Plan, recipe: Recipe) -> Result<Candidate> {
        let draft = self.space.draft(&recipe)?;
        let about = recipe.about();
        self.drafted(plan, Some(recipe), about, draft)
    }

    pub(crate) fn drafted(
        &self,
        plan: Plan,
        recipe: Option<Recipe>,
        about: String,
        draft: Draft,
    ) -> Result<Candidate> {
        let template = Template::parse(&draft.template)?;
        let mut tokens = self.model.count_tokens(&template.literal_text())?;
        if let Some(thought) = &draft.thought {
            tokens += thought.tokens_max() + self.model.count_tokens(thought.then())?;
        }
        let probe = Probe {
            template,
            thought: draft.thought,
            reply: self.reader.reply(draft.glue),
        };
        Ok(Candidate {
            plan,
            recipe,
            about,
            glue: draft.glue,
            probe,
            tokens,
            rows: Vec::new(),
            reading: None,
        })
    }

    /// Asks the candidate for the first `goal` validation examples and reads it anew.
    fn extend(
        &self,
        candidate: &mut Candidate,
        goal: usize,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<()> {
        let known = candidate.rows.len();
        if goal > known {
            let more = evaluator.ask(&candidate.probe, &self.validation[known..goal])?;
            candidate.rows.extend(more);
        }
        candidate.reading = self.reader.reading(candidate.glue, &candidate.rows);
        Ok(())
    }

    fn tell(
        &self,
        stage: &'static str,
        candidates: &[Candidate],
        evaluator: &Evaluator<'_>,
        observer: &mut dyn Observer,
    ) {
        let furthest = furthest(candidates);
        let best = candidates
            .iter()
            .filter(|c| c.rows.len() == furthest)
            .filter_map(|c| c.reading.as_ref().map(|reading| reading.metric))
            .fold(0.0, f64::max);
        observer.progress(&Progress {
            stage,
            candidates: candidates.len(),
            calls: evaluator.calls(),
            calls_max: evaluator.calls() + evaluator.left(),
            best_metric: best,
        });
    }
}
