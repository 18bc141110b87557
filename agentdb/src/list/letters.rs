//! The letters that one replica inserted, by their number.

/// A byte offset is kept for every so many letters.
const STRIDE: usize = 64;

/// Letters in the order of their numbers, as UTF-8.
///
/// Reading a range costs O(range + 64); where all letters are ASCII, the offset is the number itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Letters {
    text: String,
    /// The byte offsets of the letters 0, 64, 128 ...
    marks: Vec<usize>,
    count: usize,
}

impl Letters {
    pub(super) fn push_str(&mut self, text: &str) {
        for letter in text.chars() {
            self.push(letter);
        }
    }

    pub(super) fn push(&mut self, letter: char) {
        if self.count.is_multiple_of(STRIDE) {
            self.marks.push(self.text.len());
        }
        self.text.push(letter);
        self.count += 1;
    }

    /// The letters from one number, so many of them; less where there are less.
    pub(super) fn slice(&self, from: u32, count: u32) -> &str {
        let (from, count) = (from as usize, count as usize);
        let range = self.offset(from)..self.offset(from.saturating_add(count));
        self.text.get(range).unwrap_or_default()
    }

    fn offset(&self, number: usize) -> usize {
        if number >= self.count {
            return self.text.len();
        }
        if self.text.len() == self.count {
            return number;
        }
        let Some(mark) = self.marks.get(number / STRIDE).copied() else {
            return self.text.len();
        };
        let within = self.text[mark..].char_indices().nth(number % STRIDE);
        within.map_or(self.text.len(), |(offset, _)| mark + offset)
    }
}

#[cfg(test)]
mod tests {
    use super::Letters;

    #[test]
    fn a_slice_is_counted_in_letters_not_bytes() {
        let mut letters = Letters::default();
        let text: String = "aé漢🦀".chars().cycle().take(301).collect();
        letters.push_str(&text);
        for (from, count) in [(0, 0), (0, 4), (63, 2), (64, 64), (200, 101), (300, 1)] {
            let expected: String = text.chars().skip(from).take(count).collect();
            assert_eq!(letters.slice(from as u32, count as u32), expected);
        }
        assert_eq!(letters.slice(301, 1), "");
    }
}
