//! Distance kernels: one table of functions, chosen once for the machine that the code runs on.
//!
//! Rows are padded with zeros to 64 bytes, so kernels have no tails: `f32` rows have a multiple of
//! 16 components, halves of 32, `i8` rows a multiple of 64. Zeros add nothing to any of the sums. Bits
//! come in whole words, cells of a column in any number. Codes lie in
//! -127..=127 (never -128), which is what the sign trick of the AVX2 kernel needs.
//!
//! Integer kernels equal the scalar one exactly; float kernels differ by the order of the sum only.
//!
//! The environment variable `RUVECTOR_KERNELS` names another table that the machine runs, so that each
//! can be tested and measured on one machine.

mod scalar;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

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
    /// Sets the bits of the values that lie between two bounds, both included; a NaN never does. One
    /// word a 64 values is written, and the rest of the words left alone.
    pub within_f64: fn(&[f64], f64, f64, &mut [u64]),
    /// Sets the bits of the values that equal one; words as for `within_f64`.
    pub equal_u32: fn(&[u32], u32, &mut [u64]),
}

/// Number of bits that differ, a word at a time.
fn count_differing(a: &[u64], b: &[u64]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// The test of up to 64 values as bits.
#[inline(always)]
fn word_of<T>(values: &[T], test: impl Fn(&T) -> bool) -> u64 {
    let bits = values.iter().enumerate();
    bits.fold(0, |word, (at, value)| word | u64::from(test(value)) << at)
}

/// The fastest table that this machine runs, or the one of those that the environment names.
pub(crate) fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let tables = available();
        let named = std::env::var("RUVECTOR_KERNELS").ok();
        let named = named.and_then(|name| tables.iter().find(|table| table.name == name));
        let chosen = named.or(tables.last()).copied();
        chosen.unwrap_or(scalar::KERNELS)
    })
}

/// All tables that this machine runs, the fastest last.
fn available() -> Vec<Kernels> {
    #[allow(unused_mut, reason = "only the scalar table exists on other machines")]
    let mut tables = vec![scalar::KERNELS];
    #[cfg(target_arch = "x86_64")]
    tables.extend(avx2::kernels().into_iter().chain(avx512::kernels()));
    #[cfg(target_arch = "aarch64")]
    tables.extend(neon::kernels());
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
    #[cfg(target_arch = "aarch64")]
    {
        let start = row.as_ptr().cast::<u8>();
        let mut at = 0;
        while at < size_of_val(row) {
            // SAFETY: as above.
            unsafe {
                std::arch::asm!("prfm pldl1keep, [{line}]", line = in(reg) start.add(at),
                    options(nostack, preserves_flags, readonly));
            }
            at += 64;
        }
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
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
        fn cells_are_compared_as_one_by_one(
            cells in proptest::collection::vec(prop_oneof![5 => (-4..4_i8).prop_map(f64::from), 1 => Just(f64::NAN)], 0..300),
            low in -4..4_i8,
            width in 0..4_i8,
        ) {
            let (low, high) = (f64::from(low), f64::from(low + width));
            let codes: Vec<u32> = cells.iter().map(|cell| *cell as i32 as u32).collect();
            for table in available() {
                let mut words = vec![u64::MAX; cells.len().div_ceil(64)];
                (table.within_f64)(&cells, low, high, &mut words);
                for (at, cell) in cells.iter().enumerate() {
                    prop_assert_eq!(words[at / 64] >> (at % 64) & 1 == 1, low <= *cell && *cell <= high, "{}", table.name);
                }
                (table.equal_u32)(&codes, low as i32 as u32, &mut words);
                for (at, code) in codes.iter().enumerate() {
                    prop_assert_eq!(words[at / 64] >> (at % 64) & 1 == 1, *code == low as i32 as u32, "{}", table.name);
                }
                let past = words.last().map_or(0, |word| word >> 1 >> ((cells.len() + 63) % 64));
                prop_assert_eq!(past, 0, "{}", table.name);
            }
        }

        #[test]
        fn bits_that_differ_are_counted(a in proptest::collection::vec(any::<u64>(), 16), b in proptest::collection::vec(any::<u64>(), 16)) {
            let naive = (0..1024).filter(|at| (a[at / 64] ^ b[at / 64]) >> (at % 64) & 1 == 1).count();
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
