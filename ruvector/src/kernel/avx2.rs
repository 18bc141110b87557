//! AVX2 + FMA + F16C: every x86-64 machine since about 2013.

use std::arch::x86_64::*;

use super::Kernels;

/// The table, if this machine has the instructions.
pub(super) fn kernels() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("popcnt");
    has.then_some(Kernels {
        name: "avx2",
        // SAFETY: the table is only handed out after the features were detected.
        dot_f32: |a, b| unsafe { dot_f32(a, b) },
        // SAFETY: the table is only handed out after the features were detected.
        l2_f32: |a, b| unsafe { l2_f32(a, b) },
        // SAFETY: the table is only handed out after the features were detected.
        dot_i8: |a, b| unsafe { dot_i8(a, b) },
        // SAFETY: the table is only handed out after the features were detected.
        dot_i8_x4: |a, rows| unsafe { dot_i8_x4(a, rows) },
        // SAFETY: the table is only handed out after the features were detected.
        dot_f16: |a, b| unsafe { dot_f16(a, b) },
        // SAFETY: the table is only handed out after the features were detected.
        l2_f16: |a, b| unsafe { l2_f16(a, b) },
        // SAFETY: the table is only handed out after the features were detected.
        hamming: |a, b| unsafe { hamming(a, b) },
    })
}

#[target_feature(enable = "avx2,fma")]
fn sum_f32(v: __m256) -> f32 {
    let half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let pair = _mm_add_ps(half, _mm_movehl_ps(half, half));
    _mm_cvtss_f32(_mm_add_ss(pair, _mm_shuffle_ps::<1>(pair, pair)))
}

#[target_feature(enable = "avx2,fma")]
fn sum_i32(v: __m256i) -> i32 {
    let half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let pair = _mm_add_epi32(half, _mm_shuffle_epi32::<0b_01_00_11_10>(half));
    _mm_cvtsi128_si32(_mm_add_epi32(
        pair,
        _mm_shuffle_epi32::<0b_10_11_00_01>(pair),
    ))
}

#[target_feature(enable = "avx2,fma")]
fn dot_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both chunks have 16 floats, `lane * 8 + 8 <= 16`.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_ps(a.as_ptr().add(lane * 8)),
                    _mm256_loadu_ps(b.as_ptr().add(lane * 8)),
                )
            };
            *sum = _mm256_fmadd_ps(x, y, *sum);
        }
    }
    sum_f32(_mm256_add_ps(sums[0], sums[1]))
}

#[target_feature(enable = "avx2,fma")]
fn l2_f32(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both chunks have 16 floats, `lane * 8 + 8 <= 16`.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_ps(a.as_ptr().add(lane * 8)),
                    _mm256_loadu_ps(b.as_ptr().add(lane * 8)),
                )
            };
            let d = _mm256_sub_ps(x, y);
            *sum = _mm256_fmadd_ps(d, d, *sum);
        }
    }
    sum_f32(_mm256_add_ps(sums[0], sums[1]))
}

/// `sum += |q| * (x with the sign of q)`, which is `q * x` without a signed-by-signed multiply.
/// Two products of codes in -127..=127 fit an i16, so `maddubs` never saturates.
#[target_feature(enable = "avx2,fma")]
fn step(sum: __m256i, q: __m256i, magnitude: __m256i, x: __m256i) -> __m256i {
    let pairs = _mm256_maddubs_epi16(magnitude, _mm256_sign_epi8(x, q));
    _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
}

#[target_feature(enable = "avx2,fma")]
fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let mut sums = [_mm256_setzero_si256(); 2];
    for (a, b) in a.chunks_exact(64).zip(b.chunks_exact(64)) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both chunks have 64 bytes, `lane * 32 + 32 <= 64`.
            let (q, x) = unsafe {
                (
                    _mm256_loadu_si256(a.as_ptr().add(lane * 32).cast()),
                    _mm256_loadu_si256(b.as_ptr().add(lane * 32).cast()),
                )
            };
            *sum = step(*sum, q, _mm256_abs_epi8(q), x);
        }
    }
    sum_i32(_mm256_add_epi32(sums[0], sums[1]))
}

#[target_feature(enable = "avx2,fma")]
fn dot_i8_x4(a: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
    let length = rows
        .iter()
        .map(|row| row.len())
        .min()
        .unwrap_or(0)
        .min(a.len());
    let mut sums = [_mm256_setzero_si256(); 4];
    let mut at = 0;
    while at + 32 <= length {
        // SAFETY: `at + 32 <= length`, and no row is shorter than `length`.
        let q = unsafe { _mm256_loadu_si256(a.as_ptr().add(at).cast()) };
        let magnitude = _mm256_abs_epi8(q);
        for (sum, row) in sums.iter_mut().zip(rows) {
            // SAFETY: as above.
            let x = unsafe { _mm256_loadu_si256(row.as_ptr().add(at).cast()) };
            *sum = step(*sum, q, magnitude, x);
        }
        at += 32;
    }
    sums.map(|sum| sum_i32(sum))
}

#[target_feature(enable = "avx2,fma,f16c")]
fn dot_f16(a: &[f32], b: &[u16]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both chunks have 16 values, `lane * 8 + 8 <= 16`.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_ps(a.as_ptr().add(lane * 8)),
                    _mm256_cvtph_ps(_mm_loadu_si128(b.as_ptr().add(lane * 8).cast())),
                )
            };
            *sum = _mm256_fmadd_ps(x, y, *sum);
        }
    }
    sum_f32(_mm256_add_ps(sums[0], sums[1]))
}

#[target_feature(enable = "avx2,fma,f16c")]
fn l2_f16(a: &[f32], b: &[u16]) -> f32 {
    let mut sums = [_mm256_setzero_ps(); 2];
    for (a, b) in a.chunks_exact(16).zip(b.chunks_exact(16)) {
        for (lane, sum) in sums.iter_mut().enumerate() {
            // SAFETY: both chunks have 16 values, `lane * 8 + 8 <= 16`.
            let (x, y) = unsafe {
                (
                    _mm256_loadu_ps(a.as_ptr().add(lane * 8)),
                    _mm256_cvtph_ps(_mm_loadu_si128(b.as_ptr().add(lane * 8).cast())),
                )
            };
            let d = _mm256_sub_ps(x, y);
            *sum = _mm256_fmadd_ps(d, d, *sum);
        }
    }
    sum_f32(_mm256_add_ps(sums[0], sums[1]))
}

#[target_feature(enable = "avx2,popcnt")]
fn hamming(a: &[u64], b: &[u64]) -> u32 {
    // With `popcnt` this is one instruction a word.
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}
