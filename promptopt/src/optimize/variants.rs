//! Changes of the best prompts so far, tried between two rungs of the search.

use super::compress::{phrases, without};
use super::data::Example;
use super::evaluate::Evaluator;
use super::propose::{Attempt, Evidence};
use super::recipe::{Draft, Recipe, Thinking};
use super::search::{Candidate, Search};
use crate::error::Result;

/// Most instructions asked of one proposer.
const PROPOSALS_MAX: usize = 8;
/// Training examples whose answers proposers see and demonstrations are bootstrapped from.
const ANSWERED_EXAMPLES: usize = 16;
/// One part in so many of a round's calls may go to these answers where nobody proposes.
const ANSWERED_SHARE: usize = 5;
/// Most demonstrations of a prompt.
const DEMOS_MAX: usize = 6;
/// Fewest tokens of a thought.
const THOUGHT_TOKENS_MIN: usize = 6;
/// From this mark on an answer counts as right.
const RIGHT: f64 = 0.5;

/// Which of the rounds of variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Round {
    First,
    Later,
}

/// The best prompt's answers to training examples.
struct Answered {
    evidence: Evidence,
    /// Positions in the training split of those that it answers right, the labels in turn.
    right: Vec<usize>,
}

impl Search<'_> {
    /// Variants of the best prompts, as many as `budget` calls bring as far as `goal`: in the first round
    /// proposed instructions and shorter forms too, in each round other demonstrations (hill climbing, one
    /// change at a time).
    pub(crate) fn variants(
        &self,
        candidates: &[Candidate],
        round: Round,
        goal: usize,
        budget: usize,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<Vec<Candidate>> {
        let leaders: Vec<&Candidate> = self
            .chosen(candidates, 2)
            .into_iter()
            .map(|at| &candidates[at])
            .collect();
        // The best that answers at once: what is learnt from its answers costs half of a thinking one's.
        let Some(best) = leaders
            .iter()
            .filter(|leader| leader.probe.thought.is_none())
            .max_by(|a, b| a.merit().total_cmp(&b.merit()))
        else {
            return Ok(Vec::new());
        };
        let mut left = budget;
        let answered_calls = ANSWERED_EXAMPLES.min(self.train.len()) * best.probe.calls_each();
        let proposing = round == Round::First && !self.proposers.is_empty();
        // Worth its calls where a good part is left for the variants that come of it.
        let share = if proposing { 1 } else { ANSWERED_SHARE };
        let answered = if answered_calls <= budget / share {
            let before = evaluator.calls();
            let answered = self.answered(best, evaluator)?;
            left -= evaluator.calls() - before;
            Some(answered)
        } else {
            None
        };
        let mut kinds: Vec<Vec<Candidate>> = Vec::new();
        if let (Some(answered), true) = (&answered, proposing) {
            kinds.push(self.proposed(best, &answered.evidence, goal, &mut left, evaluator)?);
        }
        let right = answered.map(|answered| answered.right).unwrap_or_default();
        kinds.push(self.with_other_demos(&leaders, &right)?);
        if round == Round::First {
            kinds.push(self.shorter(&leaders)?);
        }
        kinds.push(self.with_shorter_thoughts(&leaders)?);
        // One of each kind in turn, until the calls are used up.
        let most = kinds.iter().map(Vec::len).max().unwrap_or(0);
        let mut queues: Vec<_> = kinds.into_iter().map(Vec::into_iter).collect();
        let mut variants = Vec::new();
        for _ in 0..most {
            for variant in queues.iter_mut().filter_map(Iterator::next) {
                if variant.missing(goal) <= left {
                    left -= variant.missing(goal);
                    variants.push(variant);
                }
            }
        }
        Ok(variants)
    }

    /// The best prompt with instructions that the proposers write; two thirds of the calls at most.
    fn proposed(
        &self,
        best: &Candidate,
        evidence: &Evidence,
        goal: usize,
        left: &mut usize,
        evaluator: &mut Evaluator<'_>,
    ) -> Result<Vec<Candidate>> {
        let room = *left * 2 / 3 / (goal * best.probe.calls_each() + 1);
        let each = (room / self.proposers.len()).min(PROPOSALS_MAX);
        let mut proposed = Vec::new();
        for proposer in self.proposers {
            if each == 0 {
                break;
            }
            evaluator.spend(each)?;
            *left -= each;
            for instruction in proposer.propose(evidence, each)? {
                let mut recipe = best.recipe.clone().unwrap_or(self.space.recipe(&best.plan));
                recipe.instruction = instruction;
                let mut variant = self.candidate(best.plan, recipe)?;
                variant.about = format!("proposed: {}", variant.about);
                proposed.push(variant);
            }
        }
        Ok(proposed)
    }

    /// One phrase left out, the longest first: they save most.
    fn shorter(&self, leaders: &[&Candidate]) -> Result<Vec<Candidate>> {
        let mut shorter = Vec::new();
        for leader in leaders {
            let source = leader.probe.template.source();
            for phrase in phrases(source) {
                let left_out = source[phrase.clone()].trim().replace('\n', " / ");
                let draft = Draft {
                    template: without(source, &phrase),
                    glue: leader.glue,
                    thought: leader.probe.thought.clone(),
                };
                let about = format!("{}; without `{left_out}`", leader.about);
                shorter.push(self.drafted(leader.plan, None, about, draft)?);
            }
        }
        shorter.sort_by_key(|variant| variant.tokens);
        Ok(shorter)
    }

    /// Half the thought.
    fn with_shorter_thoughts(&self, leaders: &[&Candidate]) -> Result<Vec<Candidate>> {
        let mut shorter = Vec::new();
        for leader in leaders {
            let Some((recipe, thinking)) = leader
                .recipe
                .as_ref()
                .and_then(|recipe| Some((recipe, recipe.thinking?)))
            else {
                continue;
            };
            let tokens_max = thinking.tokens_max / 2;
            if tokens_max >= THOUGHT_TOKENS_MIN {
                let thinking = Some(Thinking {
                    tokens_max,
                    ..thinking
                });
                let recipe = Recipe {
                    thinking,
                    ..recipe.clone()
                };
                shorter.push(self.candidate(leader.plan, recipe)?);
            }
        }
        Ok(shorter)
    }

    /// Demonstrations in another order, one more of them, or others that the model itself answers right
    /// (as DSPy's BootstrapFewShot takes them).
    fn with_other_demos(&self, leaders: &[&Candidate], right: &[usize]) -> Result<Vec<Candidate>> {
        let mut variants = Vec::new();
        for leader in leaders {
            let Some(recipe) = &leader.recipe else {
                continue;
            };
            for (about, demos) in other_demos(&recipe.demos, right) {
                let recipe = Recipe {
                    demos_about: format!("{} {about}", demos.len()),
                    demos,
                    ..recipe.clone()
                };
                let variant = self.candidate(leader.plan, recipe)?;
                if variant.tokens <= self.caps[2] {
                    variants.push(variant);
                }
            }
        }
        Ok(variants)
    }

    /// How the candidate answers training examples, by its rule as far as it is fitted.
    fn answered(&self, best: &Candidate, evaluator: &mut Evaluator<'_>) -> Result<Answered> {
        // An example that the prompt shows would be answered from there.
        let demos = best.recipe.as_ref().map_or(&[][..], |r| &r.demos);
        let places: Vec<usize> = (0..self.train.len())
            .filter(|at| !demos.contains(at))
            .take(ANSWERED_EXAMPLES)
            .collect();
        let shown: Vec<&Example> = places.iter().map(|at| &self.train[*at]).collect();
        let rows = evaluator.ask(&best.probe, &shown)?;
        let rule = self
            .reader
            .rule(best.glue, &best.rows, best.reading.as_ref())?;
        let given = rule.answers(&rows)?;
        let mut by_answer: Vec<(&str, Vec<usize>)> = Vec::new();
        for ((at, example), given) in places.iter().zip(&shown).zip(&given) {
            if self.reader.mark(given, &example.answer) < RIGHT {
                continue;
            }
            // Written answers are all one group.
            let group = if self.reader.labels().is_empty() {
                ""
            } else {
                example.answer.as_str()
            };
            match by_answer.iter_mut().find(|(held, _)| *held == group) {
                Some((_, held)) => held.push(*at),
                None => by_answer.push((group, vec![*at])),
            }
        }
        let longest = by_answer.iter().map(|(_, p)| p.len()).max().unwrap_or(0);
        let right = (0..longest)
            .flat_map(|round| by_answer.iter().filter_map(move |(_, p)| p.get(round)))
            .copied()
            .collect();
        let attempts = shown
            .iter()
            .zip(given)
            .map(|(example, given)| Attempt {
                inputs: example.inputs.join("\n"),
                answer: example.answer.clone(),
                given,
            })
            .collect();
        Ok(Answered {
            evidence: Evidence {
                labels: self.reader.labels().to_vec(),
                prompt: best.probe.template.literal_text(),
                attempts,
            },
            right,
        })
    }
}

/// Changes of a demonstration set: reversed, turned by one, one that the model answers right added, or
/// a set of those alone.
fn other_demos(demos: &[usize], right: &[usize]) -> Vec<(&'static str, Vec<usize>)> {
    let mut others = Vec::new();
    let fresh: Vec<usize> = right
        .iter()
        .filter(|at| !demos.contains(at))
        .copied()
        .collect();
    for count in [2, 4] {
        if let Some(set) = right.get(..count) {
            others.push(("bootstrapped", set.to_vec()));
        }
    }
    if !demos.is_empty() && demos.len() < DEMOS_MAX {
        others.extend(fresh.iter().take(2).map(|at| {
            let grown = demos.iter().chain([at]).copied().collect();
            ("with one added", grown)
        }));
    }
    if demos.len() > 1 {
        others.push(("reversed", demos.iter().rev().copied().collect()));
    }
    if demos.len() > 2 {
        let mut turned = demos.to_vec();
        turned.rotate_left(1);
        others.push(("turned", turned));
    }
    others
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn demonstrations_change_by_one_step_and_never_repeat() {
        let sets = other_demos(&[7, 8, 9], &[3, 8, 4, 5]);
        let of = |about: &str| -> Vec<&Vec<usize>> {
            let found = sets.iter().filter(|(held, _)| *held == about);
            found.map(|(_, set)| set).collect()
        };
        assert_eq!(of("bootstrapped"), [&vec![3, 8], &vec![3, 8, 4, 5]]);
        assert_eq!(of("with one added"), [&vec![7, 8, 9, 3], &vec![7, 8, 9, 4]]);
        assert_eq!(of("reversed"), [&vec![9, 8, 7]]);
        assert_eq!(of("turned"), [&vec![8, 9, 7]]);
        for (about, set) in &sets {
            let unique: BTreeSet<usize> = set.iter().copied().collect();
            assert_eq!(unique.len(), set.len(), "{about}");
        }
        assert!(other_demos(&[], &[]).is_empty());
        assert!(other_demos(&[1], &[1]).is_empty());
    }
}
