//! A vector in the form in which it is stored: floats, or bits in words.

use crate::error::{Error, Result};

/// A vector that was checked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Vector {
    /// Normalised where the metric asks for it.
    Floats(Box<[f32]>),
    /// Under Hamming: bit `i` is bit `i % 64` of word `i / 64`. Bits past the dimension are zero.
    Bits(Box<[u64]>),
}

/// Words that hold so many bits.
pub(crate) fn words(bits: usize) -> usize {
    bits.div_ceil(64)
}

/// Whether the bits past `dim` are zero.
pub(crate) fn ends_clean(words: &[u64], dim: usize) -> bool {
    let whole = dim / 64;
    let tail = words.get(whole).map_or(0, |word| word >> (dim % 64));
    tail == 0 && words.iter().skip(whole + 1).all(|word| *word == 0)
}

impl Vector {
    /// A bit a component, set where it is above zero.
    pub fn above_zero(vector: &[f32]) -> Self {
        let word = |xs: &[f32]| {
            let bits = xs.iter().enumerate();
            bits.fold(0, |word, (at, x)| word | u64::from(*x > 0.0) << at)
        };
        Self::Bits(vector.chunks(64).map(word).collect())
    }

    /// Bits as bytes hold them, the lowest bit of a byte first.
    pub fn packed(bytes: &[u8], dim: usize) -> Result<Self> {
        let want = dim.div_ceil(8);
        if bytes.len() != want {
            return Err(Error::BitBytes {
                got: bytes.len(),
                want,
                bits: dim,
            });
        }
        let word = |bytes: &[u8]| {
            let bytes = bytes.iter().enumerate();
            bytes.fold(0, |word, (at, byte)| word | u64::from(*byte) << (8 * at))
        };
        let words: Box<[u64]> = bytes.chunks(8).map(word).collect();
        if !ends_clean(&words, dim) {
            return Err(Error::BitsBeyond { bits: dim });
        }
        Ok(Self::Bits(words))
    }

    /// The components, zeros and ones for bits.
    pub fn into_floats(self, dim: usize) -> Vec<f32> {
        match self {
            Self::Floats(floats) => floats.into_vec(),
            Self::Bits(words) => {
                let bit = |at: usize| words[at / 64] >> (at % 64) & 1;
                (0..dim).map(|at| f32::from(bit(at) as u8)).collect()
            }
        }
    }

    /// As a log stores it.
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Floats(floats) => bytemuck::cast_slice(floats),
            Self::Bits(words) => bytemuck::cast_slice(words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn bytes_and_floats_give_the_same_bits(bits in proptest::collection::vec(any::<bool>(), 1..300)) {
            let floats: Vec<f32> = bits.iter().map(|bit| f32::from(u8::from(*bit))).collect();
            let mut bytes = vec![0_u8; bits.len().div_ceil(8)];
            for (at, bit) in bits.iter().enumerate() {
                bytes[at / 8] |= u8::from(*bit) << (at % 8);
            }
            let packed = Vector::packed(&bytes, bits.len()).unwrap();
            prop_assert_eq!(&packed, &Vector::above_zero(&floats));
            prop_assert_eq!(packed.into_floats(bits.len()), floats);
        }
    }

    #[test]
    fn bytes_that_hold_other_bits_are_refused() {
        assert!(Vector::packed(&[0xff, 0x03], 10).is_ok());
        let long = Vector::packed(&[0, 0, 0], 10).unwrap_err().to_string();
        assert!(long.contains("3 bytes") && long.contains('2'), "{long}");
        let beyond = Vector::packed(&[0, 0x04], 10).unwrap_err().to_string();
        assert!(beyond.contains("10"), "{beyond}");
    }
}
