//! The prompts that are tried: instruction x frame x cue x demonstrations x thought.
//!
//! Nothing here needs a strong model. A plan is one choice in each dimension; the search learns which
//! choices do well. Every plan is rendered to a template once, and that template is what is scored,
//! exported and rendered at run time.

use rand::{RngExt, rngs::ChaCha8Rng};

use super::demos::{Pick, pick};
use super::instructions::Wording;
use super::recipe::{Draft, Frame, Recipe, Setting, Thinking};
use crate::error::Result;

/// Number of dimensions of a [`Plan`].
pub(crate) const DIMENSIONS: usize = 5;

/// One choice a dimension: instruction, frame, cue, demonstrations, thought.
pub(crate) type Plan = [usize; DIMENSIONS];

/// Of so many drawn plans one has the model think before it answers, which costs it two calls an example
/// and many tokens.
const THINKING_ONE_IN: u32 = 16;

/// The alternatives of each dimension for one task.
pub(crate) struct Space<'a> {
    setting: Setting<'a>,
    wording: Wording,
    demos: Vec<(String, Vec<usize>)>,
    thoughts: &'static [Option<Thinking>],
}

/// Whether prompts that think before they answer are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Thoughts {
    Tried,
    /// The calls do not suffice for them: each answer takes two.
    LeftOut,
}

impl<'a> Space<'a> {
    /// `groups`: number of different answers that demonstrations should show.
    pub(crate) fn new(
        setting: Setting<'a>,
        wording: Wording,
        groups: usize,
        thoughts: Thoughts,
        seed: u64,
    ) -> Self {
        let mut demos = vec![("none".to_owned(), Vec::new())];
        for count in [groups.clamp(2, 4), 2, 3, 5] {
            for way in Pick::ALL {
                for round in 0..2 {
                    let chosen = pick(
                        setting.train,
                        count,
                        way,
                        seed ^ (round * 7919 + count as u64),
                    );
                    if chosen.len() == count && !demos.iter().any(|(_, held)| *held == chosen) {
                        demos.push((format!("{count} {}", way.name()), chosen));
                    }
                }
            }
        }
        Self {
            setting,
            wording,
            demos,
            thoughts: match thoughts {
                Thoughts::Tried => &Thinking::ALL,
                Thoughts::LeftOut => &Thinking::ALL[..1],
            },
        }
    }

    /// Number of alternatives a dimension.
    pub(crate) fn sizes(&self) -> Plan {
        [
            self.wording.instructions.len(),
            Frame::ALL.len(),
            self.wording.cues.len(),
            self.demos.len(),
            self.thoughts.len(),
        ]
    }

    /// What a person writes first: say what to do, show the text, ask.
    pub(crate) fn naive(&self) -> Plan {
        [1, 0, 0, 0, 0]
    }

    /// A draw; two in three have no demonstrations, which short prompts cannot afford, and few a thought.
    pub(crate) fn draw(&self, random: &mut ChaCha8Rng) -> Plan {
        let sizes = self.sizes();
        let mut plan = sizes.map(|size| random.random_range(0..size));
        if random.random_range(0..3) > 0 {
            plan[3] = 0;
        }
        if random.random_range(0..3) == 0 {
            plan[0] = 0;
        }
        if random.random_range(0..THINKING_ONE_IN) > 0 {
            plan[4] = 0;
        }
        plan
    }

    /// The parts that a plan chooses.
    pub(crate) fn recipe(&self, plan: &Plan) -> Recipe {
        let (demos_about, demos) = &self.demos[plan[3]];
        Recipe {
            instruction: self.wording.instructions[plan[0]].clone(),
            frame: Frame::ALL[plan[1]],
            cue: self.wording.cues[plan[2]].clone(),
            demos: demos.clone(),
            demos_about: demos_about.clone(),
            thinking: self.thoughts[plan[4]],
        }
    }

    /// The template of a recipe.
    pub(crate) fn draft(&self, recipe: &Recipe) -> Result<Draft> {
        self.setting.draft(recipe)
    }

    /// The naive prompt behind the given demonstrations.
    pub(crate) fn naive_with(&self, demos: &[usize]) -> Result<Draft> {
        self.draft(&Recipe {
            demos: demos.to_vec(),
            ..self.recipe(&self.naive())
        })
    }
}
