//! Every way to keep rows and every way to look for them: recall, files, growth, filters, deletes.

use ruvector::{Error, Filter, Index, IndexKind, Metric, Quantization, Storage};
use serde_json::{Value, json};

use crate::common::{Random, nearest, overlap, sift};

const KINDS: [IndexKind; 3] = [IndexKind::Exact, IndexKind::Hnsw, IndexKind::Ivf];

fn quantizations(dim: usize) -> [Quantization; 5] {
    let subspaces = (dim / 4) as u16;
    [
        Quantization::None,
        Quantization::F16,
        Quantization::Int8,
        Quantization::Pq { subspaces },
        Quantization::Binary,
    ]
}

fn fill(index: &Index, first: u64, rows: &[Vec<f32>], payload: impl Fn(u64) -> Value) {
    let ids: Vec<u64> = (first..).take(rows.len()).collect();
    let payloads = ids.iter().map(|id| payload(*id)).collect();
    index.upsert_batch(&ids, &rows.concat(), payloads).unwrap();
}

fn ids(index: &Index, query: &[f32], effort: usize) -> Vec<u64> {
    let hits = index.search(query, 10).effort(effort).run().unwrap();
    hits.iter().map(|hit| hit.id).collect()
}

fn recall(index: &Index, rows: &[Vec<f32>], queries: &[Vec<f32>], effort: usize) -> f64 {
    let numbered = (0..).zip(rows).map(|(id, row)| (id, row.as_slice()));
    let shares = queries.iter().map(|query| {
        overlap(
            &ids(index, query, effort),
            &nearest(numbered.clone(), query, 10),
        )
    });
    shares.sum::<f64>() / queries.len() as f64
}

#[test]
fn every_kind_with_every_code_finds_the_neighbours_of_real_descriptors() {
    let Some(rows) = sift() else { return };
    let (base, queries) = rows.split_at(4900);
    for kind in KINDS {
        for quantization in quantizations(128) {
            let index = Index::builder(128)
                .metric(Metric::L2)
                .kind(kind)
                .quantization(quantization)
                .build()
                .unwrap();
            fill(&index, 0, base, |_| Value::Null);
            let recall = recall(&index, base, queries, 256);
            let wanted = match quantization {
                Quantization::Binary => 0.75,
                _ => 0.97,
            };
            let name = format!("{kind:?} {}", quantization.name());
            eprintln!("{name}: recall@10 {recall:.3}");
            assert!(recall >= wanted, "{name}: recall@10 {recall}");
        }
    }
}

// Codes tell rows apart by their step. A fixed number of candidates was ranked by the originals, which lost an eighth
// of the neighbours where more rows than that lay within a step; now all those are ranked that may be near enough.
#[test]
fn rows_that_codes_hardly_tell_apart_are_ranked_by_the_originals() {
    let mut random = Random(11);
    let centres: Vec<Vec<f32>> = (0..50)
        .map(|_| (0..32).map(|_| random.unit()).collect())
        .collect();
    let mut near = |centre: usize| -> Vec<f32> {
        let around = centres[centre % 50].iter();
        around.map(|x| x + 0.004 * random.unit()).collect()
    };
    let rows: Vec<Vec<f32>> = (0..3000).map(&mut near).collect();
    let queries: Vec<Vec<f32>> = (0..50).map(&mut near).collect();
    for kind in KINDS {
        let index = Index::builder(32)
            .metric(Metric::L2)
            .kind(kind)
            .build()
            .unwrap();
        fill(&index, 0, &rows, |_| Value::Null);
        let recall = recall(&index, &rows, &queries, 128);
        assert!(recall >= 0.99, "{kind:?}: recall@10 {recall}");
    }
}

#[test]
fn a_scan_is_right_also_where_all_rows_share_most_of_their_length() {
    let mut random = Random(12);
    let mut far = || -> Vec<f32> { (0..32).map(|_| 100.0 + random.unit()).collect() };
    let rows: Vec<Vec<f32>> = (0..1500).map(|_| far()).collect();
    let queries: Vec<Vec<f32>> = (0..20).map(|_| far()).collect();
    let index = Index::builder(32)
        .metric(Metric::L2)
        .kind(IndexKind::Exact)
        .build()
        .unwrap();
    fill(&index, 0, &rows, |_| Value::Null);
    let recall = recall(&index, &rows, &queries, 10);
    assert!(recall >= 0.99, "recall@10 {recall}");
}

// Two answers in a thousand had nine hits where ten rows matched: a scan that looked again left out a hit that it had,
// where rounding had moved its codes by more than the doubt that is allowed for. What is known stays now.
#[test]
fn there_are_as_many_hits_as_rows_however_far_codes_are_off() {
    let index = Index::builder(64).metric(Metric::Dot).build().unwrap();
    // Of nine rows the step is 0.01, and all but one component are rounded down by nearly half of it; of the tenth it
    // is 1, so that the scan has reason to look again.
    let row = |first: f32, others: f32| {
        let mut row = vec![others; 64];
        row[0] = first;
        row
    };
    let mut rows: Vec<Vec<f32>> = (0_u8..9)
        .map(|at| row(1.27, (f32::from(at) + 10.49) * 0.01))
        .collect();
    rows.push(row(127.0, 1.0));
    fill(&index, 0, &rows, |_| Value::Null);
    let found = ids(&index, &[1.0; 64], 64);
    assert_eq!(found, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
}

#[test]
fn an_index_of_every_kind_opens_as_it_was_and_goes_on() {
    let dim = 24;
    let rows = Random(5).clustered(2600, dim);
    let folder = tempfile::tempdir().unwrap();
    for kind in KINDS {
        for quantization in quantizations(dim) {
            let name = format!("{kind:?} {}", quantization.name());
            let path = folder.path().join(&name);
            let builder = || {
                Index::builder(dim)
                    .kind(kind)
                    .quantization(quantization)
                    .storage(Storage::File(path.clone()))
            };
            let answers = |index: &Index| -> Vec<Vec<u64>> {
                rows[..20].iter().map(|row| ids(index, row, 96)).collect()
            };
            // Below the first training, past it through the log, and from a snapshot.
            let index = builder().build().unwrap();
            fill(&index, 0, &rows[..500], |_| Value::Null);
            index.snapshot().unwrap();
            fill(&index, 500, &rows[500..2000], |_| Value::Null);
            let before = answers(&index);
            drop(index);
            let index = builder().build().unwrap();
            assert_eq!(answers(&index), before, "{name}: from the log");
            index.snapshot().unwrap();
            assert_eq!(answers(&index), before, "{name}: mapped");
            drop(index);
            Index::verify(&path).unwrap();
            let index = Index::open(&path).unwrap();
            assert_eq!(answers(&index), before, "{name}: from the snapshot");
            fill(&index, 2000, &rows[2000..], |_| Value::Null);
            let hits = index.search(&rows[2500], 1).run().unwrap();
            assert_eq!(hits[0].id, 2500, "{name}");
        }
    }
}

#[test]
fn lists_give_k_hits_whenever_k_match_and_only_such() {
    let rows = Random(6).clustered(4000, 16);
    let index = Index::builder(16).kind(IndexKind::IvfPq).build().unwrap();
    assert_eq!(index.quantization(), Quantization::Pq { subspaces: 4 });
    fill(&index, 0, &rows, |id| json!({"n": id}));
    assert_eq!(index.stats().search, "ivf");
    for below in [4000_u64, 2000, 400, 40, 10, 3] {
        for query in &rows[..20] {
            let filter = Filter::parse(&format!("n < {below}")).unwrap();
            let hits = index.search(query, 10).filter(filter).run().unwrap();
            assert_eq!(hits.len() as u64, below.min(10));
            assert!(hits.iter().all(|hit| hit.id < below));
        }
    }
}

#[test]
fn lists_and_codes_outlive_churn_and_compaction() {
    let rows = Random(7).clustered(4000, 32);
    for quantization in quantizations(32) {
        let builder = || {
            Index::builder(32)
                .metric(Metric::L2)
                .kind(IndexKind::Ivf)
                .quantization(quantization)
        };
        let (left, right) = rows.split_at(2000);
        let churned = builder().build().unwrap();
        fill(&churned, 0, right, |_| Value::Null);
        fill(&churned, 0, left, |_| Value::Null);
        churned.compact().unwrap();
        assert_eq!(
            (churned.stats().vectors, churned.stats().deleted),
            (2000, 0)
        );
        let fresh = builder().build().unwrap();
        fill(&fresh, 0, left, |_| Value::Null);
        let queries = &right[..80];
        let (old, new) = (
            recall(&churned, left, queries, 192),
            recall(&fresh, left, queries, 192),
        );
        let name = quantization.name();
        assert!(old >= new - 0.03, "{name}: {old} after churn, {new} fresh");
    }
}

#[test]
fn hamming_counts_bits_exactly_in_every_representation() {
    let mut random = Random(8);
    let bits = |random: &mut Random| -> Vec<f32> {
        (0..96)
            .map(|_| if random.unit() > 0.0 { 1.0 } else { -1.0 })
            .collect()
    };
    let rows: Vec<Vec<f32>> = (0..600).map(|_| bits(&mut random)).collect();
    let query = bits(&mut random);
    let differ = |row: &[f32]| row.iter().zip(&query).filter(|(a, b)| a != b).count() as f32;
    let mut wanted: Vec<f32> = rows.iter().map(|row| -differ(row)).collect();
    wanted.sort_by(|a, b| b.total_cmp(a));
    for quantization in quantizations(96) {
        let index = Index::builder(96)
            .metric(Metric::Hamming)
            .kind(IndexKind::Exact)
            .quantization(quantization)
            .build()
            .unwrap();
        fill(&index, 0, &rows, |_| Value::Null);
        let hits = index.search(&query, 10).rerank(600).run().unwrap();
        let found: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
        assert_eq!(found, wanted[..10], "{}", quantization.name());
        for hit in hits {
            assert_eq!(hit.score, -differ(&rows[hit.id as usize]));
        }
    }
}

#[test]
fn subspaces_that_cannot_be_are_refused() {
    for subspaces in [0, 9] {
        let built = Index::builder(8)
            .quantization(Quantization::Pq { subspaces })
            .build();
        assert!(matches!(
            built,
            Err(Error::Option {
                option: "subspaces",
                ..
            })
        ));
    }
}

/// Bug: halves found nothing at 16 components, and left the last 16 out at 48 or 100.
/// Cause: a row of halves is padded to 32 components and a query to 16; kernels that sum several registers
/// side by side paired them wrongly.
/// Fix: both are cut to one length.
#[test]
fn halves_find_the_neighbours_at_any_number_of_components() {
    for dim in [7, 16, 17, 33, 40, 48, 80, 100, 112] {
        let mut random = Random(dim as u64);
        let rows = random.clustered(220, dim);
        let (base, queries) = rows.split_at(200);
        for metric in [Metric::L2, Metric::Cosine] {
            let index = |quantization| {
                let index = Index::builder(dim)
                    .metric(metric)
                    .kind(IndexKind::Exact)
                    .quantization(quantization)
                    .build()
                    .unwrap();
                fill(&index, 0, base, |_| Value::Null);
                index
            };
            let (plain, halves) = (index(Quantization::None), index(Quantization::F16));
            let found =
                |query: &Vec<f32>| overlap(&ids(&halves, query, 64), &ids(&plain, query, 64));
            let same = queries.iter().map(found).sum::<f64>() / queries.len() as f64;
            assert!(same >= 0.95, "{dim} components, {metric:?}: {same}");
        }
    }
}
