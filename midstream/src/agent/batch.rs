//! A batch of samples as bytes: times as differences of differences, values as what changed in their bits
//! (after T. Pelkonen et al., *Gorilla: a fast, scalable, in-memory time series database*, VLDB 2015), both in
//! whole bytes so that an eight-bit controller can write them. The layout is in `FORMAT.md`.

use crate::agent::Sample;
use crate::error::{Error, Result};
use crate::time::Timestamp;

/// The version, which is a batch's first byte.
const VERSION: u8 = 1;
/// Version, reserved, channel, number of the batch, count, first time.
const HEADER_BYTES: usize = 18;
const SUM_BYTES: usize = 4;
/// The longest sample: a time of ten bytes, a value of five.
const SAMPLE_BYTES_MAX: usize = 15;
/// The most samples of a batch.
pub const BATCH_SAMPLES_MAX: usize = 256;
/// The longest batch.
pub const BATCH_BYTES_MAX: usize = HEADER_BYTES + BATCH_SAMPLES_MAX * SAMPLE_BYTES_MAX + SUM_BYTES;

/// A batch as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleBatch {
    /// The channel.
    pub channel: u16,
    /// Its number among the channel's batches since the agent began: with the first time, an id for dedup.
    pub number: u32,
    /// Its samples.
    pub samples: Vec<Sample>,
}

/// Writes batches into memory of its own.
#[derive(Debug)]
pub(crate) struct Packer {
    bytes: Box<[u8]>,
    len: usize,
    channel: u16,
    number: u32,
    samples: u16,
    first: i64,
    last: i64,
    step: i64,
    bits: u32,
}

impl Packer {
    pub fn new(channel: u16) -> Self {
        Self {
            bytes: vec![0; BATCH_BYTES_MAX].into_boxed_slice(),
            len: HEADER_BYTES,
            channel,
            number: 0,
            samples: 0,
            first: 0,
            last: 0,
            step: 0,
            bits: 0,
        }
    }

    pub fn samples(&self) -> u16 {
        self.samples
    }

    pub fn is_full(&self) -> bool {
        usize::from(self.samples) >= BATCH_SAMPLES_MAX
    }

    /// Milliseconds from the batch's first sample to that time; 0 of an empty batch.
    pub fn spans(&self, at: Timestamp) -> i64 {
        match self.samples {
            0 => 0,
            _ => at.as_millis().saturating_sub(self.first),
        }
    }

    /// Adds a sample to a batch that is not full.
    pub fn push(&mut self, sample: Sample) {
        let at = sample.at.as_millis();
        let bits = sample.value.to_bits();
        if self.samples == 0 {
            (self.first, self.last, self.step, self.bits) = (at, at, 0, 0);
        }
        let step = at.wrapping_sub(self.last);
        let change = step.wrapping_sub(self.step);
        self.varint((change << 1 ^ change >> 63) as u64);
        // Equal values differ in nothing, near ones in few low bytes after turning round.
        self.varint(u64::from((bits ^ self.bits).swap_bytes()));
        (self.last, self.step, self.bits) = (at, step, bits);
        self.samples += 1;
    }

    fn varint(&mut self, mut number: u64) {
        loop {
            let low = (number & 0x7f) as u8;
            number >>= 7;
            let more = u8::from(number > 0) << 7;
            if let Some(byte) = self.bytes.get_mut(self.len) {
                *byte = low | more;
                self.len += 1;
            }
            if number == 0 {
                return;
            }
        }
    }

    /// The batch's bytes; the next one begins.
    pub fn finish(&mut self) -> &[u8] {
        let mut header = [0; HEADER_BYTES];
        header[0] = VERSION;
        header[2..4].copy_from_slice(&self.channel.to_le_bytes());
        header[4..8].copy_from_slice(&self.number.to_le_bytes());
        header[8..10].copy_from_slice(&self.samples.to_le_bytes());
        header[10..18].copy_from_slice(&self.first.to_le_bytes());
        self.bytes[..HEADER_BYTES].copy_from_slice(&header);
        let sum = crc32c::crc32c(&self.bytes[..self.len]);
        let end = self.len + SUM_BYTES;
        self.bytes[self.len..end].copy_from_slice(&sum.to_le_bytes());
        self.number = self.number.wrapping_add(1);
        self.samples = 0;
        self.len = HEADER_BYTES;
        &self.bytes[..end]
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..70).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        if shift == 63 && part > 1 {
            return None;
        }
        number |= part << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// Reads a batch. Linear in its bytes.
///
/// # Errors
/// [`Error::Corrupt`] for anything that no agent has written.
pub fn decode_batch(bytes: &[u8]) -> Result<SampleBatch> {
    let corrupt = |cause| Error::Corrupt {
        what: "a batch of samples",
        cause,
    };
    if bytes.len() > BATCH_BYTES_MAX {
        return Err(corrupt("it is too long"));
    }
    let parts = bytes
        .split_last_chunk::<SUM_BYTES>()
        .and_then(|(body, sum)| Some((body, sum, body.split_first_chunk::<HEADER_BYTES>()?)));
    let Some((body, sum, (header, mut rest))) = parts else {
        return Err(corrupt("it is torn"));
    };
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err(corrupt("its checksum is wrong"));
    }
    let [version, _, c0, c1, n0, n1, n2, n3, s0, s1, first @ ..] = *header;
    if version != VERSION {
        return Err(corrupt("its version is not known"));
    }
    let count = usize::from(u16::from_le_bytes([s0, s1]));
    if count > BATCH_SAMPLES_MAX {
        return Err(corrupt("it has too many samples"));
    }
    let mut samples = Vec::with_capacity(count);
    let (mut at, mut step, mut bits) = (i64::from_le_bytes(first), 0_i64, 0_u32);
    for _ in 0..count {
        let time = varint(&mut rest);
        let value = varint(&mut rest).and_then(|value| u32::try_from(value).ok());
        let (Some(time), Some(value)) = (time, value) else {
            return Err(corrupt("a sample is torn"));
        };
        step = step.wrapping_add((time >> 1) as i64 ^ -((time & 1) as i64));
        at = at.wrapping_add(step);
        bits ^= value.swap_bytes();
        samples.push(Sample {
            at: Timestamp::from_millis(at),
            value: f32::from_bits(bits),
        });
    }
    if !rest.is_empty() {
        return Err(corrupt("it has bytes after its last sample"));
    }
    Ok(SampleBatch {
        channel: u16::from_le_bytes([c0, c1]),
        number: u32::from_le_bytes([n0, n1, n2, n3]),
        samples,
    })
}
