//! Eight-bit codes: each vector keeps its own scale, so nothing is trained and nothing drifts.
//!
//! `component = code * scale`, codes in -127..=127, `scale = max|component| / 127`. The error of a
//! component is at most half a scale.

use crate::arena::{Arena, padded};

/// What turns an integer product of codes back into a distance.
#[derive(Debug, Default, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Scale {
    /// Value of one code step.
    pub step: f32,
    /// Squared length of the decoded vector.
    pub norm: f32,
}

/// Writes the codes of `vector` into `codes` (as long or longer; the rest becomes zero).
pub(crate) fn encode(vector: &[f32], codes: &mut [i8]) -> Scale {
    let largest = vector.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    codes.fill(0);
    let step = largest / 127.0;
    // Too small to divide by: all codes are zero.
    if step < f32::MIN_POSITIVE {
        return Scale {
            step: 0.0,
            norm: 0.0,
        };
    }
    let inverse = 1.0 / step;
    let mut sum = 0_i64;
    for (code, x) in codes.iter_mut().zip(vector) {
        let rounded = (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
        *code = rounded;
        sum += i64::from(rounded) * i64::from(rounded);
    }
    Scale {
        step,
        norm: (sum as f64 * f64::from(step) * f64::from(step)) as f32,
    }
}

/// The codes of all slots.
pub(crate) struct Codes {
    pub rows: Arena<i8>,
    pub scales: Vec<Scale>,
}

impl Codes {
    pub fn new(dim: usize) -> Self {
        Self {
            rows: Arena::new(padded::<i8>(dim)),
            scales: Vec::new(),
        }
    }

    pub fn push(&mut self, vector: &[f32]) {
        let mut codes = vec![0; self.rows.stride()];
        self.scales.push(encode(vector, &mut codes));
        self.rows.push(&codes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_component_is_off_by_half_a_step_at_most(vector in proptest::collection::vec(-1e3_f32..1e3, 1..200)) {
            let mut codes = vec![0; vector.len() + 3];
            let scale = encode(&vector, &mut codes);
            for (x, code) in vector.iter().zip(&codes) {
                prop_assert!((x - f32::from(*code) * scale.step).abs() <= scale.step * 0.501);
            }
            prop_assert!(codes.iter().all(|code| *code != i8::MIN));
        }
    }

    #[test]
    fn a_zero_vector_has_zero_codes() {
        let mut codes = vec![1; 8];
        assert_eq!(
            encode(&[0.0; 8], &mut codes),
            Scale {
                step: 0.0,
                norm: 0.0
            }
        );
        assert_eq!(codes, [0; 8]);
    }
}
