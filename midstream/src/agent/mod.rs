//! The far edge: a sensor's samples, smoothed, thinned, watched and packed, without an allocation a sample.
//!
//! An [`Agent`] takes the samples of one channel. It keeps the newest in a [`Ring`], averages over the last few
//! ([`MovingAverage`]), thins them ([`Downsample`], 100 Hz to 10 Hz by default), watches a [`Threshold`] with
//! hysteresis at the full rate, and fills a batch that is handed over every 100 ms in a compact form
//! ([`decode_batch`] reads it; the layout is in `FORMAT.md`). All memory is taken by [`Agent::new`]. This
//! module uses `core` and two boxed slices, nothing else of the system.
//!
//! ```
//! use midstream::Timestamp;
//! use midstream::agent::{Agent, AgentOptions, Emit, decode_batch};
//!
//! let mut agent = Agent::new(AgentOptions { channel: 7, ..AgentOptions::default() })?;
//! let mut batches = 0;
//! for tick in 0..200 {
//!     let at = Timestamp::from_millis(tick * 10);
//!     agent.push(at, 20.0, |emit| {
//!         if let Emit::Batch(bytes) = emit {
//!             let batch = decode_batch(bytes).unwrap();
//!             assert_eq!((batch.channel, batch.samples[0].value), (7, 20.0));
//!             batches += 1;
//!         }
//!     });
//! }
//! assert_eq!(batches, 19);
//! # Ok::<(), midstream::Error>(())
//! ```

mod batch;
mod filter;
mod ring;

use crate::error::{Error, Result};
use crate::time::Timestamp;

pub use batch::{BATCH_BYTES_MAX, BATCH_SAMPLES_MAX, SampleBatch, decode_batch};
pub use filter::{Downsample, Edge, MovingAverage, Threshold};
pub use ring::Ring;

use batch::Packer;

/// The most samples an average is over.
pub const AVERAGE_MAX: usize = 65_536;

/// A value at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// When it was taken.
    pub at: Timestamp,
    /// What was measured.
    pub value: f32,
}

/// What an agent does.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AgentOptions {
    /// The channel's number in its batches.
    pub channel: u16,
    /// Bytes of the ring of newest samples; default 1 MiB.
    pub ring_bytes: usize,
    /// Samples that the moving average is over; default 4, at most [`AVERAGE_MAX`].
    pub average_over: usize,
    /// One sample goes out for so many that come in; default 10: from 100 Hz to 10 Hz.
    pub one_in: u32,
    /// A batch spans so many milliseconds; default 100.
    pub batch_ms: u32,
    /// What raises an alarm.
    pub threshold: Option<Threshold>,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            channel: 0,
            ring_bytes: 1 << 20,
            average_over: 4,
            one_in: 10,
            batch_ms: 100,
            threshold: None,
        }
    }
}

/// What comes of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Emit<'a> {
    /// The threshold was crossed, by the smoothed value.
    Alarm(Edge, Sample),
    /// A batch is full.
    Batch(&'a [u8]),
}

/// Counters: `samples_in = samples_out + averaged + invalid + held`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AgentStats {
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

/// The samples of one channel. Constant time a sample, no allocation after [`Agent::new`].
#[derive(Debug)]
pub struct Agent {
    options: AgentOptions,
    ring: Ring,
    average: MovingAverage,
    thin: Downsample,
    packer: Packer,
    stats: AgentStats,
}

impl Agent {
    /// Takes all the memory it will need.
    ///
    /// # Errors
    /// [`Error::Options`] for an option of zero, or an average over more than [`AVERAGE_MAX`].
    pub fn new(options: AgentOptions) -> Result<Self> {
        let wrong = |cause| {
            Err(Error::Options {
                what: "the agent",
                cause,
            })
        };
        if options.average_over == 0 || options.average_over > AVERAGE_MAX {
            return wrong("an average is over 1 to 65,536 samples");
        }
        if options.one_in == 0 || options.batch_ms == 0 {
            return wrong("`one_in` and `batch_ms` are 1 or more");
        }
        if options.ring_bytes < size_of::<Sample>() {
            return wrong("the ring holds one sample or more");
        }
        Ok(Self {
            options,
            ring: Ring::new(options.ring_bytes / size_of::<Sample>()),
            average: MovingAverage::new(options.average_over),
            thin: Downsample::new(options.one_in),
            packer: Packer::new(options.channel),
            stats: AgentStats::default(),
        })
    }

    /// Takes a sample; calls `emit` with what comes of it. A value that is no number is counted and left out.
    pub fn push(&mut self, at: Timestamp, value: f32, mut emit: impl FnMut(Emit<'_>)) {
        self.stats.samples_in += 1;
        if !value.is_finite() {
            self.stats.invalid += 1;
            return;
        }
        self.ring.push(Sample { at, value });
        let smooth = Sample {
            at,
            value: self.average.push(value),
        };
        if let Some(threshold) = &mut self.options.threshold
            && let Some(edge) = threshold.push(smooth.value)
        {
            self.stats.alarms += 1;
            emit(Emit::Alarm(edge, smooth));
        }
        let Some(mean) = self.thin.push(smooth) else {
            return;
        };
        self.stats.averaged += u64::from(self.options.one_in) - 1;
        if self.packer.spans(mean.at) >= i64::from(self.options.batch_ms) || self.packer.is_full() {
            self.flush(&mut emit);
        }
        self.packer.push(mean);
    }

    /// Hands over the batch in hand, if it has any sample.
    pub fn flush(&mut self, mut emit: impl FnMut(Emit<'_>)) {
        let samples = self.packer.samples();
        if samples > 0 {
            self.stats.samples_out += u64::from(samples);
            self.stats.batches += 1;
            emit(Emit::Batch(self.packer.finish()));
        }
    }

    /// The newest samples as they came.
    pub fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The counters.
    pub fn stats(&self) -> AgentStats {
        AgentStats {
            held: u64::from(self.packer.samples()) + u64::from(self.thin.held()),
            overwritten: self.ring.overwritten(),
            ..self.stats
        }
    }
}
