//! AVX-512 (F, BW, VL, VNNI, VPOPCNTDQ): servers since Ice Lake, and Zen 4.
//!
//! Rows are whole lines of 64 bytes, so every load is one register. Only taken where it is asked for:
//! `benches/results/vectors.md` has it beside AVX2, which is as fast or faster.

use std::arch::x86_64::*;

use super::Kernels;

/// The table, if this machine has the instructions.
pub(super) fn kernels() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl")
        && is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vpopcntdq");
    has.then_some(Kernels {
        name: "avx512",
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

/// Values of a register, and registers that are summed side by side: the latency of a sum is four.
const LANES: usize = 16;
const SUMS: usize = 4;

#[inline]
#[target_feature(enable = "avx512f")]
fn floats(values: &[f32; LANES]) -> __m512 {
    // SAFETY: sixteen floats.
    unsafe { _mm512_loadu_ps(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn halves(bits: &[u16; LANES]) -> __m512 {
    // SAFETY: sixteen halves, 32 bytes.
    _mm512_cvtph_ps(unsafe { _mm256_loadu_si256(bits.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx512f")]
fn bytes(values: &[i8; 64]) -> __m512i {
    // SAFETY: 64 bytes.
    unsafe { _mm512_loadu_si512(values.as_ptr().cast()) }
}

macro_rules! float_kernel {
    ($name:ident, $value:ty, $load:ident, $sum:ident, $x:ident, $y:ident => $step:expr) => {
        #[target_feature(enable = "avx512f")]
        fn $name(a: &[f32], b: &[$value]) -> f32 {
            debug_assert_eq!(a.len(), b.len(), "rows of two lengths");
            let mut sums = [_mm512_setzero_ps(); SUMS];
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
            _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
        }
    };
}

float_kernel!(dot_f32, f32, floats, sum, x, y => _mm512_fmadd_ps(x, y, sum));
float_kernel!(dot_f16, u16, halves, sum, x, y => _mm512_fmadd_ps(x, y, sum));
float_kernel!(l2_f32, f32, floats, sum, x, y => {
    let d = _mm512_sub_ps(x, y);
    _mm512_fmadd_ps(d, d, sum)
});
float_kernel!(l2_f16, u16, halves, sum, x, y => {
    let d = _mm512_sub_ps(x, y);
    _mm512_fmadd_ps(d, d, sum)
});

/// `vpdpbusd` multiplies unsigned by signed bytes: `x + 128` is unsigned, and what 128 adds is
/// `128 * sum(q)`, which is the same for all rows. All sums wrap; the result fits.
#[target_feature(enable = "avx512f,avx512vnni")]
fn dot_i8(q: &[i8], x: &[i8]) -> i32 {
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut sum = _mm512_setzero_si512();
    let mut bias = _mm512_setzero_si512();
    let (q, x) = (q.as_chunks::<64>().0, x.as_chunks::<64>().0);
    for (q, x) in q.iter().zip(x) {
        let q = bytes(q);
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(bytes(x), flip), q);
        bias = _mm512_dpbusd_epi32(bias, flip, q);
    }
    _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, bias))
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn dot_i8_x4(q: &[i8], rows: [&[i8]; 4]) -> [i32; 4] {
    let flip = _mm512_set1_epi8(i8::MIN);
    let mut sums = [_mm512_setzero_si512(); 4];
    let mut bias = _mm512_setzero_si512();
    let q = q.as_chunks::<64>().0;
    let rows = rows.map(|row| row.as_chunks::<64>().0);
    let length = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let length = length.min(q.len());
    let q = &q[..length];
    let rows = rows.map(|row| &row[..length]);
    for at in 0..length {
        let q = bytes(&q[at]);
        for (sum, row) in sums.iter_mut().zip(rows) {
            *sum = _mm512_dpbusd_epi32(*sum, _mm512_xor_si512(bytes(&row[at]), flip), q);
        }
        // 128 * q, as flip is 128 when it is read unsigned.
        bias = _mm512_dpbusd_epi32(bias, flip, q);
    }
    sums.map(|sum| _mm512_reduce_add_epi32(_mm512_sub_epi32(sum, bias)))
}

#[target_feature(enable = "avx512f,avx512vpopcntdq")]
fn hamming(a: &[u64], b: &[u64]) -> u32 {
    let load = |words: &[u64; 8]| {
        // SAFETY: 64 bytes.
        unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
    };
    let (a, a_rest) = a.as_chunks::<8>();
    let (b, b_rest) = b.as_chunks::<8>();
    let mut sum = _mm512_setzero_si512();
    for (a, b) in a.iter().zip(b) {
        let differ = _mm512_xor_si512(load(a), load(b));
        sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(differ));
    }
    let rest: u32 = super::count_differing(a_rest, b_rest);
    _mm512_reduce_add_epi64(sum) as u32 + rest
}

#[target_feature(enable = "avx512f")]
fn within_f64(cells: &[f64], low: f64, high: f64, words: &mut [u64]) {
    let (low8, high8) = (_mm512_set1_pd(low), _mm512_set1_pd(high));
    let (blocks, rest) = cells.as_chunks::<64>();
    for (word, block) in words.iter_mut().zip(blocks) {
        let mut bits = 0;
        for (at, cells) in block.as_chunks::<8>().0.iter().enumerate() {
            // SAFETY: eight doubles.
            let cells = unsafe { _mm512_loadu_pd(cells.as_ptr()) };
            let above = _mm512_cmp_pd_mask::<_CMP_GE_OQ>(cells, low8);
            let mask = _mm512_mask_cmp_pd_mask::<_CMP_LE_OQ>(above, cells, high8);
            bits |= u64::from(mask) << (8 * at);
        }
        *word = bits;
    }
    if let Some(word) = words.get_mut(blocks.len()) {
        *word = super::word_of(rest, |cell| *cell >= low && *cell <= high);
    }
}

#[target_feature(enable = "avx512f")]
fn equal_u32(cells: &[u32], wanted: u32, words: &mut [u64]) {
    let wanted16 = _mm512_set1_epi32(wanted.cast_signed());
    let (blocks, rest) = cells.as_chunks::<64>();
    for (word, block) in words.iter_mut().zip(blocks) {
        let mut bits = 0;
        for (at, cells) in block.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: sixteen words of four bytes.
            let cells = unsafe { _mm512_loadu_si512(cells.as_ptr().cast()) };
            bits |= u64::from(_mm512_cmpeq_epi32_mask(cells, wanted16)) << (16 * at);
        }
        *word = bits;
    }
    if let Some(word) = words.get_mut(blocks.len()) {
        *word = super::word_of(rest, |cell| *cell == wanted);
    }
}
