//! Of boxes that show the same thing, the surest stays.

use crate::detection::{Label, Rect};

/// A box before its looks are described.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Candidate {
    pub label: Label,
    pub score: f32,
    pub rect: Rect,
}

/// Greedy non-maximum suppression for each label: the surest first, and what overlaps it by more than
/// `iou_max` goes, until `keep` are kept. Quadratic in the candidates.
pub(super) fn suppress(
    mut candidates: Vec<Candidate>,
    iou_max: f32,
    keep: usize,
) -> Vec<Candidate> {
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() == keep {
            break;
        }
        let same = |other: &Candidate| {
            other.label == candidate.label && other.rect.iou(&candidate.rect) > iou_max
        };
        if !kept.iter().any(same) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(label: Label, score: f32, x0: f32) -> Candidate {
        Candidate {
            label,
            score,
            rect: Rect {
                x0,
                y0: 0.0,
                x1: x0 + 0.4,
                y1: 0.4,
            },
        }
    }

    #[test]
    fn the_surest_of_overlapping_boxes_stays_and_others_are_untouched() {
        let kept = suppress(
            vec![
                candidate(Label::Cattle, 0.6, 0.02),
                candidate(Label::Cattle, 0.9, 0.0),
                candidate(Label::Person, 0.5, 0.0),
                candidate(Label::Cattle, 0.4, 0.5),
            ],
            0.5,
            10,
        );
        let shown: Vec<_> = kept.iter().map(|c| (c.label, c.score)).collect();
        assert_eq!(
            shown,
            [
                (Label::Cattle, 0.9),
                (Label::Person, 0.5),
                (Label::Cattle, 0.4)
            ]
        );
    }

    #[test]
    fn at_most_so_many_are_kept_and_they_are_the_surest() {
        let many = (0..5)
            .map(|i| candidate(Label::Dog, i as f32 / 10.0, i as f32))
            .collect();
        let kept = suppress(many, 0.5, 2);
        assert_eq!(kept.iter().map(|c| c.score).collect::<Vec<_>>(), [0.4, 0.3]);
    }
}
