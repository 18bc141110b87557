//! Detections placed in zones: what the patterns look at.

use std::collections::BTreeMap;

use crate::detection::Label;
use crate::frame::CameraId;
use crate::night::Night;
use crate::time::Timestamp;
use crate::tracking::{TrackId, Tracked};
use crate::zone::{Zone, ZoneKind};

/// The least score at which a detection counts.
pub const SCORE_MIN: f32 = 0.5;

/// One thing seen in one zone of one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Sighting {
    /// Unique: camera, frame and place in the frame.
    pub id: String,
    /// When the frame was taken.
    pub at: Timestamp,
    /// The camera that took it.
    pub camera: CameraId,
    /// The zone where it stands.
    pub zone: String,
    /// What that zone is for.
    pub zone_kind: ZoneKind,
    /// The track that it belongs to.
    pub track: Option<TrackId>,
    /// What was seen.
    pub label: Label,
    /// How sure the detector is.
    pub score: f32,
    /// Whether it was night.
    pub night: bool,
    /// How it looks.
    pub embedding: Vec<f32>,
}

/// How many animals stand in one trough's zone in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Census {
    /// Unique: camera, frame and zone.
    pub id: String,
    /// When the frame was taken.
    pub at: Timestamp,
    /// The camera that took it.
    pub camera: CameraId,
    /// The zone.
    pub zone: String,
    /// The number of animals.
    pub cattle: u32,
}

/// The zones of all cameras.
pub struct Zones {
    by_camera: BTreeMap<CameraId, Vec<Zone>>,
    night: Night,
}

impl Zones {
    /// The zones of a farm and its hours of night.
    pub fn new(zones: &[Zone], night: Night) -> Self {
        let mut by_camera: BTreeMap<CameraId, Vec<Zone>> = BTreeMap::new();
        for zone in zones {
            by_camera
                .entry(zone.camera.clone())
                .or_default()
                .push(zone.clone());
        }
        Self { by_camera, night }
    }

    /// The sightings of a frame, and the census of each trough that its camera sees.
    ///
    /// A detection counts in the first zone that holds its foot point; outside of all zones, or below
    /// [`SCORE_MIN`], it does not count. Linear in detections times zones of the camera.
    pub fn place(
        &self,
        camera: &CameraId,
        frame: u64,
        at: Timestamp,
        seen: &[Tracked],
    ) -> (Vec<Sighting>, Vec<Census>) {
        let zones = self.by_camera.get(camera).map_or(&[][..], Vec::as_slice);
        let night = self.night.contains(at);
        let mut cattle: BTreeMap<&str, u32> = zones
            .iter()
            .filter(|zone| zone.kind == ZoneKind::Trough)
            .map(|zone| (zone.name.as_str(), 0))
            .collect();
        let mut sightings = Vec::new();
        for (index, Tracked { track, detection }) in seen.iter().enumerate() {
            let foot = detection.rect.foot();
            let Some(zone) = zones.iter().find(|zone| zone.contains(foot)) else {
                continue;
            };
            if detection.score < SCORE_MIN {
                continue;
            }
            if detection.label == Label::Cattle
                && let Some(count) = cattle.get_mut(zone.name.as_str())
            {
                *count += 1;
            }
            sightings.push(Sighting {
                id: format!("{camera}/{frame}/{index}"),
                at,
                camera: camera.clone(),
                zone: zone.name.clone(),
                zone_kind: zone.kind,
                track: *track,
                label: detection.label,
                score: detection.score,
                night,
                embedding: detection.embedding.clone(),
            });
        }
        let census = cattle
            .into_iter()
            .map(|(zone, cattle)| Census {
                id: format!("{camera}/{frame}/{zone}"),
                at,
                camera: camera.clone(),
                zone: zone.to_owned(),
                cattle,
            })
            .collect();
        (sightings, census)
    }

    /// The camera that sees a zone.
    pub fn camera_of(&self, zone: &str) -> Option<&CameraId> {
        self.by_camera
            .iter()
            .find(|(_, zones)| zones.iter().any(|z| z.name == zone))
            .map(|(camera, _)| camera)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection::{Detection, Rect};

    fn zone(name: &str, kind: ZoneKind, left: f32, right: f32) -> Zone {
        let polygon = vec![(left, 0.0), (right, 0.0), (right, 1.0), (left, 1.0)];
        Zone {
            name: name.into(),
            camera: CameraId::new("cam"),
            kind,
            polygon,
        }
    }

    fn seen(label: Label, x: f32, score: f32) -> Tracked {
        let rect = Rect {
            x0: x - 0.05,
            y0: 0.4,
            x1: x + 0.05,
            y1: 0.6,
        };
        Tracked {
            track: None,
            detection: Detection {
                label,
                score,
                rect,
                embedding: vec![],
            },
        }
    }

    #[test]
    fn detections_count_where_their_feet_are_and_troughs_are_counted_even_when_empty() {
        let zones = Zones::new(
            &[
                zone("pen", ZoneKind::Pen, 0.0, 0.5),
                zone("trough", ZoneKind::Trough, 0.5, 0.9),
            ],
            Night::default(),
        );
        let camera = CameraId::new("cam");
        let at = Timestamp::from_millis(0);
        let detections = [
            seen(Label::Cattle, 0.2, 0.9),
            seen(Label::Cattle, 0.6, 0.9),
            seen(Label::Cattle, 0.7, 0.4),
            seen(Label::Person, 0.8, 0.9),
            seen(Label::Cattle, 0.95, 0.9),
        ];
        let (sightings, census) = zones.place(&camera, 7, at, &detections);
        let places: Vec<_> = sightings
            .iter()
            .map(|s| (s.label, s.zone.as_str()))
            .collect();
        assert_eq!(
            places,
            [
                (Label::Cattle, "pen"),
                (Label::Cattle, "trough"),
                (Label::Person, "trough")
            ]
        );
        assert!(sightings.iter().all(|s| s.night));
        assert_eq!(census.len(), 1);
        assert_eq!((census[0].zone.as_str(), census[0].cattle), ("trough", 1));
        let (_, empty) = zones.place(&camera, 8, at, &[]);
        assert_eq!(empty[0].cattle, 0);
        assert_eq!(
            zones.place(&CameraId::new("other"), 0, at, &detections),
            (vec![], vec![])
        );
    }
}
