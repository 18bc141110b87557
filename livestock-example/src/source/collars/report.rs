//! How the animals of a folder of recordings lay.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::Collars;
use crate::posture::{
    Axis, LegAxisFinder, LyingBout, Posture, PostureError, PostureMachine, PostureOptions,
    step_length,
};
use crate::source::{Input, Source, SourceError};
use crate::time::Timestamp;

/// All animals of a folder of recordings.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CollarReport {
    /// By name.
    pub animals: Vec<AnimalReport>,
    /// Rows that were samples; those of the animals add up to it.
    pub samples: u64,
    /// Rows that were none.
    pub rows_bad: u64,
    /// The share of all samples that the postures explain; see [`AnimalReport::share_explained`].
    pub share_explained: f64,
    /// Files of the folder that are no recordings.
    pub files_bad: Vec<BadFile>,
}

/// A file that is no recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct BadFile {
    /// Which.
    pub path: String,
    /// Why not.
    pub cause: String,
}

/// How one animal lay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnimalReport {
    /// The animal, from the files' names.
    pub animal: String,
    /// The sensor's axis along the leg.
    pub leg_axis: Axis,
    /// Whether the recording itself told the axis; otherwise it is the usual one.
    pub leg_axis_found: bool,
    /// Samples taken.
    pub samples: u64,
    /// Samples passed over since their time was not later than the one before.
    pub samples_repeated: u64,
    /// From the first sample to the last, silences included.
    pub minutes_recorded: f64,
    /// In lying bouts.
    pub minutes_lying: f64,
    /// The times that the animal lay.
    pub bouts: Vec<LyingBout>,
    /// The share of samples whose low-passed tilt of the leg lies on that side of
    /// [`LYING_TILT_DEG`](crate::posture::LYING_TILT_DEG) which the posture given to them says.
    pub share_explained: f64,
    /// Mean step from sample to sample while lying, in g; `None` if it never lay.
    pub activity_lying: Option<f64>,
    /// The same while standing.
    pub activity_standing: Option<f64>,
}

/// Reads a folder of recordings (or one file) twice, first for the leg's axis, then for the postures.
///
/// # Errors
/// Those of [`Collars::open`]; bad rows and single bad files are counted in the report.
pub fn report(path: &Path) -> Result<CollarReport, SourceError> {
    let mut finders: BTreeMap<String, LegAxisFinder> = BTreeMap::new();
    let mut source = Collars::open(path)?;
    while let Some(input) = source.next_input() {
        if let Ok(Input::Leg(sample)) = input {
            let finder = finders.entry(sample.animal).or_default();
            finder.push(sample.acceleration);
        }
    }
    let mut animals: BTreeMap<String, Tally> = BTreeMap::new();
    for (animal, finder) in &finders {
        let tally = Tally::new(animal, finder.axis()).map_err(|error| SourceError::Item {
            path: path.to_owned(),
            cause: error.to_string(),
        })?;
        animals.insert(animal.clone(), tally);
    }
    let mut source = Collars::open(path)?;
    let files_bad = source.bad_files.drain(..).rev().map(bad_file).collect();
    while let Some(input) = source.next_input() {
        if let Ok(Input::Leg(sample)) = input
            && let Some(tally) = animals.get_mut(&sample.animal)
        {
            tally.push(sample.at, sample.acceleration);
        }
    }
    let rows_bad = source.bad_rows() + animals.values().map(|t| t.refused).sum::<u64>();
    let animals: Vec<(u64, AnimalReport)> = animals.into_values().map(Tally::report).collect();
    let explained: u64 = animals.iter().map(|(explained, _)| explained).sum();
    let samples: u64 = animals.iter().map(|(_, report)| report.samples).sum();
    Ok(CollarReport {
        animals: animals.into_iter().map(|(_, report)| report).collect(),
        samples,
        rows_bad,
        share_explained: share(explained, samples),
        files_bad,
    })
}

fn bad_file(error: SourceError) -> BadFile {
    match error {
        SourceError::Item { path, cause } => BadFile {
            path: path.display().to_string(),
            cause,
        },
        SourceError::Read { path, cause } => BadFile {
            path: path.display().to_string(),
            cause: cause.to_string(),
        },
        other => BadFile {
            path: String::new(),
            cause: other.to_string(),
        },
    }
}

fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// One animal while its samples are read.
struct Tally {
    machine: PostureMachine,
    axis: Option<Axis>,
    first: Option<Timestamp>,
    last: Option<(Timestamp, [f32; 3])>,
    repeated: u64,
    refused: u64,
    /// Steps from sample to sample, by what the animal was known to do: their sum and number.
    lying: (f64, u64),
    standing: (f64, u64),
}

impl Tally {
    fn new(animal: &str, axis: Option<Axis>) -> Result<Self, PostureError> {
        let usual = PostureOptions::default();
        let options = PostureOptions {
            leg_axis: axis.unwrap_or(usual.leg_axis),
            ..usual
        };
        Ok(Self {
            machine: PostureMachine::build(animal, options)?,
            axis,
            first: None,
            last: None,
            repeated: 0,
            refused: 0,
            lying: (0.0, 0),
            standing: (0.0, 0),
        })
    }

    fn push(&mut self, at: Timestamp, acceleration: [f32; 3]) {
        let reading = match self.machine.push(at, acceleration) {
            Ok(reading) => reading,
            Err(PostureError::NotLater { .. }) => {
                self.repeated += 1;
                return;
            }
            Err(_) => {
                self.refused += 1;
                return;
            }
        };
        self.first.get_or_insert(at);
        if let Some((_, before)) = self.last.replace((at, acceleration)) {
            let step = f64::from(step_length(before, acceleration));
            let sum = match reading.posture {
                Posture::Lying => &mut self.lying,
                Posture::Standing => &mut self.standing,
                Posture::Unknown => return,
            };
            sum.0 += step;
            sum.1 += 1;
        }
    }

    /// The report, and how many samples are explained.
    fn report(mut self) -> (u64, AnimalReport) {
        self.machine.close();
        let counts = self.machine.counts();
        let bouts = self.machine.take_bouts();
        let mean = |(sum, count): (f64, u64)| (count > 0).then(|| sum / count as f64);
        let recorded = match (self.first, self.last) {
            (Some(first), Some((last, _))) => last.since(first).as_secs_f64() / 60.0,
            _ => 0.0,
        };
        let report = AnimalReport {
            animal: self.machine.animal().to_owned(),
            leg_axis: self.axis.unwrap_or(PostureOptions::default().leg_axis),
            leg_axis_found: self.axis.is_some(),
            samples: counts.samples,
            samples_repeated: self.repeated,
            minutes_recorded: recorded,
            minutes_lying: bouts.iter().map(|bout| bout.minutes).sum(),
            bouts,
            share_explained: share(counts.explained, counts.samples),
            activity_lying: mean(self.lying),
            activity_standing: mean(self.standing),
        };
        (counts.explained, report)
    }
}
