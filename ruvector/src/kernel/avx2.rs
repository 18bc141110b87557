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
        // SAFETY: the table is only handed out after the features were detected.
        within_f64: |cells, low, high, words| unsafe { within_f64(cells, low, high, words) },
        // SAFETY: the table is only handed out after the features were detected.
        equal_u32: |cells, wanted, words| unsafe { equal_u32(cells, wanted, words) },
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

/// Values of a register, and registers that are summed side by side: the latency of a sum is four.
const LANES: usize = 8;
const SUMS: usize = 4;

#[inline]
#[target_feature(enable = "avx2")]
fn floats(values: &[f32; LANES]) -> __m256 {
    // SAFETY: eight floats.
    unsafe { _mm256_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx2,f16c")]
fn halves(bits: &[u16; LANES]) -> __m256 {
    // SAFETY: eight halves, 16 bytes.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(bits.as_ptr().cast()) })
}

macro_rules! float_kernel {
    ($name:ident, $value:ty, $load:ident, $sum:ident, $x:ident, $y:ident => $step:expr) => {
        #[target_feature(enable = "avx2,fma,f16c")]
        fn $name(a: &[f32], b: &[$value]) -> f32 {
            debug_assert_eq!(a.len(), b.len(), "rows of two lengths");
            let mut sums = [_mm256_setzero_ps(); SUMS];
            let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
            let (a4, a_rest) = a.as_chunks::<SUMS>();
            let (b4, b_rest) = b.as_chunks::<SUMS>();
            for (a, b) in a4.iter().zip(b4) {
                for lane in 0..SUMS {
                    let ($sum, $x, $y) = (sums[lane], floats(&a[lane]), $load(&b[lane]));
                    sums[lane] = $step;
                }
            }
            for (lane, (a, b)) in a_rest.iter().zip(b_rest).enumerate() {
                let ($sum, $x, $y) = (sums[lane], floats(a), $load(b));
                sums[lane] = $step;
            }
            let [a, b, c, d] = sums;
            sum_f32(_mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d)))
        }
    };
}

float_kernel!(dot_f32, f32, floats, sum, x, y => _mm256_fmadd_ps(x, y, sum));
float_kernel!(dot_f16, u16, halves, sum, x, y => _mm256_fmadd_ps(x, y, sum));
float_kernel!(l2_f32, f32, floats, sum, x, y => {
    let d = _mm256_sub_ps(x, y);
    _mm256_fmadd_ps(d, d, sum)
});
float_kernel!(l2_f16, u16, halves, sum, x, y => {
    let d = _mm256_sub_ps(x, y);
    _mm256_fmadd_ps(d, d, sum)
});

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

/// Counts bits by a table of sixteen nibbles (Muła, Kurz and Lemire, 2018).
#[target_feature(enable = "avx2,popcnt")]
fn hamming(a: &[u64], b: &[u64]) -> u32 {
    let load = |words: &[u64; 4]| {
        // SAFETY: 32 bytes.
        unsafe { _mm256_loadu_si256(words.as_ptr().cast()) }
    };
    let table = _mm256_setr_epi8(
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
    );
    let nibble = _mm256_set1_epi8(0x0f);
    let (a, a_rest) = a.as_chunks::<4>();
    let (b, b_rest) = b.as_chunks::<4>();
    let mut sum = _mm256_setzero_si256();
    for (a, b) in a.iter().zip(b) {
        let differ = _mm256_xor_si256(load(a), load(b));
        let low = _mm256_and_si256(differ, nibble);
        let high = _mm256_and_si256(_mm256_srli_epi16::<4>(differ), nibble);
        let counts = _mm256_add_epi8(
            _mm256_shuffle_epi8(table, low),
            _mm256_shuffle_epi8(table, high),
        );
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(counts, _mm256_setzero_si256()));
    }
    let half = _mm_add_epi64(
        _mm256_castsi256_si128(sum),
        _mm256_extracti128_si256::<1>(sum),
    );
    let total = _mm_cvtsi128_si64(half) + _mm_extract_epi64::<1>(half);
    total as u32 + super::count_differing(a_rest, b_rest)
}

#[target_feature(enable = "avx2")]
fn within_f64(cells: &[f64], low: f64, high: f64, words: &mut [u64]) {
    let (low4, high4) = (_mm256_set1_pd(low), _mm256_set1_pd(high));
    let (blocks, rest) = cells.as_chunks::<64>();
    for (word, block) in words.iter_mut().zip(blocks) {
        let mut bits = 0;
        for (at, cells) in block.as_chunks::<4>().0.iter().enumerate() {
            // SAFETY: four doubles.
            let cells = unsafe { _mm256_loadu_pd(cells.as_ptr()) };
            let both = _mm256_and_pd(
                _mm256_cmp_pd::<_CMP_GE_OQ>(cells, low4),
                _mm256_cmp_pd::<_CMP_LE_OQ>(cells, high4),
            );
            bits |= (_mm256_movemask_pd(both) as u64) << (4 * at);
        }
        *word = bits;
    }
    if let Some(word) = words.get_mut(blocks.len()) {
        *word = super::word_of(rest, |cell| *cell >= low && *cell <= high);
    }
}

#[target_feature(enable = "avx2")]
fn equal_u32(cells: &[u32], wanted: u32, words: &mut [u64]) {
    let wanted8 = _mm256_set1_epi32(wanted.cast_signed());
    let (blocks, rest) = cells.as_chunks::<64>();
    for (word, block) in words.iter_mut().zip(blocks) {
        let mut bits = 0;
        for (at, cells) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: eight words of four bytes.
            let cells = unsafe { _mm256_loadu_si256(cells.as_ptr().cast()) };
            let equal = _mm256_castsi256_ps(_mm256_cmpeq_epi32(cells, wanted8));
            bits |= (_mm256_movemask_ps(equal) as u64) << (8 * at);
        }
        *word = bits;
    }
    if let Some(word) = words.get_mut(blocks.len()) {
        *word = super::word_of(rest, |cell| *cell == wanted);
    }
}
