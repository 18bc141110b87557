//! Writes small index files of every kind for the fuzzer to start from: `cargo run --bin seeds -- FOLDER`.

use std::path::PathBuf;

use ruvector::{Index, IndexKind, Metric, Quantization, Storage};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("a folder is wanted")?);
    std::fs::create_dir_all(&folder)?;
    let quantizations = [
        Quantization::None,
        Quantization::F16,
        Quantization::Int8,
        Quantization::Pq { subspaces: 2 },
        Quantization::Binary,
    ];
    for kind in [IndexKind::Exact, IndexKind::Hnsw, IndexKind::Ivf] {
        for quantization in quantizations {
            for rows in [3_u64, 1030] {
                let path = folder.join(format!("{kind:?}-{}-{rows}", quantization.name()));
                let index = Index::builder(4)
                    .metric(Metric::L2)
                    .kind(kind)
                    .quantization(quantization)
                    .storage(Storage::File(path))
                    .build()?;
                let row = |id: u64| [id as f32, (id % 7) as f32, (id % 31) as f32, 1.0];
                for id in 0..rows {
                    index.upsert(id, &row(id), Default::default())?;
                }
                index.snapshot()?;
                index.upsert(rows, &row(rows), Default::default())?;
                index.delete(1)?;
                index.flush()?;
            }
        }
    }
    for kind in [IndexKind::Exact, IndexKind::Hnsw] {
        let path = folder.join(format!("{kind:?}-bits"));
        let index = Index::bits(70).kind(kind).storage(Storage::File(path)).build()?;
        let row = |id: u64| [id as u8, (id * 31) as u8, 3, 4, 5, 6, 7, 8, (id % 64) as u8];
        for id in 0..40 {
            index.upsert_bits(id, &row(id), Default::default())?;
        }
        index.snapshot()?;
        index.upsert_bits(40, &row(40), Default::default())?;
        index.delete(1)?;
        index.flush()?;
    }
    Ok(())
}
