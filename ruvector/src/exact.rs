//! The scan over all rows (or over those that a filter leaves), four at a time.

use crate::pool::Pool;
use crate::space::{Probe, Space};

/// Puts the nearest of `slots` into `pool`.
#[inline(always)]
pub(crate) fn scan(
    space: &impl Space,
    probe: &Probe,
    slots: impl Iterator<Item = u32>,
    pool: &mut Pool,
) {
    let mut four = [0_u32; 4];
    let mut filled = 0;
    for slot in slots {
        four[filled] = slot;
        filled += 1;
        if filled == 4 {
            filled = 0;
            for (distance, slot) in space.four(probe, four).into_iter().zip(four) {
                pool.insert(distance, slot);
            }
        }
    }
    for slot in &four[..filled] {
        pool.insert(space.one(probe, *slot), *slot);
    }
}
