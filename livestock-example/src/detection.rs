//! What a detector saw in a frame.

use serde::{Deserialize, Serialize};

/// The kinds of thing that the gateway acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Label {
    /// A human.
    Person,
    /// Cattle, lying or standing.
    Cattle,
    /// A dog.
    Dog,
    /// A car, truck or tractor.
    Vehicle,
    /// Something else that the detector names or that only moves.
    Other,
}

impl Label {
    /// The label's name in events, configuration and the plugin protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Cattle => "cattle",
            Self::Dog => "dog",
            Self::Vehicle => "vehicle",
            Self::Other => "other",
        }
    }

    /// The label with this name; an unknown name is [`Label::Other`].
    pub fn from_name(name: &str) -> Self {
        match name {
            "person" => Self::Person,
            "cattle" => Self::Cattle,
            "dog" => Self::Dog,
            "vehicle" => Self::Vehicle,
            _ => Self::Other,
        }
    }
}

/// A box in a frame, in shares of its width and height: 0 is left or top, 1 is right or bottom.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rect {
    /// Left edge.
    pub x0: f32,
    /// Top edge.
    pub y0: f32,
    /// Right edge.
    pub x1: f32,
    /// Bottom edge.
    pub y1: f32,
}

impl Rect {
    /// Width as a share of the frame's.
    pub fn width(&self) -> f32 {
        (self.x1 - self.x0).max(0.0)
    }

    /// Height as a share of the frame's.
    pub fn height(&self) -> f32 {
        (self.y1 - self.y0).max(0.0)
    }

    /// Area as a share of the frame's.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The point where what is in the box stands: the middle of its bottom edge.
    pub fn foot(&self) -> (f32, f32) {
        ((self.x0 + self.x1) / 2.0, self.y1)
    }

    /// Intersection over union with `other`, 0..=1; 0 for empty boxes.
    pub fn iou(&self, other: &Self) -> f32 {
        let both = Self {
            x0: self.x0.max(other.x0),
            y0: self.y0.max(other.y0),
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
        }
        .area();
        let either = self.area() + other.area() - both;
        if either > 0.0 { both / either } else { 0.0 }
    }
}

/// One thing seen in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Detection {
    /// What it is.
    pub label: Label,
    /// How sure the detector is, 0..=1.
    pub score: f32,
    /// Where it is.
    pub rect: Rect,
    /// How it looks, for novelty: the plugin's own length, the same for all its detections; empty when
    /// the plugin makes none.
    pub embedding: Vec<f32>,
}
