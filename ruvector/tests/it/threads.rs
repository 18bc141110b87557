//! One writer and several readers at once: every search sees whole rows, and never waits for the disk.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use ruvector::{Index, IndexKind, Metric, Quantization, Storage};
use serde_json::json;

use crate::common::Random;

#[test]
fn readers_see_whole_rows_while_a_writer_changes_deletes_and_compacts() {
    let folder = tempfile::tempdir().unwrap();
    let dim = 12;
    let index = Index::builder(dim)
        .metric(Metric::L2)
        .kind(IndexKind::Hnsw)
        .quantization(Quantization::Int8)
        .storage(Storage::File(folder.path().join("index")))
        .build()
        .unwrap();
    let rows = Random(4).clustered(400, dim);
    // Rows that stay are found at any moment; the others come and go. A payload tells its row.
    for (id, row) in (0..).zip(&rows[..100]) {
        index.upsert(id, row, json!({"row": id})).unwrap();
    }
    let done = AtomicBool::new(false);
    let searches = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for reader in 0..2 {
            let (index, rows, done, searches) = (&index, &rows, &done, &searches);
            scope.spawn(move || {
                let mut random = Random(reader);
                while !done.load(Ordering::Relaxed) {
                    let at = (random.next() % 100) as usize;
                    let hits = index.search(&rows[at], 3).run().unwrap();
                    assert_eq!((hits[0].id, hits[0].score), (at as u64, 0.0));
                    for hit in hits {
                        let row = hit.payload.unwrap()["row"].as_u64().unwrap();
                        // An id's row changes, but vector and payload belong together.
                        let wanted: f32 = rows[row as usize]
                            .iter()
                            .zip(&rows[at])
                            .map(|(a, b)| (a - b) * (a - b))
                            .sum();
                        assert!((wanted + hit.score).abs() < 1e-3, "{wanted} {}", hit.score);
                    }
                    searches.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let mut random = Random(5);
        for change in 0..1500 {
            let id = 100 + random.next() % 100;
            match random.next() % 8 {
                0 => _ = index.delete(id).unwrap(),
                _ => {
                    let row = 100 + random.next() % 300;
                    index
                        .upsert(id, &rows[row as usize], json!({"row": row}))
                        .unwrap();
                }
            }
            match change % 500 {
                250 => index.flush().unwrap(),
                499 => index.compact().unwrap(),
                _ => {}
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(searches.load(Ordering::Relaxed) > 0);
}
