//! Which plans go on: successive halving a tier, with proposals from a Parzen estimator.

use std::collections::HashSet;

use rand::{SeedableRng, rngs::ChaCha8Rng};

use super::calibrate::{Freedom, Scored, estimate, fit};
use super::compress::{phrases, without};
use super::data::Example;
use super::effects::smoothed;
use super::evaluate::{Evaluator, Probe};
use super::metric::Metric;
use super::optimizer::{Observer, Progress};
use super::propose::{Attempt, Evidence, Proposer};
use super::space::{Draft, Glue, Plan, Space};
use super::tpe::Tpe;
use super::words::Words;
use crate::error::{Error, Result};
use crate::model::LanguageModel;
use crate::template::Template;

/// Fewest examples that a plan is first tried on.
pub(crate) const FIRST_EXAMPLES_MIN: usize = 4;
/// Most examples that a plan is first tried on: more tells little more about a bad plan.
const FIRST_EXAMPLES_MAX: usize = 40;
/// Share of the search's calls that the first trials get.
pub(crate) const FIRST_SHARE: f64 = 0.45;
/// Plans a tier that go on, and the share of the calls left that they get.
const RUNGS: [(usize, f64); 3] = [(8, 0.35), (3, 0.4), (2, 0.6)];
/// Share of the calls left after the first rung that shorter and proposed variants may take.
const VARIANTS_SHARE: f64 = 0.3;
/// Most instructions asked of one proposer.
const PROPOSALS_MAX: usize = 8;
/// Training examples that proposers see answered.
const REFLECTED_EXAMPLES: usize = 24;
/// Share of the plans that the estimator proposes.
const PROPOSED_SHARE: f64 = 0.4;
/// Draws in a row that bring nothing new before the space counts as used up.
const STALE_DRAWS_MAX: usize = 2000;

/// How an answer is read from the scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    pub(crate) set: usize,
    pub(crate) freedom: Freedom,
    pub(crate) loss: f64,
    pub(crate) metric: f64,
    pub(crate) accuracy: f64,
}

/// A plan with its prompt and what is known of it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) plan: Plan,
    pub(crate) about: String,
    pub(crate) glue: Glue,
    pub(crate) probe: Probe,
    pub(crate) tokens: usize,
    pub(crate) scores: Vec<Vec<f64>>,
    pub(crate) reading: Option<Reading>,
}

impl Candidate {
    /// What the comparison of candidates is by: the metric, less a part of the loss, which tells more
    /// than the metric where examples are few.
    pub(crate) fn merit(&self) -> f64 {
        self.reading.map_or(f64::NEG_INFINITY, |reading| {
            reading.metric - 0.5 * reading.loss
        })
    }
}

/// The state of one search.
pub(crate) struct Search<'a> {
    pub(crate) model: &'a dyn LanguageModel,
    pub(crate) space: &'a Space<'a>,
    pub(crate) words: [&'a Words; 2],
    pub(crate) labels: &'a [String],
    pub(crate) validation: &'a [&'a Example],
    pub(crate) truth: &'a [usize],
    pub(crate) caps: [usize; 3],
    pub(crate) metric: &'a Metric,
    pub(crate) seed: u64,
    pub(crate) train: &'a [Example],
    pub(crate) proposers: &'a [&'a dyn Proposer],
}

impl Search<'_> {
    /// Tries `count` plans within the calls that the evaluator has left above `reserve`; gives all,
    /// the naive one first.
    pub(crate) fn run(
        &self,
        count: usize,
        reserve: usize,
        evaluator: &mut Evaluator<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Candidate>> {
        let available = evaluator.left().saturating_sub(reserve);
        let first = ((available as f64 * FIRST_SHARE / count as f64) as usize)
            .clamp(FIRST_EXAMPLES_MIN, FIRST_EXAMPLES_MAX)
            .min(self.validation.len());
        if first * count > available {
            let needed = reserve + first * count * 2;
            return Err(Error::Budget {
                calls: evaluator.calls() + evaluator.left(),
                needed,
            });
        }
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut seen = HashSet::new();
        let mut candidates: Vec<Candidate> = Vec::new();
        let drawn = count - (count as f64 * PROPOSED_SHARE) as usize;
        let mut stale = 0;
        while candidates.len() < count && stale < STALE_DRAWS_MAX {
            let plan = if candidates.is_empty() {
                self.space.naive()
            } else if candidates.len() < drawn {
                self.space.draw(&mut random)
            } else {
                self.propose(&candidates, &mut random)
            };
            let mut candidate = self.candidate(plan)?;
            let wanted = candidates.is_empty() || candidate.tokens <= self.caps[2];
            if !wanted || !seen.insert(candidate.probe.template.source().to_owned()) {
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
        for (rung, (keep, share)) in RUNGS.into_iter().enumerate() {
            let chosen = self.chosen(&candidates, keep);
            let spare = evaluator.left().saturating_sub(reserve) as f64 * share;
            let more = (spare / chosen.len().max(1) as f64) as usize;
            let reached = chosen
                .iter()
                .map(|at| candidates[*at].scores.len())
                .max()
                .unwrap_or(0);
            let goal = (reached + more).min(self.validation.len());
            for at in chosen {
                // Counted out here: a rung may bring some candidates further than others.
                let missing = goal.saturating_sub(candidates[at].scores.len());
                if missing <= evaluator.left().saturating_sub(reserve) {
                    self.extend(&mut candidates[at], goal, evaluator)?;
                }
                self.tell("narrowing", &candidates, evaluator, observer);
            }
            if rung == 0 {
                let goal = candidates.iter().map(|c| c.scores.len()).max().unwrap_or(0);
                let available = evaluator.left().saturating_sub(reserve);
                let budget = (available as f64 * VARIANTS_SHARE) as usize;
                let variants = self.variants(&candidates, goal, budget, evaluator)?;
                for mut variant in variants {
                    if seen.insert(variant.probe.template.source().to_owned())
                        && variant.tokens <= self.caps[2]
                        && goal <= evaluator.left().saturating_sub(reserve)
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

    /// Scores the prompt of each tier and the naive one on all validation examples that the calls above
    /// `reserve` allow, which makes their rules better; `reserve` is told how many of them there are beside
    /// the naive one.
    pub(crate) fn settle(
        &self,
        candidates: &mut [Candidate],
        reserve: impl Fn(usize) -> usize,
        evaluator: &mut Evaluator<'_>,
        observer: &mut dyn Observer,
    ) -> Result<()> {
        let chosen = self.chosen(candidates, 1);
        let reserve = reserve(chosen.len() - 1);
        let spare = evaluator.left().saturating_sub(reserve);
        let known: Vec<usize> = chosen
            .iter()
            .map(|at| candidates[*at].scores.len())
            .collect();
        let missing =
            |goal: usize| -> usize { known.iter().map(|known| goal.saturating_sub(*known)).sum() };
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

    /// Proposed instructions for the best plan and shorter forms of the best prompts, as many as the
    /// budget lets come as far as `goal`.
    fn variants(
        &self,
        candidates: &[Candidate],
        goal: usize,
        budget: usize,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<Vec<Candidate>> {
        let room = budget / goal.max(1);
        let leaders = self.chosen(candidates, 2);
        let best = leaders
            .iter()
            .map(|at| &candidates[*at])
            .max_by(|a, b| a.merit().total_cmp(&b.merit()));
        let mut variants = Vec::new();
        if let (Some(best), false) = (best, self.proposers.is_empty()) {
            let each = (room / 2 / self.proposers.len()).min(PROPOSALS_MAX);
            let asked = REFLECTED_EXAMPLES.min(self.train.len()) + each * self.proposers.len();
            if each > 0 && asked <= budget {
                let evidence = self.evidence(best, evaluator)?;
                for proposer in self.proposers {
                    evaluator.spend(each)?;
                    for instruction in proposer.propose(&evidence, each)? {
                        let draft = self.space.draft_with(&best.plan, &instruction)?;
                        variants.push(self.drafted(best.plan, draft)?);
                    }
                }
            }
        }
        let mut shorter = Vec::new();
        for leader in leaders.iter().map(|at| &candidates[*at]) {
            let source = leader.probe.template.source();
            for phrase in phrases(source) {
                let left_out = source[phrase.clone()].trim().replace('\n', " / ");
                shorter.push(self.drafted(
                    leader.plan,
                    Draft {
                        template: without(source, &phrase),
                        glue: leader.glue,
                        about: format!("{}; without `{left_out}`", leader.about),
                    },
                )?);
            }
        }
        // The longest phrases first: they save most.
        shorter.sort_by_key(|variant| variant.tokens);
        variants.extend(shorter);
        variants.truncate(room);
        Ok(variants)
    }

    /// How the candidate answers training examples, by its rule as far as it is fitted.
    fn evidence(&self, best: &Candidate, evaluator: &mut Evaluator<'_>) -> Result<Evidence> {
        let shown: Vec<&Example> = self.train.iter().take(REFLECTED_EXAMPLES).collect();
        let scores = evaluator.score(&best.probe, &shown)?;
        let words = self.words(best.glue);
        let (set, freedom) = best.reading.map_or((0, Freedom::Grouped), |reading| {
            (reading.set, reading.freedom)
        });
        let scored = Scored {
            rows: best.scores.iter().map(Vec::as_slice).collect(),
            truth: self.truth[..best.scores.len()].to_vec(),
        };
        let rule = fit(
            &scored,
            self.labels,
            &words.options,
            &words.sets[set].groups,
            freedom,
        )?;
        let attempts = shown
            .iter()
            .zip(&scores)
            .map(|(example, row)| {
                Ok(Attempt {
                    inputs: example.inputs.join("\n"),
                    answer: example.answer.clone(),
                    given: rule.choose(row)?.label.name.clone(),
                })
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Evidence {
            labels: self.labels.to_vec(),
            prompt: best.probe.template.literal_text(),
            attempts,
        })
    }

    /// Positions of the best `keep` of each tier, and of the naive prompt.
    pub(crate) fn chosen(&self, candidates: &[Candidate], keep: usize) -> Vec<usize> {
        let plans: Vec<(Plan, f64, usize)> = candidates
            .iter()
            .map(|candidate| (candidate.plan, candidate.merit(), candidate.scores.len()))
            .collect();
        let merits = smoothed(&plans);
        let most = |at: &usize| candidates[*at].scores.len();
        let mut chosen = vec![0];
        for cap in self.caps {
            let fitting: Vec<usize> = (0..candidates.len())
                .filter(|at| candidates[*at].tokens <= cap)
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

    fn propose(&self, candidates: &[Candidate], random: &mut ChaCha8Rng) -> Plan {
        let losses: Vec<(Plan, f64)> = candidates.iter().map(|c| (c.plan, -c.merit())).collect();
        Tpe::new(self.space.sizes(), &losses).propose(random)
    }

    fn candidate(&self, plan: Plan) -> Result<Candidate> {
        self.drafted(plan, self.space.draft(&plan)?)
    }

    fn drafted(&self, plan: Plan, draft: Draft) -> Result<Candidate> {
        let template = Template::parse(&draft.template)?;
        let tokens = self.model.count_tokens(&template.literal_text())?;
        let options = self.words(draft.glue).options.clone();
        Ok(Candidate {
            plan,
            about: draft.about,
            glue: draft.glue,
            probe: Probe { template, options },
            tokens,
            scores: Vec::new(),
            reading: None,
        })
    }

    pub(crate) fn words(&self, glue: Glue) -> &Words {
        match glue {
            Glue::Space => self.words[0],
            Glue::Nothing => self.words[1],
        }
    }

    /// Scores the candidate on the first `goal` validation examples and reads it anew.
    fn extend(
        &self,
        candidate: &mut Candidate,
        goal: usize,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<()> {
        let known = candidate.scores.len();
        if goal > known {
            let more = evaluator.score(&candidate.probe, &self.validation[known..goal])?;
            candidate.scores.extend(more);
        }
        let count = candidate.scores.len();
        let scored = Scored {
            rows: candidate.scores.iter().map(Vec::as_slice).collect(),
            truth: self.truth[..count].to_vec(),
        };
        let words = self.words(candidate.glue);
        let mut best: Option<Reading> = None;
        for (set, word_set) in words.sets.iter().enumerate() {
            // The set of all words is the one whose weights may move freely.
            let free = [Freedom::Ridge(3.0), Freedom::Ridge(12.0)];
            let last = set + 1 == words.sets.len();
            let freedoms = [Freedom::Grouped]
                .into_iter()
                .chain(free.into_iter().filter(|_| last));
            for freedom in freedoms {
                let Some(estimate) =
                    estimate(&scored, words.options.len(), &word_set.groups, freedom)
                else {
                    continue;
                };
                let pairs: Vec<(&str, &str)> = estimate
                    .answers
                    .iter()
                    .zip(&scored.truth)
                    .map(|(answer, truth)| {
                        (self.labels[*answer].as_str(), self.labels[*truth].as_str())
                    })
                    .collect();
                let reading = Reading {
                    set,
                    freedom,
                    loss: estimate.loss,
                    metric: self.metric.measure(&pairs),
                    accuracy: Metric::Accuracy.measure(&pairs),
                };
                if best.is_none_or(|held| reading.loss < held.loss) {
                    best = Some(reading);
                }
            }
        }
        candidate.reading = best;
        Ok(())
    }

    fn tell(
        &self,
        stage: &'static str,
        candidates: &[Candidate],
        evaluator: &Evaluator<'_>,
        observer: &mut dyn Observer,
    ) {
        let furthest = candidates.iter().map(|c| c.scores.len()).max().unwrap_or(0);
        let best = candidates
            .iter()
            .filter(|c| c.scores.len() == furthest)
            .filter_map(|c| c.reading.map(|reading| reading.metric))
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
