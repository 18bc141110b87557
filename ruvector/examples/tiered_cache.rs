//! A cache on the device in front of one at the site: what one device learns helps the next.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::sync::Arc;
use std::time::Instant;

use ruvector::cache::{Answer, Question, SemanticCache, TieredCache, Timestamp};
use ruvector::{BoxError, Embedder};

#[expect(
    clippy::disallowed_methods,
    reason = "the clock that the cache is given"
)]
fn device(
    site: Arc<SemanticCache<String>>,
    embedder: Arc<Embedder>,
) -> Result<TieredCache<String>, BoxError> {
    let start = Instant::now();
    let own = SemanticCache::builder(embedder)
        .max_bytes(1 << 20)
        .build()?;
    Ok(TieredCache::builder(move || start.elapsed())
        .tier("device", own)
        .tier("site", site)
        .build()?)
}

fn main() -> Result<(), BoxError> {
    // Letter counts; a real program runs a model here.
    let letters = |text: &str| {
        let mut vector = vec![0.0; 27];
        for byte in text.to_ascii_lowercase().bytes() {
            let at = if byte.is_ascii_lowercase() {
                byte - b'a'
            } else {
                26
            };
            vector[usize::from(at)] += 1.0;
        }
        Ok(vector)
    };
    let embedder = Arc::new(Embedder::new("letters", 27, letters)?);
    let site = Arc::new(SemanticCache::builder(embedder.clone()).build()?);
    let devices = [
        device(site.clone(), embedder.clone())?,
        device(site, embedder)?,
    ];
    for (number, device) in devices.iter().enumerate() {
        for text in ["what do lambs eat", "what do lambs eat", "when to shear"] {
            let question = Question {
                namespace: "care",
                text,
            };
            let (answer, source) = device.get_or_compute(question, Timestamp(0), || {
                let answer = format!("about {text}");
                let bytes = answer.len();
                Ok::<_, std::io::Error>(Answer::new(answer, bytes).cost(50.0))
            })?;
            println!(
                "device {number}: {text}: {} from {source:?}",
                answer.value()
            );
        }
        for tier in device.stats().tiers {
            println!(
                "device {number}, {}: {} of {} hit, cost saved {}, p99 {:?}",
                tier.name,
                tier.hits,
                tier.lookups,
                tier.cost_saved,
                tier.latency.quantile(0.99)
            );
        }
    }
    Ok(())
}
