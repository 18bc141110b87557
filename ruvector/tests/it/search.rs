//! The index agrees with a plain map, through any sequence of changes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use ruvector::{Filter, Index, Metric};
use serde_json::json;

#[derive(Clone, Debug)]
enum Change {
    Upsert(u64, Vec<f32>, i64),
    Delete(u64),
    Compact,
}

const DIM: usize = 5;

fn vector() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec((-20..20_i32).prop_map(|x| x as f32 / 4.0), DIM)
        .prop_filter("not zero", |v| v.iter().any(|x| *x != 0.0))
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (0..12_u64, vector(), 0..5_i64).prop_map(|(id, v, age)| Change::Upsert(id, v, age)),
        3 => (0..12_u64).prop_map(Change::Delete),
        1 => Just(Change::Compact),
    ]
}

fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(x, y)| f64::from(*x) * f64::from(*y))
            .sum::<f64>()
    };
    match metric {
        Metric::Cosine => dot(a, b) / (dot(a, a).sqrt() * dot(b, b).sqrt()),
        Metric::Dot => dot(a, b),
        _ => -a
            .iter()
            .zip(b)
            .map(|(x, y)| (f64::from(*x) - f64::from(*y)).powi(2))
            .sum::<f64>(),
    }
}

proptest! {
    #[test]
    fn any_changes_leave_what_a_map_holds(
        changes in prop::collection::vec(change(), 0..40),
        query in vector(),
        metric in prop::sample::select(vec![Metric::Cosine, Metric::Dot, Metric::L2]),
        k in 1..8_usize,
    ) {
        let index = Index::builder(DIM).metric(metric).build().unwrap();
        let mut model: BTreeMap<u64, (Vec<f32>, i64)> = BTreeMap::new();
        for change in changes {
            match change {
                Change::Upsert(id, vector, age) => {
                    index.upsert(id, &vector, json!({ "age": age })).unwrap();
                    model.insert(id, (vector, age));
                }
                Change::Delete(id) => prop_assert_eq!(index.delete(id).unwrap(), model.remove(&id).is_some()),
                Change::Compact => index.compact().unwrap(),
            }
        }
        prop_assert_eq!(index.len(), model.len());
        for (filter, keep) in [(None, 5), (Some("age < 2"), 2)] {
            let mut search = index.search(&query, k);
            if let Some(text) = filter {
                search = search.filter(Filter::parse(text).unwrap());
            }
            let hits = search.run().unwrap();
            let mut wanted: Vec<f64> =
                model.values().filter(|(_, age)| *age < keep).map(|(v, _)| score(metric, &query, v)).collect();
            wanted.sort_by(|a, b| b.total_cmp(a));
            wanted.truncate(k);
            prop_assert_eq!(hits.len(), wanted.len());
            for (hit, wanted) in hits.iter().zip(&wanted) {
                prop_assert!((f64::from(hit.score) - wanted).abs() < 1e-3 * (1.0 + wanted.abs()), "{:?} {}", hit, wanted);
                let own = score(metric, &query, &model[&hit.id].0);
                prop_assert!((own - wanted).abs() < 1e-3 * (1.0 + wanted.abs()));
            }
        }
    }
}
