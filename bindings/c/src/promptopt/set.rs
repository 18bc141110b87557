//! A set of three prompts: loaded, selected from, swapped, told what came of a choice.

use std::time::Duration;

use promptopt::{
    Context, Criticality, Feedback, Network, Outcome, Policy, Prompt, PromptSet, Timestamp,
};
use serde_json::Value;

use super::choice::po_choice;
use super::{raise, tier, tier_number};
use crate::bytes::{
    Out, buffer, ew_buffer, ew_bytes, ew_str, json_buffer, options, set_optional, slice,
};
use crate::fail::{EW_INVALID, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// Three prompts for one task, and the policy that picks one. Threads may share one.
pub struct po_set {
    _opaque: [u8; 0],
}

impl Handle for po_set {
    type Inside = PromptSet;
    const KIND: u64 = handle::kind(b"po_set\0\0");
}

/// Reads prompt_ultra.json, prompt_fast.json, prompt_quality.json and, if there, policy.json of a folder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_set_load(
    folder: ew_str,
    set: *mut *mut po_set,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(set, "set")?;
        // SAFETY: the header's contract.
        let folder = unsafe { folder.text("folder") }?;
        out.set(handle::give(PromptSet::load_dir(folder).map_err(raise)?));
        Ok(())
    })
}

/// A set from the texts of three prompt files, one of each tier, and of a policy ({NULL, 0} for the built-in one).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_set_new(
    prompts: *const ew_str,
    count: usize,
    policy: ew_str,
    set: *mut *mut po_set,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(set, "set")?;
        // SAFETY: the header's contract.
        let (prompts, policy) =
            unsafe { (self::prompts(prompts, count)?, policy.optional("policy")?) };
        let wanted = |_| {
            Fail::new(
                EW_INVALID,
                format_args!("{count} prompts, wanted are three"),
            )
        };
        let prompts: [Prompt; 3] = prompts.try_into().map_err(wanted)?;
        let policy = policy
            .map_or(Ok(Policy::default()), Policy::from_json)
            .map_err(raise)?;
        out.set(handle::give(
            PromptSet::new(prompts, policy).map_err(raise)?,
        ));
        Ok(())
    })
}

/// # Safety
/// As the header says.
pub(super) unsafe fn prompts(texts: *const ew_str, count: usize) -> Result<Vec<Prompt>> {
    // SAFETY: the caller's.
    let texts = unsafe { slice(texts, count, "prompts") }?;
    // SAFETY: the caller's.
    texts.iter().map(|text| unsafe { prompt(*text) }).collect()
}

/// # Safety
/// As the header says.
pub(super) unsafe fn prompt(text: ew_str) -> Result<Prompt> {
    // SAFETY: the caller's.
    let text = unsafe { text.text("prompt") }?;
    Prompt::from_json(text, "the prompt").map_err(raise)
}

/// Frees a set; choices of it stay valid. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_set_free(set: *mut po_set) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<po_set>(set) };
}

/// A wrong answer costs nothing.
pub const PO_CRITICALITY_LOW: i32 = 0;
/// A wrong answer is a nuisance.
pub const PO_CRITICALITY_NORMAL: i32 = 1;
/// A wrong answer costs an animal, a machine or a person.
pub const PO_CRITICALITY_HIGH: i32 = 2;

/// The state of the device that a prompt is chosen for. Fill it with po_context_init first.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct po_context {
    /// sizeof(po_context), set by po_context_init.
    pub struct_size: usize,
    /// Charge of the battery, 0 to 1; 1 on mains.
    pub battery: f64,
    /// Load of the processor, 0 to 1.
    pub load: f64,
    /// Confidence of the classifier that ran before, 0 to 1; NaN if not known.
    pub confidence: f64,
    /// Milliseconds left for the answer.
    pub latency_budget_ms: u64,
    /// PO_CRITICALITY_…
    pub criticality: i32,
    /// Whether a link to a larger model is there: 0 or 1.
    pub online: i32,
}

const DEFAULTS: po_context = po_context {
    struct_size: size_of::<po_context>(),
    battery: 1.0,
    load: 0.0,
    confidence: f64::NAN,
    latency_budget_ms: 10_000,
    criticality: PO_CRITICALITY_NORMAL,
    online: 0,
};

/// Sets the defaults: on mains, ten seconds, nothing special, no link, idle. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_context_init(context: *mut po_context) {
    set_optional(context, DEFAULTS);
}

/// # Safety
/// As the header says.
unsafe fn context(given: *const po_context) -> Result<Context> {
    // SAFETY: the caller's.
    let given = unsafe { options(given, DEFAULTS, "context") }?;
    Ok(Context {
        battery: given.battery,
        load: given.load,
        confidence: (!given.confidence.is_nan()).then_some(given.confidence),
        latency_budget: Duration::from_millis(given.latency_budget_ms),
        criticality: match given.criticality {
            PO_CRITICALITY_LOW => Criticality::Low,
            PO_CRITICALITY_NORMAL => Criticality::Normal,
            PO_CRITICALITY_HIGH => Criticality::High,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("criticality is {other}, see PO_CRITICALITY_…"),
                ));
            }
        },
        network: match given.online {
            0 => Network::Offline,
            1 => Network::Online,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("online is {other}, wanted is 0 or 1"),
                ));
            }
        },
    })
}

/// Chooses a prompt into `choice` (from po_choice_new), in the place of what it held. `key` decides which version of an
/// experiment; {NULL, 0} for the running one. `context` may be NULL for the defaults. Allocates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_select(
    set: *const po_set,
    context: *const po_context,
    key: ew_bytes,
    choice: *mut po_choice,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (set, context, bytes, mut place) = unsafe {
            let (context, bytes) = (self::context(context)?, key.get("key")?);
            (
                handle::shared(set)?,
                context,
                bytes,
                handle::exclusive(choice)?,
            )
        };
        place.choice = Some(match key.ptr.is_null() {
            true => set.select(&context),
            false => set.select_keyed(&context, bytes),
        });
        Ok(())
    })
}

/// Nobody said whether the answer was right.
pub const PO_FEEDBACK_NONE: i32 = 0;
/// It was right.
pub const PO_FEEDBACK_RIGHT: i32 = 1;
/// It was wrong.
pub const PO_FEEDBACK_WRONG: i32 = 2;
/// It could not be read, so it is wrong too.
pub const PO_FEEDBACK_UNREADABLE: i32 = 3;

/// Tells what came of a choice: what the model answered, microseconds it took, PO_FEEDBACK_…, and when (milliseconds
/// since the Unix epoch).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_record(
    set: *const po_set,
    choice: *const po_choice,
    output: ew_str,
    latency_us: u64,
    feedback: i32,
    at: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let feedback = match feedback {
            PO_FEEDBACK_NONE => Feedback::None,
            PO_FEEDBACK_RIGHT => Feedback::Right,
            PO_FEEDBACK_WRONG => Feedback::Wrong,
            PO_FEEDBACK_UNREADABLE => Feedback::Unreadable,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("feedback is {other}, see PO_FEEDBACK_…"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let (set, choice, output) = unsafe {
            let output = output.text("output")?.to_owned();
            (handle::shared(set)?, handle::exclusive(choice)?, output)
        };
        set.record(Outcome {
            choice: choice.get()?.clone(),
            output,
            latency: Duration::from_micros(latency_us),
            feedback,
            at: Timestamp::from_millis(at),
        });
        Ok(())
    })
}

/// Takes the outcomes out of the log as a JSON array of {tier, version, rule, propensity, output, latency_ms, feedback, at}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_drain_outcomes(
    set: *const po_set,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let outcomes = unsafe { handle::shared(set) }?.drain_outcomes();
        let list: Vec<Value> = outcomes.iter().map(forms::promptopt::outcome).collect();
        out.set(json_buffer(&list)?);
        Ok(())
    })
}

/// Counters of the log of outcomes: recorded = dropped + drained + held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct po_outcome_stats {
    /// Outcomes given to the log.
    pub recorded: u64,
    /// The oldest, dropped because the log was full.
    pub dropped: u64,
    /// Taken out by po_drain_outcomes.
    pub drained: u64,
    /// Still in the log.
    pub held: u64,
}

/// Reads the counters of the log of outcomes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_set_outcome_stats(
    set: *const po_set,
    stats: *mut po_outcome_stats,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(stats, "stats")?;
        // SAFETY: the header's contract.
        let stats = unsafe { handle::shared(set) }?.outcome_stats();
        out.set(po_outcome_stats {
            recorded: stats.recorded,
            dropped: stats.dropped,
            drained: stats.drained,
            held: stats.held,
        });
        Ok(())
    })
}

/// The running prompt of a tier, as the text of its file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_running(
    set: *const po_set,
    tier: i32,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let prompt = unsafe { handle::shared(set) }?.running(self::tier(tier)?);
        out.set(buffer(prompt.to_json().map_err(raise)?));
        Ok(())
    })
}

/// The policy, as the text of its file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_policy(
    set: *const po_set,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let text = unsafe { handle::shared(set) }?
            .policy()
            .to_json()
            .map_err(raise)?;
        out.set(buffer(text));
        Ok(())
    })
}

/// Puts a newer version of a prompt (the text of its file) in the place of the running one. `replaced` (may be NULL) is
/// the version that it replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_swap(
    set: *const po_set,
    prompt: ew_str,
    replaced: *mut u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (set, prompt) = unsafe { (handle::shared(set)?, self::prompt(prompt)?) };
        set_optional(replaced, set.swap(prompt).map_err(raise)?.version().get());
        Ok(())
    })
}

/// Takes the version before the last swap back; `version` (may be NULL) is what runs now. EW_STATE without one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_rollback(
    set: *const po_set,
    tier: i32,
    version: *mut u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let set = unsafe { handle::shared(set) }?;
        set_optional(
            version,
            set.rollback(self::tier(tier)?).map_err(raise)?.get(),
        );
        Ok(())
    })
}

pub(super) fn tier_of(prompt: &Prompt) -> i32 {
    tier_number(prompt.tier())
}
