//! Finds the prompts of the three tiers for a task, a model and labelled examples.
//!
//! 1. The data is dealt into training (demonstrations, words), validation (comparison, calibration) and a
//!    locked test split ([`Dataset::split`]).
//! 2. Plans (instruction x frame x cue x demonstrations x thought) are drawn and scored on a few validation
//!    examples; a Parzen estimator proposes more; the best of each tier, by their own merit and by what
//!    their choices were worth in other plans, go on to more examples (successive halving; Jamieson and
//!    Talwalkar, 2016), beside variants of them: one phrase left out, half the thought, demonstrations that
//!    the model itself answers right, one more demonstration, another order, and, where there is a
//!    [`Proposer`], instructions that it writes.
//! 3. Where answers are labels, a decision rule is fitted for each prompt on label words' log-probabilities
//!    and judged by cross-fitting ([`Decision`](crate::Decision)); other answers are written by the model and
//!    marked by the [`Metric`].
//! 4. The best prompts of each tier are asked for all validation examples that the calls allow; a tier leaves
//!    the naive prompt, where that fits it, only for one that is better by more than the standard error of
//!    their difference on the same examples.
//! 5. The winner of each tier, the naive prompt and 20 draws of 5 random demonstrations are measured on
//!    the test split, opened once, with intervals and corrected tests ([`Report`]).

mod assess;
mod calibrate;
mod checkpoint;
mod compress;
mod data;
mod demos;
mod dspy;
mod effects;
mod evaluate;
mod html;
mod instructions;
mod metric;
mod optimizer;
mod pareto;
mod propose;
mod reader;
mod recipe;
mod report;
mod search;
mod signature;
mod space;
mod split;
mod statistics;
mod tpe;
mod variants;
mod words;

pub use calibrate::{Estimate, FOLDS, Freedom, Scored, estimates, fit};
pub use data::{DATA_FILE_BYTES_MAX, Dataset, EXAMPLES_MAX, Example, Skipped};
pub use demos::{Pick, draw, pick};
pub use dspy::{DspyField, DspyPredictor, DspyProgram};
pub use metric::{Judge, Metric};
pub use optimizer::{Observer, Optimizer, Progress, RANDOM_SETS};
pub use pareto::front;
pub use propose::{Attempt, Evidence, ModelProposer, Proposer, Style};
pub use report::{
    Baseline, Finalist, Latency, Majority, Measured, RandomBaseline, Report, TierReport,
};
pub use signature::{Field, Kind, Signature};
pub use split::{LockedTest, Split, Splits};
pub use statistics::{
    bootstrap_interval, holm, mcnemar, mean_and_deviation, quantile, sign_flip, wilson,
};
