//! The far edge's agent: samples of one channel smoothed, thinned, checked against a threshold and packed. All its
//! memory is taken when it is made; nothing is allocated for a sample.

use midstream::Timestamp;
use midstream::agent::{
    Agent, AgentOptions, BATCH_BYTES_MAX, BATCH_SAMPLES_MAX, Edge, Emit, Sample, Threshold,
    decode_batch,
};

use super::raise;
use crate::bytes::{Out, ew_bytes, options, set_optional, slice_mut};
use crate::fail::{EW_LIMIT, EW_TOO_SMALL, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// Room for any batch of an agent, in bytes.
pub const MS_BATCH_BYTES_MAX: usize = 3862;
/// The most samples of a batch.
pub const MS_BATCH_SAMPLES_MAX: usize = 256;
/// The largest ring, in bytes.
pub const MS_RING_BYTES_MAX: usize = 1 << 30;

// The header needs numbers.
const _: () =
    assert!(MS_BATCH_BYTES_MAX == BATCH_BYTES_MAX && MS_BATCH_SAMPLES_MAX == BATCH_SAMPLES_MAX);

/// What an agent does; ms_agent_options_init sets the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_agent_options {
    /// sizeof(ms_agent_options).
    pub struct_size: usize,
    /// Bytes of the ring of newest samples; default 1 MiB.
    pub ring_bytes: usize,
    /// Samples that the moving average is over; default 4.
    pub average_over: usize,
    /// One sample goes out for so many that come in; default 10.
    pub one_in: u32,
    /// A batch spans so many milliseconds; default 100.
    pub batch_ms: u32,
    /// An alarm begins above this; NaN (the default) for none.
    pub alarm_above: f32,
    /// It ends below this.
    pub alarm_below: f32,
    /// The channel's number in its batches.
    pub channel: u16,
}

const DEFAULTS: ms_agent_options = ms_agent_options {
    struct_size: size_of::<ms_agent_options>(),
    ring_bytes: 1 << 20,
    average_over: 4,
    one_in: 10,
    batch_ms: 100,
    alarm_above: f32::NAN,
    alarm_below: f32::NAN,
    channel: 0,
};

/// Sets the defaults. NULL is ignored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_options_init(options: *mut ms_agent_options) {
    set_optional(options, DEFAULTS);
}

/// The samples of one channel. One thread at a time.
pub struct ms_agent {
    _opaque: [u8; 0],
}

impl Handle for ms_agent {
    type Inside = Agent;
    const KIND: u64 = handle::kind(b"ms_agent");
}

/// Makes an agent with all the memory that it will need. `options` may be NULL. The caller frees it with
/// ms_agent_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_new(
    options: *const ms_agent_options,
    agent: *mut *mut ms_agent,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(agent, "agent")?;
        // SAFETY: the header's contract.
        let given = unsafe { self::options(options, DEFAULTS, "options") }?;
        if given.ring_bytes > MS_RING_BYTES_MAX {
            let message = format!(
                "ring_bytes is {}, at most {MS_RING_BYTES_MAX} are taken",
                given.ring_bytes
            );
            return Err(Fail::new(EW_LIMIT, message));
        }
        let threshold = (!given.alarm_above.is_nan())
            .then(|| Threshold::new(given.alarm_above, given.alarm_below));
        let made = Agent::new(AgentOptions {
            channel: given.channel,
            ring_bytes: given.ring_bytes,
            average_over: given.average_over,
            one_in: given.one_in,
            batch_ms: given.batch_ms,
            threshold,
        });
        out.set(handle::give(made.map_err(raise)?));
        Ok(())
    })
}

/// Frees an agent; samples in hand that ms_agent_flush was not called for are gone. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_free(agent: *mut ms_agent) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<ms_agent>(agent) };
}

/// No alarm began or ended.
pub const MS_ALARM_NONE: i32 = 0;
/// The smoothed value went above the limit.
pub const MS_ALARM_RAISED: i32 = 1;
/// It is below the lower limit again.
pub const MS_ALARM_ENDED: i32 = 2;

/// What came of a sample.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_emitted {
    /// When the alarm began or ended: milliseconds since the Unix epoch.
    pub alarm_at: i64,
    /// How many bytes were written to `batch`; 0 when no batch was full.
    pub batch_len: usize,
    /// The smoothed value of the alarm.
    pub alarm_value: f32,
    /// MS_ALARM_…
    pub alarm: i32,
}

/// # Safety
/// As the header says.
unsafe fn batch_room<'a>(batch: *mut u8, room: usize) -> Result<&'a mut [u8]> {
    if room < MS_BATCH_BYTES_MAX {
        let message = format!("there is room for {room} bytes, wanted is MS_BATCH_BYTES_MAX");
        return Err(Fail::new(EW_TOO_SMALL, message));
    }
    // SAFETY: the caller's.
    unsafe { slice_mut(batch, room, "batch") }
}

fn write(emit: Emit<'_>, emitted: &mut ms_emitted, batch: &mut [u8]) {
    match emit {
        Emit::Alarm(edge, sample) => {
            emitted.alarm = match edge {
                Edge::Raised => MS_ALARM_RAISED,
                Edge::Ended => MS_ALARM_ENDED,
            };
            (emitted.alarm_at, emitted.alarm_value) = (sample.at.as_millis(), sample.value);
        }
        Emit::Batch(bytes) => {
            // The room was checked: no batch is longer.
            if let Some(place) = batch.get_mut(..bytes.len()) {
                place.copy_from_slice(bytes);
                emitted.batch_len = bytes.len();
            }
        }
    }
}

/// Takes a sample. A value that is no number is counted and left out. `batch` has room for MS_BATCH_BYTES_MAX bytes
/// (EW_TOO_SMALL otherwise, and the sample is not taken). Allocates nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_push(
    agent: *mut ms_agent,
    at: i64,
    value: f32,
    emitted: *mut ms_emitted,
    batch: *mut u8,
    room: usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(emitted, "emitted")?;
        // SAFETY: the header's contract.
        let (mut agent, batch) = unsafe { (handle::exclusive(agent)?, batch_room(batch, room)?) };
        let mut emitted = ms_emitted {
            alarm_at: 0,
            batch_len: 0,
            alarm_value: 0.0,
            alarm: MS_ALARM_NONE,
        };
        agent.push(Timestamp::from_millis(at), value, |emit| {
            write(emit, &mut emitted, batch);
        });
        out.set(emitted);
        Ok(())
    })
}

/// Writes the batch in hand to `batch`, which has room for MS_BATCH_BYTES_MAX bytes; `len` is 0 when there is none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_flush(
    agent: *mut ms_agent,
    batch: *mut u8,
    room: usize,
    len: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(len, "len")?;
        // SAFETY: the header's contract.
        let (mut agent, batch) = unsafe { (handle::exclusive(agent)?, batch_room(batch, room)?) };
        let mut written = 0;
        agent.flush(|emit| {
            if let Emit::Batch(bytes) = emit
                && let Some(place) = batch.get_mut(..bytes.len())
            {
                place.copy_from_slice(bytes);
                written = bytes.len();
            }
        });
        out.set(written);
        Ok(())
    })
}

/// Counters: samples_in = samples_out + averaged + invalid + held.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_agent_counters {
    /// Samples given.
    pub samples_in: u64,
    /// Samples in batches that were handed over.
    pub samples_out: u64,
    /// Samples that are part of another's mean.
    pub averaged: u64,
    /// Samples that are no number.
    pub invalid: u64,
    /// Samples in the batch and the mean in hand.
    pub held: u64,
    /// Samples that the ring no longer has.
    pub overwritten: u64,
    /// Batches handed over.
    pub batches: u64,
    /// Alarms raised and ended.
    pub alarms: u64,
}

/// The counters of an agent.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_stats(
    agent: *const ms_agent,
    counters: *mut ms_agent_counters,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(counters, "counters")?;
        // SAFETY: the header's contract.
        let stats = unsafe { handle::exclusive(agent) }?.stats();
        out.set(ms_agent_counters {
            samples_in: stats.samples_in,
            samples_out: stats.samples_out,
            averaged: stats.averaged,
            invalid: stats.invalid,
            held: stats.held,
            overwritten: stats.overwritten,
            batches: stats.batches,
            alarms: stats.alarms,
        });
        Ok(())
    })
}

fn fill(samples: impl Iterator<Item = Sample>, at: &mut [i64], values: &mut [f32]) {
    for (sample, (at, value)) in samples.zip(at.iter_mut().zip(values)) {
        (*at, *value) = (sample.at.as_millis(), sample.value);
    }
}

/// The newest samples as they came, at most `room` of them, the oldest first; `count` is how many were written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_agent_ring(
    agent: *const ms_agent,
    at: *mut i64,
    values: *mut f32,
    room: usize,
    count: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(count, "count")?;
        // SAFETY: the header's contract.
        let (agent, at, values) = unsafe {
            let at = slice_mut(at, room, "at")?;
            let agent = handle::exclusive(agent)?;
            (agent, at, slice_mut(values, room, "values")?)
        };
        let ring = agent.ring();
        fill(
            ring.iter().skip(ring.len().saturating_sub(room)),
            at,
            values,
        );
        out.set(ring.len().min(room));
        Ok(())
    })
}

/// Reads a batch that an agent wrote, into arrays with room for MS_BATCH_SAMPLES_MAX each. `channel` and `number` (its
/// place among the channel's batches) may be NULL. EW_CORRUPT for anything that no agent has written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_batch_decode(
    batch: ew_bytes,
    at: *mut i64,
    values: *mut f32,
    room: usize,
    count: *mut usize,
    channel: *mut u16,
    number: *mut u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(count, "count")?;
        // SAFETY: the header's contract.
        let (bytes, at, values) = unsafe {
            let bytes = batch.get("batch")?;
            let at = slice_mut(at, room, "at")?;
            (bytes, at, slice_mut(values, room, "values")?)
        };
        let decoded = decode_batch(bytes).map_err(raise)?;
        let len = decoded.samples.len();
        if len > room {
            let message = format!("{len} samples, there is room for {room}");
            return Err(Fail::new(EW_TOO_SMALL, message));
        }
        fill(decoded.samples.into_iter(), at, values);
        set_optional(channel, decoded.channel);
        set_optional(number, decoded.number);
        out.set(len);
        Ok(())
    })
}
