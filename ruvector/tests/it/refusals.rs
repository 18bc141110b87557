//! What cannot be stored or asked is told, and changes nothing.

use ruvector::{Error, Filter, Index, Metric, Quantization};
use serde_json::{Value, json};

#[test]
fn a_vector_that_cannot_be_is_refused_by_name() {
    let index = Index::builder(3).metric(Metric::Cosine).build().unwrap();
    assert!(matches!(
        index.upsert(1, &[1.0, 2.0], json!({})),
        Err(Error::Dimension { got: 2, want: 3 })
    ));
    assert!(matches!(
        index.upsert(1, &[1.0, f32::NAN, 0.0], json!({})),
        Err(Error::NotFinite { at: 1, .. })
    ));
    assert!(matches!(
        index.upsert(1, &[f32::INFINITY, 0.0, 0.0], json!({})),
        Err(Error::NotFinite { at: 0, .. })
    ));
    assert!(matches!(
        index.upsert(1, &[0.0; 3], json!({})),
        Err(Error::ZeroVector)
    ));
    assert!(index.upsert(1, &[1.0, 0.0, 0.0], json!([1])).is_err());
    assert_eq!(index.len(), 0);
    assert!(matches!(
        index.search(&[1.0], 1).run(),
        Err(Error::Dimension { got: 1, want: 3 })
    ));
    assert!(matches!(
        index.search(&[0.0; 3], 1).run(),
        Err(Error::ZeroVector)
    ));
}

#[test]
fn an_empty_index_and_a_large_k_give_what_there_is_and_k_zero_is_refused() {
    let index = Index::builder(2).metric(Metric::L2).build().unwrap();
    assert!(index.search(&[0.0, 0.0], 5).run().unwrap().is_empty());
    index.upsert(7, &[0.0, 0.0], json!({})).unwrap();
    assert_eq!(index.search(&[0.0, 0.0], 5).run().unwrap().len(), 1);
    assert!(index.search(&[0.0, 0.0], 0).run().is_err());
}

#[test]
fn a_filter_that_makes_no_sense_is_told_with_its_place() {
    let error = Filter::parse("zone == 'barn' && age <")
        .unwrap_err()
        .to_string();
    assert!(error.contains("24") || error.contains("23"), "{error}");
    assert!(Filter::parse("").is_err());
}

#[test]
fn vectors_whose_squares_would_overflow_are_refused() {
    for metric in [Metric::L2, Metric::Dot] {
        let index = Index::builder(2).metric(metric).build().unwrap();
        let refused = index.upsert(1, &[1e19, 0.0], Value::Null);
        assert!(matches!(refused, Err(Error::TooLong { .. })));
        index.upsert(1, &[9e17, 0.0], Value::Null).unwrap();
        index.upsert(2, &[-9e17, 0.0], Value::Null).unwrap();
        let hits = index.search(&[9e17, 0.0], 2).run().unwrap();
        assert_eq!((hits[0].id, hits[1].id), (1, 2));
        assert!(hits.iter().all(|hit| hit.score.is_finite()));
    }
    // Under cosine only the direction counts.
    let index = Index::builder(2).build().unwrap();
    index.upsert(1, &[1e30, 1e30], Value::Null).unwrap();
}

#[test]
fn sixteen_bit_codes_refuse_what_they_cannot_hold() {
    for metric in [Metric::L2, Metric::Dot] {
        let halves = Index::builder(2)
            .metric(metric)
            .quantization(Quantization::F16);
        let index = halves.build().unwrap();
        let one = index.upsert(1, &[0.0, -65_536.0], Value::Null);
        assert!(matches!(one, Err(Error::BeyondHalf { at: 1, .. })));
        let batch = index.upsert_batch(&[1, 2], &[0.0, 1.0, 1e6, 0.0], Vec::new());
        assert!(matches!(batch, Err(Error::BeyondHalf { at: 0, .. })));
        assert!(index.is_empty());
        index.upsert(1, &[0.0, 65_504.0], Value::Null).unwrap();
        // A query is not coded.
        assert_eq!(index.search(&[0.0, 1e6], 1).run().unwrap()[0].id, 1);
    }
    let cosine = Index::builder(2).quantization(Quantization::F16);
    let cosine = cosine.build().unwrap();
    cosine.upsert(1, &[1e6, 1e6], Value::Null).unwrap();
}

#[test]
fn a_field_that_comes_late_counts_with_the_slots_before_it() {
    let count = 5000;
    let rows = vec![0.5_f32; count * 2];
    let ids: Vec<u64> = (0..count as u64).collect();
    let filled = |bytes| {
        let index = Index::builder(2).max_bytes(bytes).build().unwrap();
        index.upsert_batch(&ids, &rows, Vec::new()).unwrap();
        index
    };
    let taken = filled(usize::MAX).stats().heap_bytes;
    // Room for a row and its payload, not for a column of 5,000 cells.
    let index = filled(taken + 8000);
    let late = index.upsert(0, &[1.0, 0.0], json!({"late": 1}));
    assert!(matches!(late, Err(Error::Full { what: "bytes", .. })));
    index.upsert(0, &[1.0, 0.0], Value::Null).unwrap();
    filled(taken + 200_000)
        .upsert(0, &[1.0, 0.0], json!({"late": 1}))
        .unwrap();
}
