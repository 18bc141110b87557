//! A choice: looked at, rendered, its answer decided.

use promptopt::{Choice, Offload, TEMPLATE_SLOTS_MAX};

use super::{raise, tier_number};
use crate::bytes::{Out, buffer, ew_buffer, ew_str, json_buffer, set_optional, slice, slice_mut};
use crate::fail::{EW_LIMIT, EW_NOT_FOUND, EW_STATE, EW_TOO_SMALL, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// A place for a choice, used again and again. One thread at a time.
pub struct po_choice {
    _opaque: [u8; 0],
}

#[derive(Default)]
pub struct Place {
    pub choice: Option<Choice>,
    /// Kept between calls, so that rendering allocates only until it has been as long once.
    rendered: String,
}

impl Place {
    pub fn get(&self) -> Result<&Choice> {
        let none = || Fail::new(EW_STATE, "the choice is empty: fill it with po_select");
        self.choice.as_ref().ok_or_else(none)
    }
}

impl Handle for po_choice {
    type Inside = Place;
    const KIND: u64 = handle::kind(b"po_choic");
}

/// An empty place for a choice.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_new(
    choice: *mut *mut po_choice,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        Out::new(choice, "choice")?.set(handle::give(Place::default()));
        Ok(())
    })
}

/// Frees a choice. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_free(choice: *mut po_choice) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<po_choice>(choice) };
}

/// What was chosen.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct po_chosen {
    /// PO_TIER_…
    pub tier: i32,
    /// Whether a larger model on the network may be asked instead: 0 or 1.
    pub offload: i32,
    /// The prompt's version.
    pub version: u32,
    /// Tokens of the prompt without its inputs; 0 if not known.
    pub tokens: u32,
    /// Probability with which this version was picked within its tier.
    pub propensity: f64,
    /// The name of the rule that picked it. Lives until the choice is filled again or freed.
    pub rule: ew_str,
}

/// Reads a choice. Allocates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_get(
    choice: *const po_choice,
    chosen: *mut po_chosen,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(chosen, "chosen")?;
        // SAFETY: the header's contract.
        let place = unsafe { handle::exclusive(choice) }?;
        let choice = place.get()?;
        out.set(po_chosen {
            tier: tier_number(choice.tier),
            offload: i32::from(choice.offload == Offload::Allowed),
            version: choice.prompt.version().get(),
            tokens: choice.prompt.tokens().unwrap_or(0),
            propensity: choice.propensity,
            rule: ew_str::of(choice.reason.rule()),
        });
        Ok(())
    })
}

/// The rule that won with its condition, for people.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_reason(
    choice: *const po_choice,
    text: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(text, "text")?;
        // SAFETY: the header's contract.
        let reason = unsafe { handle::exclusive(choice) }?
            .get()?
            .reason
            .to_string();
        out.set(buffer(reason));
        Ok(())
    })
}

/// The chosen prompt, as the text of its file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_prompt(
    choice: *const po_choice,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let place = unsafe { handle::exclusive(choice) }?;
        out.set(buffer(place.get()?.prompt.to_json().map_err(raise)?));
        Ok(())
    })
}

/// Writes the prompt with its inputs in place to `text`, without a NUL. `len` is its length in bytes; EW_TOO_SMALL when
/// there is less room: then only `len` is written. Allocates nothing once it has rendered a prompt as long.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_render(
    choice: *mut po_choice,
    names: *const ew_str,
    texts: *const ew_str,
    count: usize,
    text: *mut u8,
    room: usize,
    len: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(len, "len")?;
        if count > TEMPLATE_SLOTS_MAX {
            let message = format!("{count} inputs, at most {TEMPLATE_SLOTS_MAX} are taken");
            return Err(Fail::new(EW_LIMIT, message));
        }
        // SAFETY: the header's contract.
        let (mut place, names, texts) = unsafe {
            let names = slice(names, count, "names")?;
            (
                handle::exclusive(choice)?,
                names,
                slice(texts, count, "texts")?,
            )
        };
        let mut inputs = [("", ""); TEMPLATE_SLOTS_MAX];
        for ((input, name), text) in inputs.iter_mut().zip(names).zip(texts) {
            // SAFETY: the header's contract.
            *input = unsafe { (name.text("name")?, text.text("text")?) };
        }
        let place = &mut *place;
        place.rendered.clear();
        let none = || Fail::new(EW_STATE, "the choice is empty: fill it with po_select");
        let template = place.choice.as_ref().ok_or_else(none)?.prompt.template();
        template
            .render_into(&inputs[..count], &mut place.rendered)
            .map_err(raise)?;
        let bytes = place.rendered.as_bytes();
        if bytes.len() > room {
            let message = format!(
                "the prompt has {} bytes, there is room for {room}",
                bytes.len()
            );
            out.set(bytes.len());
            return Err(Fail::new(EW_TOO_SMALL, message));
        }
        // SAFETY: the header's contract.
        unsafe { slice_mut(text, bytes.len(), "text") }?.copy_from_slice(bytes);
        out.set(bytes.len());
        Ok(())
    })
}

/// The options whose log-probabilities po_choice_decide takes, in order, as a JSON array. EW_NOT_FOUND for a prompt
/// without a decision rule.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_options(
    choice: *const po_choice,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let place = unsafe { handle::exclusive(choice) }?;
        let decision = place.get()?.prompt.decision().ok_or_else(no_decision)?;
        out.set(json_buffer(&decision.options().collect::<Vec<_>>())?);
        Ok(())
    })
}

fn no_decision() -> Fail {
    Fail::new(EW_NOT_FOUND, "the prompt has no decision rule")
}

/// The label that log-probabilities of the options decide for. `label` lives as long as the choice is not filled
/// again; `confidence` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_choice_decide(
    choice: *const po_choice,
    log_probs: *const f64,
    count: usize,
    label: *mut ew_str,
    confidence: *mut f64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(label, "label")?;
        // SAFETY: the header's contract.
        let (place, log_probs) = unsafe {
            let log_probs = slice(log_probs, count, "log_probs")?;
            (handle::exclusive(choice)?, log_probs)
        };
        let decision = place.get()?.prompt.decision().ok_or_else(no_decision)?;
        let answer = decision.choose(log_probs).map_err(raise)?;
        out.set(ew_str::of(&answer.label.name));
        set_optional(confidence, answer.confidence);
        Ok(())
    })
}
