//! Distance kernels: one table of functions, chosen once for the machine that the code runs on.
//!
//! Rows are padded with zeros to 64 bytes, so no kernel has a tail: `f32` rows have a multiple of
//! 16 components, halves of 32, `i8` rows a multiple of 64, bits of 512. Zeros add nothing to any of the sums. Codes lie in
//! -127..=127 (never -128), which is what the sign trick of the AVX2 kernel needs.
//!
//! Integer kernels equal the scalar one exactly; float kernels differ by the order of the sum only.

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;

use std::sync::OnceLock;

/// The functions that the rest of the crate calls. Both rows of a call have the same length.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kernels {
    /// Name of the instruction set, for statistics.
    pub name: &'static str,
    /// Inner product.
    pub dot_f32: fn(&[f32], &[f32]) -> f32,
    /// Squared Euclidean distance.
    pub l2_f32: fn(&[f32], &[f32]) -> f32,
    /// Inner product of codes.
    pub dot_i8: fn(&[i8], &[i8]) -> i32,
    /// Inner products of one row with four: loads of the first row are shared.
    pub dot_i8_x4: fn(&[i8], [&[i8]; 4]) -> [i32; 4],
    /// Inner product of floats with the bits of halves.
    pub dot_f16: fn(&[f32], &[u16]) -> f32,
    /// Squared Euclidean distance of floats to the bits of halves.
    pub l2_f16: fn(&[f32], &[u16]) -> f32,
    /// Number of bits that differ.
    pub hamming: fn(&[u64], &[u64]) -> u32,
}

/// The fastest table that this machine runs.
pub(crate) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| available().pop().unwrap_or(scalar::KERNELS))
}

/// All tables that this machine runs, the fastest last.
fn available() -> Vec<Kernels> {
    #[allow(unused_mut, reason = "only the scalar table exists on other machines")]
    let mut tables = vec![scalar::KERNELS];
    #[cfg(target_arch = "x86_64")]
    tables.extend(avx2::kernels());
    tables
}

/// Asks the memory system for the lines of a row that will be read soon.
#[inline(always)]
pub(crate) fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let start = row.as_ptr().cast::<i8>();
        let mut at = 0;
        while at < size_of_val(row) {
            // SAFETY: a prefetch is a hint: the program cannot see what it reads, it cannot fault,
            // and `start + at` lies inside `row`.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(start.add(at)) };
            at += 64;
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn floats() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        (1_usize..20).prop_flat_map(|n| {
            let row = proptest::collection::vec(-1.0_f32..1.0, n * 16);
            (row.clone(), row)
        })
    }

    fn codes() -> impl Strategy<Value = Vec<Vec<i8>>> {
        (1_usize..12).prop_flat_map(|n| {
            proptest::collection::vec(proptest::collection::vec(-127_i8..=127, n * 64), 5)
        })
    }

    proptest! {
        #[test]
        fn float_kernels_equal_the_double_sum_within_rounding((a, b) in floats()) {
            let dot: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            let l2: f64 = a.iter().zip(&b).map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2)).sum();
            let bound = a.len() as f64 * f64::from(f32::EPSILON) * 4.0;
            for table in available() {
                prop_assert!((f64::from((table.dot_f32)(&a, &b)) - dot).abs() <= bound, "{}", table.name);
                prop_assert!((f64::from((table.l2_f32)(&a, &b)) - l2).abs() <= bound, "{}", table.name);
            }
        }

        #[test]
        fn code_kernels_equal_the_integer_sum_exactly(rows in codes()) {
            let naive = |a: &[i8], b: &[i8]| -> i32 { a.iter().zip(b).map(|(x, y)| i32::from(*x) * i32::from(*y)).sum() };
            let four = [&rows[1][..], &rows[2], &rows[3], &rows[4]];
            for table in available() {
                let found = (table.dot_i8_x4)(&rows[0], four);
                for (found, row) in found.into_iter().zip(four) {
                    prop_assert_eq!(found, naive(&rows[0], row), "{}", table.name);
                    prop_assert_eq!((table.dot_i8)(&rows[0], row), naive(&rows[0], row), "{}", table.name);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn half_kernels_equal_the_double_sum_within_rounding((a, b) in floats()) {
            let bits: Vec<u16> = b.iter().map(|x| half::f16::from_f32(*x).to_bits()).collect();
            let halves = || bits.iter().map(|bits| half::f16::from_bits(*bits).to_f64());
            let dot: f64 = a.iter().zip(halves()).map(|(x, y)| f64::from(*x) * y).sum();
            let l2: f64 = a.iter().zip(halves()).map(|(x, y)| (f64::from(*x) - y).powi(2)).sum();
            let bound = a.len() as f64 * f64::from(f32::EPSILON) * 4.0;
            for table in available() {
                prop_assert!((f64::from((table.dot_f16)(&a, &bits)) - dot).abs() <= bound, "{}", table.name);
                prop_assert!((f64::from((table.l2_f16)(&a, &bits)) - l2).abs() <= bound, "{}", table.name);
            }
        }

        #[test]
        fn bits_that_differ_are_counted(a in proptest::collection::vec(any::<u64>(), 8), b in proptest::collection::vec(any::<u64>(), 8)) {
            let naive = (0..512).filter(|at| (a[at / 64] ^ b[at / 64]) >> (at % 64) & 1 == 1).count();
            for table in available() {
                prop_assert_eq!((table.hamming)(&a, &b) as usize, naive, "{}", table.name);
            }
        }
    }

    #[test]
    fn extreme_codes_do_not_saturate() {
        for (x, y) in [(127, 127), (-127, 127), (-127, -127)] {
            let (a, b) = (vec![x; 4096], vec![y; 4096]);
            for table in available() {
                assert_eq!((table.dot_i8)(&a, &b), i32::from(x) * i32::from(y) * 4096);
                assert_eq!(
                    (table.dot_i8_x4)(&a, [&b, &b, &b, &b]),
                    [i32::from(x) * i32::from(y) * 4096; 4]
                );
            }
        }
    }
}
