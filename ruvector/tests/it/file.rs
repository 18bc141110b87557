//! The file: opens as it was, survives a cut at any byte, and never answers from damaged bytes.

use std::fs;
use std::path::Path;

use ruvector::{Index, IndexKind, Metric, Quantization, Storage};
use serde_json::json;

use crate::common::Random;

const DIM: usize = 9;

fn vector(n: u64) -> Vec<f32> {
    (0..DIM as u64)
        .map(|i| ((n * 31 + i * 17) % 23) as f32 - 11.0)
        .collect()
}

fn build(path: &Path, quantization: Quantization) -> Index {
    let builder = Index::builder(DIM)
        .metric(Metric::L2)
        .quantization(quantization);
    builder
        .storage(Storage::File(path.to_owned()))
        .build()
        .unwrap()
}

fn answers(index: &Index) -> Vec<Vec<(u64, f32)>> {
    (0..5)
        .map(|q| {
            index
                .search(&vector(q * 7), 4)
                .run()
                .unwrap()
                .iter()
                .map(|hit| (hit.id, hit.score))
                .collect()
        })
        .collect()
}

fn fill(index: &Index) {
    for n in 0..30 {
        index.upsert(n, &vector(n), json!({ "n": n })).unwrap();
    }
    index.snapshot().unwrap();
    for n in 30..40 {
        index.upsert(n, &vector(n), json!({ "n": n })).unwrap();
    }
    index.delete(3).unwrap();
    index.flush().unwrap();
}

#[test]
fn a_closed_index_opens_as_it_was() {
    for quantization in [Quantization::None, Quantization::Int8] {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let index = build(&path, quantization);
        fill(&index);
        let before = answers(&index);
        assert!(
            Index::open(&path).is_err(),
            "the file is locked while it is open"
        );
        drop(index);
        Index::verify(&path).unwrap();
        let index = Index::open(&path).unwrap();
        assert_eq!(index.len(), 39);
        assert_eq!(answers(&index), before);
        assert_eq!(
            index.get(35).unwrap().unwrap().payload,
            Some(json!({ "n": 35 }))
        );
        assert!(index.get(3).unwrap().is_none());
        index.compact().unwrap();
        assert_eq!(answers(&index), before);
        let copy = folder.path().join("copy");
        index.save(&copy).unwrap();
        assert_eq!(answers(&Index::open(&copy).unwrap()), before);
    }
}

#[test]
fn a_file_cut_at_any_byte_of_its_log_opens_with_a_prefix_of_the_changes() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = build(&path, Quantization::None);
    fill(&index);
    let log = index.stats().log_bytes as usize;
    drop(index);
    let whole = fs::read(&path).unwrap();
    let mut last = 0;
    for length in whole.len() - log..=whole.len() {
        let cut = folder.path().join("cut");
        fs::write(&cut, &whole[..length]).unwrap();
        let index = Index::open(&cut).unwrap();
        let found = index.len();
        assert!(found >= last || found == 39, "{found} after {last}");
        assert!((30..=40).contains(&found));
        last = found.min(40);
    }
    for length in (0..whole.len() - log).step_by(97) {
        let cut = folder.path().join("cut");
        fs::write(&cut, &whole[..length]).unwrap();
        assert!(
            Index::open(&cut).is_err(),
            "opened with {length} of {} bytes",
            whole.len()
        );
    }
}

#[test]
fn a_flipped_bit_is_an_error_or_changes_no_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let index = build(&path, Quantization::Int8);
    fill(&index);
    let before = answers(&index);
    drop(index);
    let whole = fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(13) {
        let mut damaged = whole.clone();
        damaged[at] ^= 1 << (at % 8);
        let file = folder.path().join("damaged");
        fs::write(&file, &damaged).unwrap();
        let Ok(index) = Index::open(&file) else {
            continue;
        };
        for (query, wanted) in before.iter().enumerate() {
            let Ok(hits) = index.search(&vector(query as u64 * 7), 4).run() else {
                continue;
            };
            // A bit of the log may end it early: then later changes are gone, never different.
            if index.len() == 39 {
                let found: Vec<_> = hits.iter().map(|hit| (hit.id, hit.score)).collect();
                assert_eq!(&found, wanted, "bit of byte {at}");
            }
        }
    }
}

/// Damages a file with a graph, lists or codes at random places: an error, or the answers of before.
fn flips(count: usize) {
    let folder = tempfile::tempdir().unwrap();
    let rows = Random(9).clustered(1100, DIM);
    let file = folder.path().join("damaged");
    let kinds = [
        (IndexKind::Hnsw, Quantization::Int8),
        (IndexKind::Hnsw, Quantization::F16),
        (IndexKind::IvfPq, Quantization::Pq { subspaces: 3 }),
        (IndexKind::Ivf, Quantization::Binary),
        (IndexKind::Exact, Quantization::None),
    ];
    let mut random = Random(10);
    for (kind, quantization) in kinds {
        let path = folder
            .path()
            .join(format!("{kind:?}-{}", quantization.name()));
        let index = Index::builder(DIM)
            .metric(Metric::L2)
            .kind(kind)
            .quantization(quantization)
            .storage(Storage::File(path.clone()))
            .build()
            .unwrap();
        let ids: Vec<u64> = (0..1090).collect();
        let payloads = ids.iter().map(|id| json!({"n": id})).collect();
        index
            .upsert_batch(&ids, &rows[..1090].concat(), payloads)
            .unwrap();
        index.snapshot().unwrap();
        for id in 1090..1100 {
            index
                .upsert(id, &rows[id as usize], json!({"n": id}))
                .unwrap();
        }
        index.flush().unwrap();
        let ask = |index: &Index, n: usize| index.search(&rows[n * 90], 5).run();
        let before: Vec<_> = (0..12).map(|n| ask(&index, n).unwrap()).collect();
        drop(index);
        let whole = fs::read(&path).unwrap();
        for _ in 0..count / kinds.len() {
            let at = (random.next() % whole.len() as u64) as usize;
            let mut damaged = whole.clone();
            damaged[at] ^= (random.next() % 255) as u8 + 1;
            fs::write(&file, &damaged).unwrap();
            let Ok(index) = Index::open(&file) else {
                continue;
            };
            // Damage of the log's end may take the last changes, never change an answer.
            let all = index.len() == 1100;
            let n = (random.next() % 12) as usize;
            if let (true, Ok(hits)) = (all, ask(&index, n)) {
                assert_eq!(hits, before[n], "{kind:?}: byte {at}");
            }
        }
    }
}

#[test]
fn bytes_flipped_at_random_are_errors_or_change_nothing() {
    flips(250);
}

#[test]
#[ignore = "takes about a minute"]
fn ten_thousand_bytes_flipped_at_random_are_errors_or_change_nothing() {
    flips(10_000);
}
