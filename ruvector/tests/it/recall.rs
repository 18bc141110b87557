//! Recall on real vectors: eight-bit codes with rerank against full precision.

use ruvector::{Index, Metric, Quantization};
use serde_json::Value;

use crate::common::sift;

#[test]
fn codes_with_rerank_find_what_full_precision_finds_on_real_descriptors() {
    let Some(rows) = sift() else { return };
    let (base, queries) = rows.split_at(4900);
    let build = |quantization| {
        let index = Index::builder(128)
            .metric(Metric::L2)
            .quantization(quantization)
            .build()
            .unwrap();
        for (id, row) in base.iter().enumerate() {
            index.upsert(id as u64, row, Value::Null).unwrap();
        }
        index
    };
    let (full, codes) = (build(Quantization::None), build(Quantization::Int8));
    let mut found = 0;
    for query in queries {
        let ids = |index: &Index| {
            index
                .search(query, 10)
                .run()
                .unwrap()
                .iter()
                .map(|hit| hit.id)
                .collect::<Vec<_>>()
        };
        let exact = ids(&full);
        // Full precision is exact: compare with a plain scan.
        let mut plain: Vec<(f32, u64)> = base
            .iter()
            .enumerate()
            .map(|(id, row)| {
                (
                    row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum(),
                    id as u64,
                )
            })
            .collect();
        plain.sort_by(|a, b| a.0.total_cmp(&b.0));
        let limit = plain[9].0;
        assert!(
            exact
                .iter()
                .all(|id| plain.iter().find(|p| p.1 == *id).unwrap().0 <= limit)
        );
        found += ids(&codes).iter().filter(|id| exact.contains(id)).count();
    }
    let recall = found as f64 / (queries.len() * 10) as f64;
    assert!(recall >= 0.99, "recall@10 {recall}");
}
