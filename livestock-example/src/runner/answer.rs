//! A detector's answer, checked before anything of it is used.

use crate::detection::{Detection, Label, Rect};

use super::proto;

/// The most detections of one frame.
pub(super) const DETECTIONS_MAX: usize = 1000;
/// The most numbers of one embedding.
pub(super) const EMBEDDING_MAX: usize = 4096;
/// How far a box may reach out of the picture, in shares of it.
const OUTSIDE_MAX: f32 = 1.0;

/// The detections of an answer.
///
/// # Errors
/// What makes no sense.
pub(super) fn check(
    answer: proto::Detections,
    embedding_length: usize,
) -> Result<Vec<Detection>, String> {
    if answer.detections.len() > DETECTIONS_MAX {
        return Err(format!(
            "{} detections, allowed are {DETECTIONS_MAX}",
            answer.detections.len()
        ));
    }
    answer
        .detections
        .into_iter()
        .map(|detection| check_one(detection, embedding_length))
        .collect()
}

fn check_one(found: proto::Detection, embedding_length: usize) -> Result<Detection, String> {
    if !(0.0..=1.0).contains(&found.score) {
        return Err(format!("a score of {}", found.score));
    }
    let corners = [found.x0, found.y0, found.x1, found.y1];
    let near = corners
        .iter()
        .all(|c| (-OUTSIDE_MAX..=1.0 + OUTSIDE_MAX).contains(c));
    if !near || found.x0 > found.x1 || found.y0 > found.y1 {
        return Err(format!("a box of {corners:?}"));
    }
    if !found.embedding.is_empty() && found.embedding.len() != embedding_length {
        let length = found.embedding.len();
        return Err(format!(
            "an embedding of {length} numbers, announced were {embedding_length}"
        ));
    }
    if found.embedding.iter().any(|value| !value.is_finite()) {
        return Err("an embedding that holds no number".into());
    }
    let [x0, y0, x1, y1] = corners;
    Ok(Detection {
        label: Label::from_name(&found.label),
        score: found.score,
        rect: Rect { x0, y0, x1, y1 },
        embedding: found.embedding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> proto::Detection {
        proto::Detection {
            label: "cattle".into(),
            score: 0.9,
            x0: 0.1,
            y0: 0.1,
            x1: 0.2,
            y1: 0.2,
            embedding: vec![0.5; 4],
        }
    }

    fn checked(change: impl Fn(&mut proto::Detection)) -> Result<Vec<Detection>, String> {
        let mut detection = good();
        change(&mut detection);
        check(
            proto::Detections {
                detections: vec![detection],
                model_us: 1,
            },
            4,
        )
    }

    #[test]
    fn a_good_answer_is_taken_and_rubbish_is_told() {
        assert_eq!(checked(|_| {}).unwrap()[0].label, Label::Cattle);
        assert_eq!(
            checked(|d| d.label = "unicorn".into()).unwrap()[0].label,
            Label::Other
        );
        assert!(checked(|d| d.embedding.clear()).is_ok());
        assert!(
            checked(|d| d.score = f32::NAN)
                .unwrap_err()
                .contains("score")
        );
        assert!(checked(|d| d.score = 1.1).is_err());
        assert!(checked(|d| d.x1 = 0.0).unwrap_err().contains("box"));
        assert!(checked(|d| d.y0 = f32::INFINITY).is_err());
        assert!(
            checked(|d| d.embedding.push(1.0))
                .unwrap_err()
                .contains("5 numbers")
        );
        assert!(checked(|d| d.embedding[0] = f32::NAN).is_err());
        let many = proto::Detections {
            detections: vec![good(); DETECTIONS_MAX + 1],
            model_us: 1,
        };
        assert!(check(many, 4).unwrap_err().contains("1001"));
    }
}
