//! The `ssd` detector: SSD-MobileNetV2 as an ONNX file, run by `tract` on one core.
//!
//! The file must have one input of 1 x 300 x 300 x 3 (RGB from -1 to 1) and two outputs: 1 x 1917 x 4 box
//! codes and 1 x 1917 x 24 scores before the sigmoid. Class 0 is "nothing".

mod anchors;
mod suppress;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::FilterType;
use image::{ImageBuffer, Rgb};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceFact, InferenceModel, InferenceModelExt, IntoRunnable, Tensor,
    TractResult, TypedModel, TypedRunnableModel, tvec,
};
use tract_onnx::tract_hir::infer::Factoid;

use crate::detection::Label;
use crate::frame::Frame;
use crate::runner::Description;

use super::descriptor::{DESCRIPTOR_LENGTH, describe};
use super::{Detector, DetectorError};
use anchors::{ANCHORS, Anchor, INPUT_SIDE, anchors};
use suppress::{Candidate, suppress};

const CLASSES: usize = 24;
/// Boxes below this score are not told.
const SCORE_MIN: f32 = 0.3;
/// Boxes of one label that overlap more show the same thing.
const IOU_MAX: f32 = 0.5;
/// The most detections of one frame.
const KEEP: usize = 100;
/// The largest model file.
const MODEL_BYTES_MAX: u64 = 256 << 20;

/// Why a model file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SsdError {
    /// The file cannot be read.
    #[error("cannot read the model {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The file is no ONNX model that can be run.
    #[error("{} is no ONNX model that can be run: {cause}", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What is wrong, in one line.
        cause: String,
    },
    /// The model is another one.
    #[error(
        "{} has {found}; an SSD-MobileNetV2 with input 1x300x300x3 and outputs 1x1917x4 and 1x1917x24 is expected",
        path.display()
    )]
    Shape {
        /// The file.
        path: PathBuf,
        /// What it has instead.
        found: String,
    },
}

/// The detector with its model loaded.
pub struct Ssd {
    model: Arc<TypedRunnableModel>,
    anchors: Vec<Anchor>,
    /// Which output holds the boxes, and which the scores.
    outputs: (usize, usize),
}

impl Ssd {
    /// Loads a model; takes a second or so.
    ///
    /// # Errors
    /// [`SsdError`]: the file cannot be read, is no ONNX model, or has other inputs and outputs.
    pub fn open(path: &Path) -> Result<Self, SsdError> {
        let unreadable = |cause| SsdError::Read {
            path: path.to_owned(),
            cause,
        };
        let no_model = |cause: &dyn std::fmt::Display| SsdError::Model {
            path: path.to_owned(),
            cause: one_line(cause),
        };
        let other = |found| SsdError::Shape {
            path: path.to_owned(),
            found,
        };
        let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
        if bytes > MODEL_BYTES_MAX {
            return Err(no_model(&format!(
                "{bytes} bytes, models of up to {MODEL_BYTES_MAX} are read"
            )));
        }
        let file = std::fs::read(path).map_err(unreadable)?;
        let model = tract_onnx::onnx()
            .model_for_read(&mut file.as_slice())
            .map_err(|cause| no_model(&cause))?;
        check_input(&model).map_err(other)?;
        let model = optimised(model).map_err(|cause| no_model(&format!("{cause:#}")))?;
        let outputs = find_outputs(&model).map_err(other)?;
        let model = model.into_runnable().map_err(|cause| no_model(&cause))?;
        Ok(Self {
            model,
            anchors: anchors(),
            outputs,
        })
    }

    fn run(&self, frame: &Frame) -> Result<Vec<Candidate>, DetectorError> {
        let told = |cause: &dyn std::fmt::Display| DetectorError(one_line(cause));
        let input =
            input(frame).ok_or_else(|| DetectorError("the frame's buffer does not fit".into()))?;
        let input = Tensor::from_shape(&input_shape(), &input).map_err(|cause| told(&cause))?;
        let answer = self
            .model
            .run(tvec!(input.into()))
            .map_err(|cause| told(&cause))?;
        let boxes = answer[self.outputs.0]
            .to_plain_array_view::<f32>()
            .map_err(|cause| told(&cause))?;
        let logits = answer[self.outputs.1]
            .to_plain_array_view::<f32>()
            .map_err(|cause| told(&cause))?;
        match (boxes.as_slice(), logits.as_slice()) {
            (Some(boxes), Some(logits)) => Ok(candidates(&self.anchors, boxes, logits)),
            _ => Err(DetectorError(
                "the model's answer is not laid out row by row".into(),
            )),
        }
    }
}

impl Detector for Ssd {
    fn describe(&self) -> Description {
        Description {
            name: "ssd-mobilenetv2 300x300".into(),
            embedding_length: DESCRIPTOR_LENGTH,
        }
    }

    fn infer(&mut self, frame: &Frame) -> Result<Vec<crate::detection::Detection>, DetectorError> {
        let kept = suppress(self.run(frame)?, IOU_MAX, KEEP);
        Ok(kept
            .into_iter()
            .map(|found| crate::detection::Detection {
                label: found.label,
                score: found.score,
                rect: found.rect,
                embedding: describe(frame, &found.rect),
            })
            .collect())
    }
}

fn input_shape() -> [usize; 4] {
    [1, INPUT_SIDE, INPUT_SIDE, 3]
}

/// A model that names another input than ours is another model.
fn check_input(model: &InferenceModel) -> Result<(), String> {
    let inputs = model.inputs.len();
    if inputs != 1 || model.outputs.len() != 2 {
        return Err(format!(
            "{inputs} inputs and {} outputs",
            model.outputs.len()
        ));
    }
    let fact = model.input_fact(0).map_err(|cause| one_line(&cause))?;
    let ours = InferenceFact::from(f32::fact(input_shape()));
    fact.unify(&ours)
        .map(drop)
        .map_err(|_| format!("the input {fact:?}"))
}

fn optimised(model: InferenceModel) -> TractResult<TypedModel> {
    model
        .with_input_fact(0, f32::fact(input_shape()).into())?
        .into_optimized()
}

/// The places of the outputs for boxes and scores.
fn find_outputs(model: &TypedModel) -> Result<(usize, usize), String> {
    let mut shapes = Vec::new();
    for i in 0..model.outputs.len() {
        let fact = model.output_fact(i).map_err(|cause| one_line(&cause))?;
        shapes.push(
            fact.shape
                .as_concrete()
                .map(<[usize]>::to_vec)
                .unwrap_or_default(),
        );
    }
    let place = |numbers| {
        shapes
            .iter()
            .position(|shape| *shape == [1, ANCHORS, numbers])
    };
    match (place(4), place(CLASSES)) {
        (Some(boxes), Some(scores)) => Ok((boxes, scores)),
        _ => Err(format!("outputs of {shapes:?}")),
    }
}

/// The picture as the model wants it: squeezed to a square, as it was in training.
fn input(frame: &Frame) -> Option<Vec<f32>> {
    let picture =
        ImageBuffer::<Rgb<u8>, &[u8]>::from_raw(frame.width(), frame.height(), frame.rgb())?;
    let side = INPUT_SIDE as u32;
    let square = image::imageops::resize(&picture, side, side, FilterType::Triangle);
    Some(
        square
            .into_raw()
            .into_iter()
            .map(|value| f32::from(value) / 127.5 - 1.0)
            .collect(),
    )
}

/// The best class of each anchor, when it is sure enough and is something.
fn candidates(anchors: &[Anchor], boxes: &[f32], logits: &[f32]) -> Vec<Candidate> {
    let (boxes, _) = boxes.as_chunks::<4>();
    let (logits, _) = logits.as_chunks::<CLASSES>();
    let mut found = Vec::new();
    for ((anchor, code), logits) in anchors.iter().zip(boxes).zip(logits) {
        let best = logits
            .iter()
            .enumerate()
            .skip(1)
            .max_by(|a, b| a.1.total_cmp(b.1));
        let Some((class, logit)) = best else { continue };
        let score = 1.0 / (1.0 + (-logit).exp());
        // A score that is no number is no detection either.
        if score.is_nan() || score < SCORE_MIN {
            continue;
        }
        if let Some(rect) = anchor.decode(*code) {
            found.push(Candidate {
                label: label(class),
                score,
                rect,
            });
        }
    }
    found
}

/// The model's classes that the gateway acts on.
fn label(class: usize) -> Label {
    match class {
        4 => Label::Person,
        6 => Label::Cattle,
        18 | 23 => Label::Vehicle,
        20 => Label::Dog,
        _ => Label::Other,
    }
}

fn one_line(cause: &dyn std::fmt::Display) -> String {
    cause
        .to_string()
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_are_sigmoids_and_unsure_anchors_are_left_out() {
        let anchors = &anchors()[..3];
        let mut logits = vec![-10.0; 3 * CLASSES];
        logits[0] = 10.0; // "nothing", whatever its score
        logits[CLASSES + 6] = 2.0;
        logits[2 * CLASSES + 23] = f32::NAN;
        let found = candidates(anchors, &[0.0; 12], &logits);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].label, Label::Cattle);
        assert!((found[0].score - 0.880_797).abs() < 1e-5);
    }

    #[test]
    fn what_is_no_model_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let gone = Ssd::open(&folder.path().join("gone.onnx")).err().unwrap();
        assert!(matches!(gone, SsdError::Read { .. }), "{gone}");
        let path = folder.path().join("text.onnx");
        std::fs::write(&path, "no model at all").unwrap();
        let text = Ssd::open(&path).err().unwrap();
        assert!(
            matches!(text, SsdError::Model { .. } | SsdError::Shape { .. }),
            "{text}"
        );
        assert!(!text.to_string().contains('\n'));
    }
}
