//! Where things are in the picture, in shares of its width and height; every camera sees the same kind of
//! place.
//!
//! ```text
//! 0.00 ┌──────────────────────────────┐
//!      │ barn wall                    │
//! 0.24 ├──────────────────────────────┤
//!      │ yard                         │
//! 0.42 ├═══ fence ══╡gate╞════════════┤
//! 0.48 │ aisle                        │
//!      │ pen: 3 x 3   │  3 ║tro║ 3    │
//!      │ places       │    ║ugh║      │
//! 1.00 └──────────────┴───────────────┘
//!      0            0.60            1.0
//! ```

use crate::frame::CameraId;
use crate::zone::{Zone, ZoneKind};

/// A point of the picture; things stand with the middle of their lower edge on it.
pub(super) type Point = (f32, f32);

/// Top of the yard.
pub(super) const YARD_TOP: f32 = 0.24;
/// Upper and lower rail of the fence.
pub(super) const FENCE: (f32, f32) = (0.42, 0.465);
/// Left and right post of the gate.
pub(super) const GATE: (f32, f32) = (0.30, 0.39);
/// Where the pen begins.
pub(super) const PEN_TOP: f32 = 0.48;
/// Where the trough's zone begins, from the left and from the top.
pub(super) const TROUGH_ZONE: Point = (0.60, 0.57);
/// The trough itself.
pub(super) const TROUGH: (f32, f32, f32, f32) = (0.775, 0.57, 0.825, 0.97);
/// The rows in which animals rest and feed.
const ROWS: [f32; 3] = [0.66, 0.81, 0.96];
const PEN_COLUMNS: [f32; 3] = [0.10, 0.29, 0.48];
const TROUGH_COLUMNS: [f32; 2] = [0.693, 0.907];

/// The middle line of the aisle, of the yard and of the gate.
pub(super) const AISLE_Y: f32 = 0.535;
pub(super) const YARD_Y: f32 = 0.34;
pub(super) const GATE_X: f32 = 0.345;
/// Between the columns of the pen, where a person can walk.
pub(super) const BETWEEN_COLUMNS: [f32; 2] = [0.195, 0.385];

/// The height of a grown person whose feet are at `y`, as a share of the picture's height; everything
/// else is measured in it.
pub(super) fn person_height(y: f32) -> f32 {
    0.118 + 0.06 * (y - 0.3) / 0.7
}

/// A place that one animal can take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Place {
    pub at: Point,
    /// Where the head points: at the trough both sides face it.
    pub trough_side: Option<Side>,
}

/// Where an animal looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

/// How many of the places are in the pen.
pub(super) const PEN_PLACES: usize = ROWS.len() * PEN_COLUMNS.len();

/// The nine places of the pen, then the six of the trough.
pub(super) fn places() -> Vec<Place> {
    let pen = ROWS.iter().flat_map(|&y| {
        PEN_COLUMNS.iter().map(move |&x| Place {
            at: (x, y),
            trough_side: None,
        })
    });
    let trough = ROWS.iter().flat_map(|&y| {
        TROUGH_COLUMNS
            .iter()
            .zip([Side::Right, Side::Left])
            .map(move |(&x, side)| Place {
                at: (x, y),
                trough_side: Some(side),
            })
    });
    pen.chain(trough).collect()
}

/// The camera with this number.
pub(super) fn camera(index: usize) -> CameraId {
    CameraId::new(&format!("cam-{}", index + 1))
}

/// The name of a zone of the camera with this number.
pub(super) fn zone_name(kind: ZoneKind, index: usize) -> String {
    let kind = match kind {
        ZoneKind::Pen => "pen",
        ZoneKind::Trough => "trough",
        ZoneKind::Yard => "yard",
    };
    format!("{kind}-{}", index + 1)
}

/// The three zones of the camera with this number; they do not overlap.
pub(super) fn zones(index: usize) -> [Zone; 3] {
    let (tx, ty) = TROUGH_ZONE;
    let zone = |kind, polygon: &[Point]| Zone {
        name: zone_name(kind, index),
        camera: camera(index),
        kind,
        polygon: polygon.to_vec(),
    };
    // A box may end a little below the picture's edge.
    let low = 1.05;
    [
        zone(
            ZoneKind::Pen,
            &[
                (-0.05, PEN_TOP),
                (1.05, PEN_TOP),
                (1.05, ty),
                (tx, ty),
                (tx, low),
                (-0.05, low),
            ],
        ),
        zone(
            ZoneKind::Trough,
            &[(tx, ty), (1.05, ty), (1.05, low), (tx, low)],
        ),
        zone(
            ZoneKind::Yard,
            &[
                (-0.05, YARD_TOP),
                (1.05, YARD_TOP),
                (1.05, FENCE.0),
                (-0.05, FENCE.0),
            ],
        ),
    ]
}
