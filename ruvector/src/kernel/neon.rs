//! NEON: every 64-bit ARM machine. Byte products use `sdot` (FEAT_DotProd, since about 2018) where
//! it is there.

use std::arch::aarch64::*;
use std::arch::asm;

use super::Kernels;

/// The tables, the faster one last.
pub(super) fn kernels() -> Vec<Kernels> {
    let plain = Kernels {
        name: "neon",
        // SAFETY: NEON is a part of every aarch64 target that has `std`.
        dot_f32: |a, b| unsafe { dot_f32(a, b) },
        // SAFETY: as above.
        l2_f32: |a, b| unsafe { l2_f32(a, b) },
        // SAFETY: as above.
        dot_i8: |a, b| unsafe { dot_i8(a, b) },
        // SAFETY: as above.
        dot_i8_x4: |a, rows| rows.map(|row| unsafe { dot_i8(a, row) }),
        // SAFETY: as above.
        dot_f16: |a, b| unsafe { dot_f16(a, b) },
        // SAFETY: as above.
        l2_f16: |a, b| unsafe { l2_f16(a, b) },
        // SAFETY: as above.
        hamming: |a, b| unsafe { hamming(a, b) },
        // The loops of the portable table compile to NEON already.
        ..super::scalar::KERNELS
    };
    let mut tables = vec![plain];
    if std::arch::is_aarch64_feature_detected!("dotprod") {
        tables.push(Kernels {
            name: "neon-dotprod",
            // SAFETY: the feature was detected.
            dot_i8: |a, b| unsafe { sdot(a, [b])[0] },
            // SAFETY: the feature was detected.
            dot_i8_x4: |a, rows| unsafe { sdot(a, rows) },
            ..plain
        });
    }
    tables
}

/// Values of a register, and registers that are summed side by side.
const LANES: usize = 4;
const SUMS: usize = 4;

macro_rules! float_kernel {
    ($name:ident, $value:ty, $load:ident, $sum:ident, $x:ident, $y:ident => $step:expr) => {
        #[target_feature(enable = "neon")]
        fn $name(a: &[f32], b: &[$value]) -> f32 {
            debug_assert_eq!(a.len(), b.len(), "rows of two lengths");
            let mut sums = [vdupq_n_f32(0.0); SUMS];
            let (a, b) = (a.as_chunks::<LANES>().0, b.as_chunks::<LANES>().0);
            // Rows have whole lines of sixteen floats, so nothing is left over.
            let (a, b) = (a.as_chunks::<SUMS>().0, b.as_chunks::<SUMS>().0);
            for (a, b) in a.iter().zip(b) {
                for lane in 0..SUMS {
                    let ($sum, $x, $y) = (sums[lane], floats(&a[lane]), $load(&b[lane]));
                    sums[lane] = $step;
                }
            }
            let [a, b, c, d] = sums;
            vaddvq_f32(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)))
        }
    };
}

float_kernel!(dot_f32, f32, floats, sum, x, y => vfmaq_f32(sum, x, y));
float_kernel!(dot_f16, u16, halves, sum, x, y => vfmaq_f32(sum, x, y));
float_kernel!(l2_f32, f32, floats, sum, x, y => {
    let d = vsubq_f32(x, y);
    vfmaq_f32(sum, d, d)
});
float_kernel!(l2_f16, u16, halves, sum, x, y => {
    let d = vsubq_f32(x, y);
    vfmaq_f32(sum, d, d)
});

#[inline]
#[target_feature(enable = "neon")]
fn floats(values: &[f32; LANES]) -> float32x4_t {
    // SAFETY: four floats.
    unsafe { vld1q_f32(values.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn halves(bits: &[u16; LANES]) -> float32x4_t {
    // SAFETY: four halves.
    let bits = unsafe { vld1_u16(bits.as_ptr()) };
    let out: float32x4_t;
    // SAFETY: `fcvtl` is a part of the baseline and touches only its two registers.
    unsafe {
        asm!("fcvtl {out:v}.4s, {bits:v}.4h", out = lateout(vreg) out, bits = in(vreg) bits,
            options(pure, nomem, nostack, preserves_flags));
    }
    out
}

#[inline]
#[target_feature(enable = "neon")]
fn bytes(values: &[i8; 16]) -> int8x16_t {
    // SAFETY: sixteen bytes.
    unsafe { vld1q_s8(values.as_ptr()) }
}

/// Two products of codes in -127..=127 fit an i16, so the low halves' product can take the high
/// halves' on top before both are widened.
#[target_feature(enable = "neon")]
fn dot_i8(a: &[i8], b: &[i8]) -> i32 {
    let mut sums = [vdupq_n_s32(0); 2];
    let (a, b) = (a.as_chunks::<16>().0, b.as_chunks::<16>().0);
    for (a, b) in a.as_chunks::<2>().0.iter().zip(b.as_chunks::<2>().0) {
        for lane in 0..2 {
            let (x, y) = (bytes(&a[lane]), bytes(&b[lane]));
            let low = vmull_s8(vget_low_s8(x), vget_low_s8(y));
            let both = vmlal_high_s8(low, x, y);
            sums[lane] = vpadalq_s16(sums[lane], both);
        }
    }
    vaddvq_s32(vaddq_s32(sums[0], sums[1]))
}

/// Products of one row with `N` others. `sdot` has no stable intrinsic.
#[target_feature(enable = "neon,dotprod")]
fn sdot<const N: usize>(a: &[i8], rows: [&[i8]; N]) -> [i32; N] {
    let a = a.as_chunks::<16>().0;
    let rows = rows.map(|row| row.as_chunks::<16>().0);
    let length = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    let length = length.min(a.len());
    let a = &a[..length];
    let rows = rows.map(|row| &row[..length]);
    let mut sums = [vdupq_n_s32(0); N];
    for at in 0..length {
        let x = bytes(&a[at]);
        for (sum, row) in sums.iter_mut().zip(rows) {
            let y = bytes(&row[at]);
            // SAFETY: the caller has the feature; only the three registers are touched.
            unsafe {
                asm!("sdot {sum:v}.4s, {x:v}.16b, {y:v}.16b", sum = inlateout(vreg) *sum,
                    x = in(vreg) x, y = in(vreg) y,
                    options(pure, nomem, nostack, preserves_flags));
            }
        }
    }
    sums.map(|sum| vaddvq_s32(sum))
}

#[target_feature(enable = "neon")]
fn hamming(a: &[u64], b: &[u64]) -> u32 {
    let (a, a_rest) = a.as_chunks::<2>();
    let (b, b_rest) = b.as_chunks::<2>();
    let mut sum = vdupq_n_u64(0);
    for (a, b) in a.iter().zip(b) {
        // SAFETY: two words of eight bytes each.
        let differ = unsafe { veorq_u64(vld1q_u64(a.as_ptr()), vld1q_u64(b.as_ptr())) };
        let counts = vcntq_u8(vreinterpretq_u8_u64(differ));
        sum = vaddq_u64(sum, vpaddlq_u32(vpaddlq_u16(vpaddlq_u8(counts))));
    }
    vaddvq_u64(sum) as u32 + super::count_differing(a_rest, b_rest)
}
