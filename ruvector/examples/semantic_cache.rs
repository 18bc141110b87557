//! Answers that are found by meaning: what is computed, what hits, what the guard refuses.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use ruvector::Embedder;
use ruvector::cache::{Answer, Policy, SemanticCache, Timestamp, Ttl, TtlClass};

/// Stands where a real model belongs: letters of each word, hashed. Texts with the same words are near.
fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![0.0; 256];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        let hash = word.bytes().fold(5381_usize, |hash, byte| {
            hash.wrapping_mul(33) ^ usize::from(byte)
        });
        if !word.is_empty() {
            vector[hash % 256] += 1.0;
        }
    }
    vector
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let embedder = Embedder::new("hashed-words-1", 256, |text| Ok(embed(text)))?;
    let policy = Policy::default()
        .threshold(0.7)
        .ttl(Ttl::Adaptive(TtlClass::Dynamic));
    let cache = SemanticCache::builder(Arc::new(embedder))
        .max_bytes(8 << 20)
        .namespace("help", policy)
        .same_answer(|a: &String, b| a == b)
        .build()?;
    let now = Timestamp(0);
    for question in [
        "How do I enable 2FA?",
        "How do I enable 2FA?",
        "How can I enable 2FA?",
        "How do I disable 2FA?",
        "Is it 3 hours to the barn?",
        "Is it 5 hours to the barn?",
    ] {
        let found = cache.get_or_compute("help", question, now, || {
            // Here a language model would be asked.
            let answer = format!("the answer to {question:?}");
            let bytes = answer.len();
            Ok::<_, std::io::Error>(Answer::new(answer, bytes).cost(120.0))
        })?;
        println!("{question}\n  {:?}: {}", found.how, found.value());
    }
    println!("{:#?}", cache.counters());
    Ok(())
}
