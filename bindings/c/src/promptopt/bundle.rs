//! Bundles: prompts on their way to a device.

use promptopt::Bundle;

use super::raise;
use super::set::{po_set, prompts, tier_of};
use crate::bytes::{Out, buffer, ew_buffer, ew_bytes, ew_str, set_optional};
use crate::fail::{Fail, Result, ew_error, guard};
use crate::handle;

/// Packs one to three prompts (the texts of their files) with a checksum.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_bundle_pack(
    prompts: *const ew_str,
    count: usize,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        // SAFETY: the header's contract.
        let prompts = unsafe { self::prompts(prompts, count) }?;
        out.set(buffer(
            Bundle::new(prompts)
                .and_then(|bundle| bundle.pack())
                .map_err(raise)?,
        ));
        Ok(())
    })
}

/// Checks a bundle and tells which prompt it has for a tier, as the text of its file. EW_NOT_FOUND if none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_bundle_prompt(
    bundle: ew_bytes,
    tier: i32,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let bundle = unsafe { open(bundle) }?;
        let found = bundle
            .prompts()
            .iter()
            .find(|prompt| tier_of(prompt) == tier);
        let none = || {
            Fail::new(
                crate::fail::EW_NOT_FOUND,
                "the bundle has no prompt of this tier",
            )
        };
        out.set(buffer(found.ok_or_else(none)?.to_json().map_err(raise)?));
        Ok(())
    })
}

/// Swaps in every prompt of a bundle, all at once or none; `swapped` (may be NULL) is how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_import(
    set: *const po_set,
    bundle: ew_bytes,
    swapped: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (set, bundle) = unsafe { (handle::shared(set)?, open(bundle)?) };
        set.import(&bundle).map_err(raise)?;
        set_optional(swapped, bundle.prompts().len());
        Ok(())
    })
}

/// # Safety
/// As the header says.
unsafe fn open(bundle: ew_bytes) -> Result<Bundle> {
    // SAFETY: the caller's.
    Bundle::open(unsafe { bundle.get("bundle") }?).map_err(raise)
}
