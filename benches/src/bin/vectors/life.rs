//! What happens to ruvector's recall when rows are filtered, and when they come and go.

use std::time::Instant;

use anyhow::Result;
use ruvector::{Filter, Index};
use serde_json::{Value, json};

use crate::Options;
use crate::engines::fresh;
use crate::npy::Rows;
use crate::truth::{self, Truth};

/// Shares of the vectors that meet a filter.
const SHARES: [f64; 5] = [0.5, 0.1, 0.01, 0.001, 0.0001];

/// A place for each row in an order that has nothing to do with where it lies.
fn places(rows: usize) -> Vec<usize> {
    let mix = |at: usize| {
        (at as u64)
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .rotate_left(31)
    };
    let mut order: Vec<usize> = (0..rows).collect();
    order.sort_by_key(|at| mix(*at).wrapping_mul(0xbf58_476d_1ce4_e5b9));
    let mut places = vec![0; rows];
    for (place, at) in order.into_iter().enumerate() {
        places[at] = place;
    }
    places
}

/// Recall and latency at each share, with the default effort.
pub fn filters(options: &Options, base: &Rows, queries: &Rows) -> Result<Vec<Value>> {
    let places = places(base.rows());
    let index = fresh(options, base.dim)?;
    let ids: Vec<u64> = (0..base.rows() as u64).collect();
    let payloads = places.iter().map(|place| json!({"place": place})).collect();
    index.upsert_batch(&ids, &base.values, payloads)?;
    let mut figures = Vec::new();
    for share in SHARES {
        let below = (base.rows() as f64 * share).round() as usize;
        if below == 0 {
            continue;
        }
        let truth = truth::compute(base, queries, options.k, options.metric, |id| {
            places[id] < below
        });
        let filter = Filter::parse(&format!("place < {below}"))?;
        let (mut recall, mut short) = (0.0, 0);
        let mut each = Vec::with_capacity(queries.rows());
        for (at, query) in queries.iter().enumerate() {
            let begun = Instant::now();
            let hits = index
                .search(query, options.k)
                .filter(filter.clone())
                .run()?;
            each.push(begun.elapsed().as_secs_f64() * 1e6);
            short += usize::from(hits.len() < options.k.min(below));
            let ids: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
            recall += truth.recall(at, &ids);
        }
        each.sort_by(f64::total_cmp);
        figures.push(json!({
            "engine": "ruvector", "scenario": "filter", "share": share, "matching": below,
            "recall": recall / queries.rows() as f64, "short_answers": short,
            "p50_us": each[each.len() / 2], "p99_us": each[each.len() * 99 / 100],
        }));
    }
    Ok(figures)
}

/// Recall of an index half of whose rows were replaced, beside one that was built afresh.
pub fn churn(options: &Options, base: &Rows, queries: &Rows) -> Result<Value> {
    let rows = base.rows();
    if rows < 3 {
        return Ok(
            json!({"engine": "ruvector", "scenario": "churn", "left_out": "fewer than 3 vectors"}),
        );
    }
    // The last third is never asked for: it stands where rows will be deleted and replaced.
    let kept = rows * 2 / 3;
    let live = Rows {
        dim: base.dim,
        values: base.values[..kept * base.dim].to_vec(),
    };
    let all = |_: usize| true;
    let truth = truth::compute(&live, queries, options.k, options.metric, all);
    let built = fresh(options, base.dim)?;
    let ids: Vec<u64> = (0..kept as u64).collect();
    built.upsert_batch(&ids, &live.values, Vec::new())?;
    let churned = fresh(options, base.dim)?;
    let odd: Vec<u64> = (0..kept as u64).filter(|id| id % 2 == 1).collect();
    for (id, strange) in odd.iter().zip((kept..rows).cycle()) {
        churned.upsert(*id, base.row(strange), Value::Null)?;
    }
    for id in (0..kept).step_by(2) {
        churned.upsert(id as u64, base.row(id), Value::Null)?;
    }
    for id in &odd {
        if id % 4 == 1 {
            churned.delete(*id)?;
        }
        churned.upsert(*id, base.row(*id as usize), Value::Null)?;
    }
    let deleted = churned.stats().deleted;
    let before = recall(&churned, queries, options.k, &truth)?;
    let heap = churned.stats().heap_bytes;
    churned.compact()?;
    Ok(json!({
        "engine": "ruvector", "scenario": "churn", "vectors": kept, "replaced_or_deleted": deleted,
        "recall_fresh": recall(&built, queries, options.k, &truth)?,
        "recall_churned": before,
        "recall_compacted": recall(&churned, queries, options.k, &truth)?,
        "heap_mb_churned": heap as f64 / 1e6,
        "heap_mb_compacted": churned.stats().heap_bytes as f64 / 1e6,
    }))
}

fn recall(index: &Index, queries: &Rows, k: usize, truth: &Truth) -> Result<f64> {
    let mut sum = 0.0;
    for (at, query) in queries.iter().enumerate() {
        let hits = index.search(query, k).run()?;
        let ids: Vec<u64> = hits.iter().map(|hit| hit.id).collect();
        sum += truth.recall(at, &ids);
    }
    Ok(sum / queries.rows() as f64)
}
