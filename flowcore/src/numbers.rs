//! Hashing of keys that are numbers or hashes already: one multiplication instead of SipHash. Such
//! keys are given by the engine, never by a stranger, so nobody can choose them to collide.

use std::hash::{BuildHasherDefault, Hasher};

pub(crate) type ByNumber = BuildHasherDefault<Multiply>;

#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Multiply(u64);

impl Multiply {
    fn mix(&mut self, word: u64) {
        // 2^64 divided by the golden ratio, as in Fibonacci hashing (Knuth, vol. 3, 6.4).
        self.0 = (self.0 ^ word)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(32);
    }
}

impl Hasher for Multiply {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.mix(number);
    }

    fn write_u32(&mut self, number: u32) {
        self.mix(u64::from(number));
    }

    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }
}
