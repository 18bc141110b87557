//! Vectors of bits: they come in packed, take the memory of bits, and distances are exact.

use proptest::prelude::*;
use ruvector::{Error, Filter, Index, IndexKind, Metric, Storage};
use serde_json::{Value, json};

use crate::common::{Random, overlap};

fn rows(count: usize, bits: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Random(seed);
    let centres: Vec<Vec<u8>> = (0..40).map(|_| row(bits, &mut random)).collect();
    (0..count)
        .map(|_| {
            let mut row = centres[(random.next() % 40) as usize].clone();
            for _ in 0..bits / 6 {
                let at = (random.next() % bits as u64) as usize;
                row[at / 8] ^= 1 << (at % 8);
            }
            row
        })
        .collect()
}

fn row(bits: usize, random: &mut Random) -> Vec<u8> {
    let mut row: Vec<u8> = (0..bits.div_ceil(8)).map(|_| random.next() as u8).collect();
    if let (Some(last), tail @ 1..) = (row.last_mut(), bits % 8) {
        *last &= (1 << tail) - 1;
    }
    row
}

fn differ(a: &[u8], b: &[u8]) -> u32 {
    a.iter().zip(b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// The scores of the nearest, which ties do not change.
fn wanted(rows: &[Vec<u8>], query: &[u8], k: usize) -> Vec<f32> {
    let mut all: Vec<u32> = rows.iter().map(|row| differ(row, query)).collect();
    all.sort_unstable();
    all.iter().take(k).map(|bits| -(*bits as f32)).collect()
}

fn fill(index: &Index, rows: &[Vec<u8>]) {
    let ids: Vec<u64> = (0..rows.len() as u64).collect();
    let payloads = ids.iter().map(|id| json!({"even": id % 2 == 0}));
    index
        .upsert_bits_batch(&ids, &rows.concat(), payloads.collect())
        .unwrap();
}

fn scores(index: &Index, query: &[u8], k: usize) -> Vec<f32> {
    let hits = index.search_bits(query, k).run().unwrap();
    hits.iter().map(|hit| hit.score).collect()
}

proptest! {
    #[test]
    fn a_scan_counts_what_differs_for_any_number_of_bits(bits in 1_usize..700, seed in any::<u64>()) {
        let rows = rows(50, bits, seed);
        let query = row(bits, &mut Random(!seed));
        let index = Index::bits(bits).build().unwrap();
        fill(&index, &rows);
        prop_assert_eq!(scores(&index, &query, 7), wanted(&rows, &query, 7));
        let near = index.search_range_bits(&query, -(bits as f32) / 2.0, None).unwrap();
        let count = rows.iter().filter(|row| 2 * differ(row, &query) <= bits as u32).count();
        prop_assert_eq!(near.len(), count);
        // Components say the same as bits.
        let floats: Vec<f32> = (0..bits).map(|at| f32::from(query[at / 8] >> (at % 8) & 1) - 0.5).collect();
        let by_floats = index.search(&floats, 7).run().unwrap();
        prop_assert_eq!(by_floats, index.search_bits(&query, 7).run().unwrap());
        index.upsert_bits(1000, &query, Value::Null).unwrap();
        let entry = index.get(1000).unwrap().unwrap();
        prop_assert_eq!(entry.vector, floats.iter().map(|x| x + 0.5).collect::<Vec<_>>());
    }
}

#[test]
fn the_graph_finds_bits_and_the_file_keeps_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bits");
    let rows = rows(3000, 200, 3);
    let mut random = Random(9);
    let queries: Vec<Vec<u8>> = (0..50)
        .map(|_| {
            let mut query = rows[(random.next() % 3000) as usize].clone();
            query[3] ^= 0x41;
            query
        })
        .collect();
    let index = Index::bits(200)
        .kind(IndexKind::Hnsw)
        .storage(Storage::File(path.clone()))
        .build()
        .unwrap();
    fill(&index, &rows[..2000]);
    index.snapshot().unwrap();
    let first: Vec<u64> = (0..2000).filter(|id| id % 3 == 0).collect();
    for id in &first {
        assert!(index.delete(*id).unwrap());
        index
            .upsert_bits(*id, &rows[*id as usize], json!({"even": id % 2 == 0}))
            .unwrap();
    }
    for (id, row) in (2000..).zip(&rows[2000..]) {
        index
            .upsert_bits(id, row, json!({"even": id % 2 == 0}))
            .unwrap();
    }
    let check = |index: &Index| {
        assert_eq!(index.stats().search, "hnsw");
        let even = Filter::parse("even == true").unwrap();
        let evens: Vec<Vec<u8>> = rows.iter().step_by(2).cloned().collect();
        let (mut found, mut found_even) = (0.0, 0.0);
        for query in &queries {
            let counts = |scores: &[f32]| scores.iter().map(|s| -s as u64).collect::<Vec<_>>();
            let (all, exact) = (scores(index, query, 10), wanted(&rows, query, 10));
            // A distance that was found is right, so recall is what the sums say.
            found += overlap(&counts(&all), &counts(&exact));
            let hits = index.search_bits(query, 10).filter(even.clone()).run();
            let some: Vec<f32> = hits.unwrap().iter().map(|hit| hit.score).collect();
            found_even += overlap(&counts(&some), &counts(&wanted(&evens, query, 10)));
            assert_eq!(some.len(), 10);
        }
        let found = found / queries.len() as f64;
        assert!(found >= 0.98, "{found}");
        assert!(found_even / queries.len() as f64 >= 0.98);
    };
    check(&index);
    index.flush().unwrap();
    drop(index);
    Index::verify(&path).unwrap();
    let index = Index::open(&path).unwrap();
    check(&index);
    index.compact().unwrap();
    check(&index);
    assert_eq!(index.len(), 3000);
    drop(index);
    check(&Index::open(&path).unwrap());
}

#[test]
fn bits_take_the_memory_of_bits() {
    let (bits, count) = (256, 4096);
    let index = Index::bits(bits).kind(IndexKind::Exact).build().unwrap();
    let rows = rows(count, bits, 5);
    let ids: Vec<u64> = (0..count as u64).collect();
    index
        .upsert_bits_batch(&ids, &rows.concat(), Vec::new())
        .unwrap();
    index.compact().unwrap();
    // 32 bytes of bits; id, its entry in the table, and half as much again for the table's room.
    let each = index.stats().heap_bytes / count;
    assert!(each < 32 + 48, "{each} bytes a vector");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bits");
    index.save(&path).unwrap();
    let file = path.metadata().unwrap().len() as usize;
    assert!(file < count * (32 + 8) + 40_000, "{file}");
}

#[test]
fn what_bits_cannot_be_is_refused() {
    let index = Index::bits(20).build().unwrap();
    assert!(matches!(
        index.upsert_bits(1, &[0; 2], Value::Null),
        Err(Error::BitBytes {
            got: 2,
            want: 3,
            ..
        })
    ));
    assert!(matches!(
        index.upsert_bits(1, &[0, 0, 0x10], Value::Null),
        Err(Error::BitsBeyond { bits: 20 })
    ));
    let batch = index.upsert_bits_batch(&[1, 2], &[0; 5], Vec::new());
    assert!(matches!(batch, Err(Error::BatchShape { .. })));
    assert!(index.search_bits(&[0; 4], 1).run().is_err());
    assert!(index.is_empty());
    for kind in [IndexKind::Ivf, IndexKind::IvfPq] {
        assert!(matches!(
            Index::bits(20).kind(kind).build(),
            Err(Error::Unsupported(_))
        ));
    }
    let floats = Index::builder(16).metric(Metric::L2).build().unwrap();
    assert!(matches!(
        floats.search_bits(&[0; 2], 1).run(),
        Err(Error::Unsupported(_))
    ));
    assert!(matches!(
        floats.upsert_bits(1, &[0; 2], Value::Null),
        Err(Error::Unsupported(_))
    ));
}
