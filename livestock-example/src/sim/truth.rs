//! What really happens on the farm; nothing of this reaches the gateway.

use serde::Serialize;

use crate::detection::{Label, Rect};
use crate::frame::CameraId;
pub use crate::incident::IncidentKind;
use crate::time::Timestamp;

/// An incident that really happens.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StagedIncident {
    /// Its name, unique in the run, numbered in order of time.
    pub id: String,
    /// What happens.
    pub kind: IncidentKind,
    /// The zone where it happens.
    pub zone: String,
    /// The camera that sees the zone; `None` when only a leg sensor can tell.
    pub camera: Option<CameraId>,
    /// The animal, for [`IncidentKind::AnimalDown`].
    pub animal: Option<String>,
    /// When the person steps into the pen, the animal lies down, the crowd reaches its size.
    pub start: Timestamp,
    /// When that ends.
    pub end: Timestamp,
}

/// One thing that a camera could see at an instant.
#[derive(Clone, Debug, PartialEq)]
pub struct Visible {
    /// What it is.
    pub label: Label,
    /// The box around all of it that is inside the picture, also where something stands before it.
    pub rect: Rect,
    /// The share of its pixels that are inside the picture with nothing before them, 0..=1.
    pub fraction: f32,
}
