//! The portable kernels: plain loops that the compiler may vectorise for its baseline.

use super::Kernels;

pub(super) const KERNELS: Kernels = Kernels {
    name: "scalar",
    dot_f32,
    l2_f32,
    dot_i8,
    dot_i8_x4,
    dot_f16,
    l2_f16,
    hamming: super::count_differing,
    within_f64,
    equal_u32,
};

const LANES: usize = 16;

/// Sums in sixteen lanes, so that the order does not depend on what the compiler does.
fn lanes<T: Copy>(a: &[f32], b: &[T], term: impl Fn(f32, T) -> f32) -> f32 {
    debug_assert_eq!(a.len(), b.len(), "rows of two lengths");
    let mut sums = [0.0_f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for (sum, (x, y)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += term(*x, *y);
        }
    }
    sums.iter().sum()
}

fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    lanes(a, b, |x, y| x * y)
}

fn l2_f32(a: &[f32], b: &[f32]) -> f32 {
    lanes(a, b, |x, y| (x - y) * (x - y))
}

fn half(bits: u16) -> f32 {
    half::f16::from_bits(bits).to_f32()
}

fn dot_f16(a: &[f32], b: &[u16]) -> f32 {
    lanes(a, b, |x, y| x * half(y))
}

fn l2_f16(a: &[f32], b: &[u16]) -> f32 {
    lanes(a, b, |x, y| (x - half(y)) * (x - half(y)))
}

fn within_f64(cells: &[f64], low: f64, high: f64, words: &mut [u64]) {
    for (word, cells) in words.iter_mut().zip(cells.chunks(64)) {
        *word = super::word_of(cells, |cell| (*cell >= low) & (*cell <= high));
    }
}

fn equal_u32(cells: &[u32], wanted: u32, words: &mut [u64]) {
    for (word, cells) in words.iter_mut().zip(cells.chunks(64)) {
        *word = super::word_of(cells, |cell| *cell == wanted);
    }
}

fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(x, y)| i32::from(*x) * i32::from(*y))
        .sum()
}

fn dot_i8_x4(a: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
    rows.map(|row| dot_i8(a, row))
}
