//! Values told in standard deviations from a beginning.

use std::time::Duration;

use midstream::{Standardizer, Timestamp};

use crate::bytes::{Out, slice, slice_mut};
use crate::fail::{EW_INVALID, EW_LIMIT, Fail, ew_error, guard};
use crate::handle::{self, Handle};

/// Most fields of a standardizer.
pub const MS_STANDARDIZED_MAX: usize = 4096;

/// Learns mean and standard deviation of fields from their first values and tells later ones in them. One thread at a
/// time.
pub struct ms_standardizer {
    _opaque: [u8; 0],
}

pub struct Learning {
    standardizer: Standardizer,
    fields: usize,
}

impl Handle for ms_standardizer {
    type Inside = Learning;
    const KIND: u64 = handle::kind(b"ms_stand");
}

/// Learns so many fields for so many milliseconds from the first value on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_standardizer_new(
    fields: usize,
    first_ms: u64,
    standardizer: *mut *mut ms_standardizer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(standardizer, "standardizer")?;
        if fields > MS_STANDARDIZED_MAX {
            let message = format!("{fields} fields, at most {MS_STANDARDIZED_MAX} are taken");
            return Err(Fail::new(EW_LIMIT, message));
        }
        let standardizer = Standardizer::new(fields, Duration::from_millis(first_ms));
        out.set(handle::give(Learning {
            standardizer,
            fields,
        }));
        Ok(())
    })
}

/// Frees a standardizer. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_standardizer_free(standardizer: *mut ms_standardizer) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<ms_standardizer>(standardizer) };
}

/// Takes the values of one time, one a field (NaN for a missing one), and writes them in standard deviations to
/// `standard`; NaN while a field is learnt, where it is missing, and where it did not vary.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_standardizer_push(
    standardizer: *mut ms_standardizer,
    at: i64,
    values: *const f64,
    count: usize,
    standard: *mut f64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut learning, values, standard) = unsafe {
            let values = slice(values, count, "values")?;
            let learning = handle::exclusive(standardizer)?;
            (learning, values, slice_mut(standard, count, "standard")?)
        };
        if count != learning.fields {
            let message = format!("{count} values, wanted are {}", learning.fields);
            return Err(Fail::new(EW_INVALID, message));
        }
        let values: Vec<Option<f64>> = values.iter().copied().map(Some).collect();
        let told = learning
            .standardizer
            .push(Timestamp::from_millis(at), &values);
        for (place, value) in standard.iter_mut().zip(told) {
            *place = value.unwrap_or(f64::NAN);
        }
        Ok(())
    })
}
