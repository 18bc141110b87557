//! A set of slots.

/// One bit a slot; bits outside are zero.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bits {
    words: Vec<u64>,
    length: usize,
}

impl Bits {
    pub fn zeros(length: usize) -> Self {
        Self {
            words: vec![0; length.div_ceil(64)],
            length,
        }
    }

    pub fn from_words(words: Vec<u64>, length: usize) -> Option<Self> {
        let tail = length % 64;
        let clean = tail == 0 || words.last().is_none_or(|word| word >> tail == 0);
        (words.len() == length.div_ceil(64) && clean).then_some(Self { words, length })
    }

    pub fn words(&self) -> &[u64] {
        &self.words
    }

    pub fn push(&mut self, bit: Bit) {
        if self.length.is_multiple_of(64) {
            self.words.push(0);
        }
        self.length += 1;
        if bit == Bit::One {
            self.set(self.length as u32 - 1);
        }
    }

    #[inline(always)]
    pub fn get(&self, at: u32) -> bool {
        self.words
            .get(at as usize / 64)
            .is_some_and(|word| word >> (at % 64) & 1 == 1)
    }

    pub fn set(&mut self, at: u32) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            *word |= 1 << (at % 64);
        }
    }

    pub fn clear(&mut self, at: u32) {
        if let Some(word) = self.words.get_mut(at as usize / 64) {
            *word &= !(1 << (at % 64));
        }
    }

    pub fn count(&self) -> usize {
        self.words
            .iter()
            .map(|word| word.count_ones() as usize)
            .sum()
    }

    pub fn heap_bytes(&self) -> usize {
        self.words.capacity() * 8
    }

    /// Positions of the ones, ascending.
    pub fn ones(&self) -> impl Iterator<Item = u32> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let bit = left.trailing_zeros();
                (left != 0).then(|| {
                    left &= left - 1;
                    index as u32 * 64 + bit
                })
            })
        })
    }

    pub fn and(&mut self, other: &Self) {
        for (index, word) in self.words.iter_mut().enumerate() {
            *word &= other.words.get(index).copied().unwrap_or(0);
        }
    }

    pub fn or(&mut self, other: &Self) {
        for (word, other) in self.words.iter_mut().zip(&other.words) {
            *word |= other;
        }
    }

    pub fn invert(&mut self) {
        for word in &mut self.words {
            *word = !*word;
        }
        let tail = self.length % 64;
        if tail != 0
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << tail) - 1;
        }
    }
}

/// What is appended to a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bit {
    Zero,
    One,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_a_list_of_booleans(a in proptest::collection::vec(any::<bool>(), 0..300), seed in any::<u64>()) {
            let b: Vec<bool> = (0..a.len()).map(|i| (seed >> (i % 64)) & 1 == 1).collect();
            let make = |list: &[bool]| {
                let mut bits = Bits::default();
                for bit in list {
                    bits.push(if *bit { Bit::One } else { Bit::Zero });
                }
                bits
            };
            let (left, right) = (make(&a), make(&b));
            let list = |bits: &Bits| (0..a.len() as u32).map(|i| bits.get(i)).collect::<Vec<_>>();
            prop_assert_eq!(list(&left), a.clone());
            prop_assert_eq!(left.count(), a.iter().filter(|bit| **bit).count());
            prop_assert_eq!(left.ones().collect::<Vec<_>>(), (0..a.len() as u32).filter(|i| a[*i as usize]).collect::<Vec<_>>());
            let (mut and, mut or, mut not) = (left.clone(), left.clone(), left.clone());
            and.and(&right);
            or.or(&right);
            not.invert();
            for i in 0..a.len() {
                prop_assert_eq!(list(&and)[i], a[i] && b[i]);
                prop_assert_eq!(list(&or)[i], a[i] || b[i]);
                prop_assert_eq!(list(&not)[i], !a[i]);
            }
            prop_assert_eq!(not.count(), a.len() - left.count());
        }
    }
}
