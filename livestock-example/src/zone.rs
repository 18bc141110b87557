//! Named regions of a camera's picture.

use serde::{Deserialize, Serialize};

use crate::frame::CameraId;

/// What a zone is for; the patterns ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ZoneKind {
    /// Where animals live; a person here at night is an incident.
    Pen,
    /// Where animals feed; too many at once is crowding.
    Trough,
    /// Where people may be at any time.
    Yard,
}

/// A polygon on one camera's picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Zone {
    /// Its name, unique on the farm.
    pub name: String,
    /// The camera that sees it.
    pub camera: CameraId,
    /// What it is for.
    pub kind: ZoneKind,
    /// Its corners in order, in shares of the picture's width and height.
    pub polygon: Vec<(f32, f32)>,
}

impl Zone {
    /// Whether a point lies inside, by the even-odd rule; linear in the corners.
    pub fn contains(&self, (x, y): (f32, f32)) -> bool {
        let mut inside = false;
        let n = self.polygon.len();
        for i in 0..n {
            let (xi, yi) = self.polygon[i];
            let (xj, yj) = self.polygon[(i + n - 1) % n];
            if (yi > y) != (yj > y) && x < (xj - xi) * (y - yi) / (yj - yi) + xi {
                inside = !inside;
            }
        }
        inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_inside_a_concave_zone_only_where_it_should_be() {
        let zone = Zone {
            name: "u".into(),
            camera: CameraId::new("c"),
            kind: ZoneKind::Pen,
            polygon: vec![
                (0.0, 0.0),
                (0.3, 0.0),
                (0.3, 0.7),
                (0.7, 0.7),
                (0.7, 0.0),
                (1.0, 0.0),
                (1.0, 1.0),
                (0.0, 1.0),
            ],
        };
        assert!(zone.contains((0.1, 0.1)));
        assert!(zone.contains((0.5, 0.9)));
        assert!(!zone.contains((0.5, 0.3)));
        assert!(!zone.contains((1.5, 0.9)));
    }
}
