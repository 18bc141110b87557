//! The default boxes that the model's answers are relative to.
//!
//! After W. Liu et al., *SSD: Single Shot MultiBox Detector*, ECCV 2016, section 2.2, with the layers and
//! scales of SSD-MobileNetV2 at 300 x 300.

use crate::detection::Rect;

/// Pixels across and down the model's input.
pub(super) const INPUT_SIDE: usize = 300;
/// Default boxes in all.
pub(super) const ANCHORS: usize = 1917;

const STRIDES: [usize; 6] = [16, 32, 64, 128, 256, 512];
const SCALE_FIRST: f32 = 0.2;
const SCALE_LAST: f32 = 0.95;
/// The smallest box, only in the finest layer.
const SCALE_LEAST: f32 = 0.1;
const RATIOS: [f32; 5] = [1.0, 2.0, 0.5, 3.0, 1.0 / 3.0];
const CENTRE_VARIANCE: f32 = 10.0;
const SIZE_VARIANCE: f32 = 5.0;

/// A default box, in shares of the input.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Anchor {
    x: f32,
    y: f32,
    width: f32,
    height: f32,
}

impl Anchor {
    /// The box that the model means by `[dy, dx, log height, log width]`, cut at the edges of the picture.
    /// Numbers that are not finite give `None`.
    pub fn decode(&self, code: [f32; 4]) -> Option<Rect> {
        let [dy, dx, height, width] = code;
        let x = self.x + dx / CENTRE_VARIANCE * self.width;
        let y = self.y + dy / CENTRE_VARIANCE * self.height;
        let half_width = (width / SIZE_VARIANCE).exp() * self.width / 2.0;
        let half_height = (height / SIZE_VARIANCE).exp() * self.height / 2.0;
        let corners = [
            x - half_width,
            y - half_height,
            x + half_width,
            y + half_height,
        ];
        if corners.iter().any(|corner| !corner.is_finite()) {
            return None;
        }
        let [x0, y0, x1, y1] = corners.map(|corner| corner.clamp(0.0, 1.0));
        Some(Rect { x0, y0, x1, y1 })
    }
}

/// All default boxes in the order of the model's outputs: layer, row, column, shape.
pub(super) fn anchors() -> Vec<Anchor> {
    let scale = |layer: usize| {
        if layer < STRIDES.len() {
            SCALE_FIRST + (SCALE_LAST - SCALE_FIRST) * layer as f32 / (STRIDES.len() - 1) as f32
        } else {
            1.0
        }
    };
    let mut anchors = Vec::with_capacity(ANCHORS);
    for (layer, stride) in STRIDES.into_iter().enumerate() {
        let shapes = shapes(layer, scale(layer), scale(layer + 1));
        let cells = INPUT_SIDE.div_ceil(stride);
        let centre = |cell: usize| (cell as f32 + 0.5) / cells as f32;
        for row in 0..cells {
            for column in 0..cells {
                let (x, y) = (centre(column), centre(row));
                anchors.extend(shapes.iter().map(|&(width, height)| Anchor {
                    x,
                    y,
                    width,
                    height,
                }));
            }
        }
    }
    anchors
}

/// Width and height of the boxes at each cell of a layer.
fn shapes(layer: usize, scale: f32, next: f32) -> Vec<(f32, f32)> {
    let shape = |scale: f32, ratio: f32| (scale * ratio.sqrt(), scale / ratio.sqrt());
    if layer == 0 {
        return vec![
            shape(SCALE_LEAST, 1.0),
            shape(scale, 2.0),
            shape(scale, 0.5),
        ];
    }
    let mut shapes: Vec<_> = RATIOS.iter().map(|&ratio| shape(scale, ratio)).collect();
    shapes.push(shape((scale * next).sqrt(), 1.0));
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(a: f32, b: f32) -> bool {
        (a - b).abs() < 1e-5
    }

    #[test]
    fn there_are_as_many_anchors_as_the_model_has_answers() {
        let anchors = anchors();
        assert_eq!(anchors.len(), ANCHORS);
        let first = anchors[0];
        assert!(near(first.x, 0.5 / 19.0) && near(first.width, 0.1) && near(first.height, 0.1));
        // The second shape of the first layer is twice as wide as high, and of area 0.2 squared.
        assert!(near(anchors[1].width, 2.0 * anchors[1].height));
        assert!(near(anchors[1].width * anchors[1].height, 0.04));
        let last = anchors[ANCHORS - 1];
        assert!(near(last.x, 0.5) && near(last.y, 0.5) && near(last.width, 0.95_f32.sqrt()));
    }

    #[test]
    fn a_row_is_walked_before_the_next() {
        let anchors = anchors();
        assert!(anchors[3].x > anchors[0].x && near(anchors[3].y, anchors[0].y));
        assert!(near(anchors[19 * 3].x, anchors[0].x) && anchors[19 * 3].y > anchors[0].y);
    }

    #[test]
    fn decoding_moves_and_grows_the_anchor() {
        let anchor = Anchor {
            x: 0.5,
            y: 0.5,
            width: 0.2,
            height: 0.4,
        };
        let same = anchor.decode([0.0; 4]).unwrap();
        assert!(
            near(same.x0, 0.4) && near(same.y0, 0.3) && near(same.x1, 0.6) && near(same.y1, 0.7)
        );
        let moved = anchor.decode([0.0, 10.0, 0.0, 5.0 * 2.0_f32.ln()]).unwrap();
        assert!(near(moved.x0, 0.5) && near(moved.x1, 0.9), "{moved:?}");
        let cut = anchor.decode([0.0, 0.0, 100.0, 100.0]).unwrap();
        assert_eq!((cut.x0, cut.y0, cut.x1, cut.y1), (0.0, 0.0, 1.0, 1.0));
        assert_eq!(anchor.decode([f32::NAN, 0.0, 0.0, 0.0]), None);
        assert_eq!(anchor.decode([0.0, 0.0, f32::INFINITY, 0.0]), None);
    }
}
