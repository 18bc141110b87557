//! Cutting a document into pieces that a model can embed.

use std::ops::Range;

use unicode_segmentation::UnicodeSegmentation;

use crate::error::{Error, Result};

/// How documents are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Chunking {
    /// Whole sentences (Unicode Standard Annex 29) as long as `chars` characters hold them; each chunk
    /// begins with the last `overlap` sentences of the one before, if they leave room for a new one.
    /// A sentence that is longer is cut by characters.
    Sentences {
        /// Most characters of a chunk.
        chars: usize,
        /// Sentences that neighbours share.
        overlap: usize,
    },
    /// So many characters, of which neighbours share some. A character as readers see it, with its
    /// accents, is never cut.
    Characters {
        /// Most characters of a chunk.
        chars: usize,
        /// Characters that neighbours share; less than half of `chars`.
        overlap: usize,
    },
}

impl Default for Chunking {
    fn default() -> Self {
        Self::Sentences {
            chars: 800,
            overlap: 1,
        }
    }
}

/// Most characters that a chunk may be allowed.
pub const CHUNK_CHARS_MAX: usize = 65_536;
/// Most sentences that neighbours may share.
pub const OVERLAP_SENTENCES_MAX: usize = 64;

impl Chunking {
    pub(super) fn checked(self) -> Result<Self> {
        let (chars, fits) = match self {
            Self::Sentences { chars, overlap } => (chars, overlap <= OVERLAP_SENTENCES_MAX),
            Self::Characters { chars, overlap } => (chars, overlap < chars.div_ceil(2)),
        };
        if !(1..=CHUNK_CHARS_MAX).contains(&chars) {
            return Err(Error::Option {
                option: "chars",
                got: chars as u64,
                allowed: "1..=65536",
            });
        }
        if !fits {
            return Err(Error::Unsupported(
                "chunks may share at most 64 sentences, or less than half of their characters",
            ));
        }
        Ok(self)
    }

    /// Where the chunks are, as byte ranges of the text, in order. White space at the ends of a chunk
    /// is left out, and so is a chunk of nothing else, or of nothing that the one before does not have.
    ///
    /// # Errors
    /// [`Error::Option`] and [`Error::Unsupported`] for sizes outside their ranges.
    pub fn ranges(self, text: &str) -> Result<Vec<Range<usize>>> {
        let ranges = match self.checked()? {
            Self::Sentences { chars, overlap } => by_sentences(text, chars, overlap),
            Self::Characters { chars, overlap } => {
                by_characters(text, 0..text.len(), chars, overlap)
            }
        };
        let trimmed = ranges.into_iter().map(|range| {
            let chunk = text.get(range.clone()).unwrap_or_default();
            let start = range.start + (chunk.len() - chunk.trim_start().len());
            start..start + chunk.trim().len()
        });
        let mut covered = 0;
        Ok(trimmed
            .filter(|range| {
                let new = !range.is_empty() && range.end > covered;
                covered = covered.max(range.end);
                new
            })
            .collect())
    }
}

fn by_characters(
    text: &str,
    part: Range<usize>,
    chars: usize,
    overlap: usize,
) -> Vec<Range<usize>> {
    let inside = text.get(part.clone()).unwrap_or_default();
    let mut starts: Vec<usize> = inside
        .grapheme_indices(true)
        .map(|(at, _)| part.start + at)
        .collect();
    let count = starts.len();
    starts.push(part.end);
    let mut ranges = Vec::new();
    let mut from = 0;
    while from < count {
        let to = (from + chars).min(count);
        ranges.push(starts[from]..starts[to]);
        if to == count {
            break;
        }
        from = to - overlap;
    }
    ranges
}

/// A piece that is not cut further: a sentence, or a part of one that is too long.
struct Piece {
    range: Range<usize>,
    chars: usize,
}

fn by_sentences(text: &str, chars: usize, overlap: usize) -> Vec<Range<usize>> {
    let length = |range: &Range<usize>| {
        let piece = text.get(range.clone()).unwrap_or_default();
        piece.graphemes(true).count()
    };
    let sentences = text
        .split_sentence_bound_indices()
        .map(|(at, sentence)| at..at + sentence.len());
    let pieces: Vec<Piece> = sentences
        .flat_map(|range| match length(&range) > chars {
            true => by_characters(text, range, chars, 0),
            false => vec![range],
        })
        .map(|range| Piece {
            chars: length(&range),
            range,
        })
        .collect();
    let mut ranges = Vec::new();
    let mut from = 0;
    while from < pieces.len() {
        let mut sum = 0;
        let fitting = pieces[from..].iter().take_while(|piece| {
            sum += piece.chars;
            sum <= chars
        });
        let to = from + fitting.count().max(1);
        ranges.push(pieces[from].range.start..pieces[to - 1].range.end);
        if to == pieces.len() {
            break;
        }
        // Share as many as were asked for, but only as leave room for the next piece, and never
        // the whole chunk.
        let mut next = to.saturating_sub(overlap).max(from + 1);
        let room = |next: usize| {
            pieces[next..=to]
                .iter()
                .map(|piece| piece.chars)
                .sum::<usize>()
                <= chars
        };
        while next < to && !room(next) {
            next += 1;
        }
        from = next;
    }
    ranges
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn chunks(chunking: Chunking, text: &str) -> Vec<&str> {
        let ranges = chunking.ranges(text).unwrap();
        ranges.into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn sentences_stay_whole_and_overlap() {
        let text = "Cows eat hay. Goats eat 3.5 kg. Sheep graze. Hens peck.";
        let chunking = Chunking::Sentences {
            chars: 34,
            overlap: 1,
        };
        assert_eq!(
            chunks(chunking, text),
            [
                "Cows eat hay. Goats eat 3.5 kg.",
                "Goats eat 3.5 kg. Sheep graze.",
                "Sheep graze. Hens peck."
            ]
        );
    }

    // A chunk of what it shares with the one before and white space was a chunk of its own.
    #[test]
    fn a_chunk_of_nothing_new_is_left_out() {
        let chunking = Chunking::Characters {
            chars: 3,
            overlap: 1,
        };
        assert_eq!(chunks(chunking, "abcde "), ["abc", "cde"]);
    }

    #[test]
    fn wrong_sizes_are_refused() {
        for (chars, overlap) in [(0, 0), (CHUNK_CHARS_MAX + 1, 0), (10, 5)] {
            assert!(
                Chunking::Characters { chars, overlap }
                    .ranges("text")
                    .is_err()
            );
        }
    }

    proptest! {
        #[test]
        fn nothing_but_white_space_is_lost_and_no_chunk_is_too_long(
            text in "([a-z]{1,12}[ .!?]{1,2}|\u{e9}\u{301}|\u{4f60}\u{597d}\u{3002}){0,60}",
            chars in 1_usize..60,
            overlap in 0_usize..4,
            sentences in any::<bool>(),
        ) {
            let chunking = match sentences {
                true => Chunking::Sentences { chars, overlap },
                false => Chunking::Characters { chars, overlap: overlap.min(chars.div_ceil(2) - 1) },
            };
            let ranges = chunking.ranges(&text).unwrap();
            let mut covered = 0;
            for range in &ranges {
                prop_assert!(text[range.clone()].graphemes(true).count() <= chars);
                if range.start > covered {
                    prop_assert_eq!(text[covered..range.start].trim(), "");
                }
                prop_assert!(range.end > covered);
                covered = range.end;
            }
            prop_assert_eq!(text[covered..].trim(), "");
        }
    }
}
