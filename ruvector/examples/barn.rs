//! Vectors with payloads in one file: store, search with a filter, delete, open again.
#![allow(clippy::print_stdout, reason = "an example prints")]

use ruvector::{Filter, Index, Metric, Quantization, Storage};
use serde_json::json;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("barn.index");
    let index = Index::builder(4)
        .metric(Metric::Cosine)
        .quantization(Quantization::Int8)
        .storage(Storage::File(path.clone()))
        .build()?;
    index.upsert(
        1,
        &[0.9, 0.1, 0.0, 0.2],
        json!({ "zone": "barn-1", "age": 3 }),
    )?;
    index.upsert(
        2,
        &[0.8, 0.3, 0.1, 0.1],
        json!({ "zone": "barn-2", "age": 4 }),
    )?;
    index.upsert(
        3,
        &[0.0, 0.2, 0.9, 0.4],
        json!({ "zone": "barn-2", "age": 9 }),
    )?;
    index.delete(1)?;
    index.snapshot()?;
    drop(index);

    let index = Index::open(&path)?;
    let hits = index
        .search(&[1.0, 0.0, 0.0, 0.0], 10)
        .filter(Filter::parse("zone == 'barn-2' && age < 5")?)
        .run()?;
    for hit in hits {
        println!("{} at cosine {:.3}: {:?}", hit.id, hit.score, hit.payload);
    }
    Ok(())
}
