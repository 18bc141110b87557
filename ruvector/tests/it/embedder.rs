//! An embedder that needs no model: words and parts of words, hashed into a vector.

use std::sync::Arc;

use ruvector::{BoxError, Embedder};

pub const DIM: usize = 512;

/// Words weigh as much as all their trigrams together.
pub fn vector(text: &str) -> Vec<f32> {
    let mut out = vec![0.0; DIM];
    let mut add = |part: &[char], weight: f32| {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for c in part {
            hash = (hash ^ u64::from(*c)).wrapping_mul(0x0100_0000_01b3);
        }
        hash ^= hash >> 29;
        let sign = if hash & 1 == 0 { 1.0 } else { -1.0 };
        out[(hash >> 8) as usize % DIM] += sign * weight;
    };
    let lower = text.to_lowercase();
    for word in lower
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
    {
        let mut word: Vec<char> = word.chars().collect();
        add(&word, 1.0);
        word.insert(0, '<');
        word.push('>');
        let grams = word.len().saturating_sub(2).max(1) as f32;
        for gram in word.windows(3) {
            add(gram, 1.0 / grams.sqrt());
        }
    }
    out
}

pub fn embedder() -> Arc<Embedder> {
    let run = |text: &str| Ok::<_, BoxError>(vector(text));
    Arc::new(Embedder::new("hashed-words", DIM, run).unwrap())
}
