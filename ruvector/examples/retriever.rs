//! Passages of documents for a question, with a filter and without repetition.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;

use ruvector::retriever::{Chunking, Retriever};
use ruvector::{Embedder, Filter, Index};
use serde_json::json;

/// Stands where a real model belongs: words, hashed.
fn embed(text: &str) -> Vec<f32> {
    let mut vector = vec![1e-3; 256];
    for word in text.to_lowercase().split(|c: char| !c.is_alphanumeric()) {
        let hash = word.bytes().fold(5381_usize, |hash, byte| {
            hash.wrapping_mul(33) ^ usize::from(byte)
        });
        if word.len() > 3 {
            vector[hash % 256] += 1.0;
        }
    }
    vector
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let index = Index::builder(256)
        .file(folder.path().join("handbook.index"))
        .build()?;
    let embedder = Embedder::new("hashed-words-1", 256, |text| Ok(embed(text)))?;
    let chunking = Chunking::Sentences {
        chars: 120,
        overlap: 1,
    };
    let retriever = Retriever::new(index, Arc::new(embedder), chunking)?;
    retriever.add(
        1,
        "Mastitis is an inflammation of the udder. Clots in the milk are a first sign of mastitis. \
         A vet may prescribe antibiotics for the infected quarter. Keep the milk out of the tank.",
        json!({"topic": "health", "year": 2024}),
    )?;
    retriever.add(
        2,
        "Rotate the pasture every three weeks. Grass needs rest to grow again.",
        json!({"topic": "grazing", "year": 2021}),
    )?;
    retriever.index().flush()?;

    let passages = retriever
        .retrieve("What is a sign of mastitis in the milk?", 2)
        .filter(Filter::parse("topic == 'health' && year >= 2023")?)
        .relevance(0.7)
        .run()?;
    for passage in passages {
        println!(
            "{:.3} document {} bytes {:?}: {}",
            passage.score, passage.document, passage.range, passage.text
        );
    }
    Ok(())
}
