//! Index, cache and retriever.

use std::collections::BTreeMap;

use ruvector::Stats;
use ruvector::cache::{CacheBuilder, DedupeReport, Guard, Policy, SemanticCache, Ttl, TtlClass};
use ruvector::retriever::Passage;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Malformed, Result};

/// Sizes and choices of an index.
pub fn stats(stats: &Stats) -> Value {
    json!({
        "vectors": stats.vectors,
        "deleted": stats.deleted,
        "dim": stats.dim,
        "metric": stats.metric.name(),
        "quantization": stats.quantization.name(),
        "search": stats.search,
        "kernels": stats.kernels,
        "heap_bytes": stats.heap_bytes,
        "mapped_bytes": stats.mapped_bytes,
        "mapped_original_bytes": stats.mapped_original_bytes,
        "file_bytes": stats.file_bytes,
        "log_bytes": stats.log_bytes,
    })
}

/// A passage of a document; its place is in bytes of the text.
pub fn passage(passage: &Passage) -> Value {
    json!({
        "document": passage.document,
        "chunk": passage.chunk,
        "start": passage.range.start,
        "end": passage.range.end,
        "text": passage.text,
        "score": passage.score,
        "metadata": passage.metadata,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    threshold: Option<f32>,
    grey_from: Option<f32>,
    ttl: Option<Value>,
    #[serde(default)]
    adaptive: bool,
    epoch: Option<u64>,
    #[serde(default)]
    exclusive: Vec<Vec<String>>,
}

fn ttl(given: Option<&Value>, adaptive: bool) -> Option<Ttl> {
    let class = match given {
        None => TtlClass::default(),
        Some(Value::Number(millis)) => {
            return millis.as_i64().filter(|_| !adaptive).map(Ttl::Millis);
        }
        Some(name) => match name.as_str()? {
            "static" => TtlClass::Static,
            "dynamic" => TtlClass::Dynamic,
            "user_specific" => TtlClass::UserSpecific,
            "realtime" => TtlClass::Realtime,
            _ => return None,
        },
    };
    Some(if adaptive {
        Ttl::Adaptive(class)
    } else {
        Ttl::Fixed(class)
    })
}

impl Rules {
    fn policy(self, name: &str) -> Result<Policy> {
        let wanted = || {
            Malformed::new(format_args!(
                "policy `{name}`: ttl: wanted is static, dynamic, user_specific, realtime, or milliseconds that are not adaptive"
            ))
        };
        let mut policy =
            Policy::default().ttl(ttl(self.ttl.as_ref(), self.adaptive).ok_or_else(wanted)?);
        if let Some(cosine) = self.threshold {
            policy = policy.threshold(cosine);
        }
        if let Some(cosine) = self.grey_from {
            policy = policy.grey_from(cosine);
        }
        if let Some(epoch) = self.epoch {
            policy = policy.epoch(epoch);
        }
        let mut guard = Guard::default();
        for words in &self.exclusive {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            guard = guard.exclusive(&words).map_err(Malformed::new)?;
        }
        Ok(policy.guard(guard))
    }
}

/// Adds the rules of namespaces to a cache: `{"name": {"threshold": 0.95, "grey_from": 0.9, "ttl": "dynamic",
/// "adaptive": true, "epoch": 1, "exclusive": [["dairy", "beef"]]}}`; the name "" is that of all others. Null adds
/// none.
///
/// # Errors
/// What is not of this form, and words that the guard refuses.
pub fn with_policies<V>(mut builder: CacheBuilder<V>, policies: Value) -> Result<CacheBuilder<V>> {
    if policies.is_null() {
        return Ok(builder);
    }
    let policies: BTreeMap<String, Rules> = serde_json::from_value(policies)
        .map_err(|error| Malformed::new(format_args!("policies: {error}")))?;
    for (name, rules) in policies {
        let policy = rules.policy(&name)?;
        builder = match name.is_empty() {
            true => builder.default_policy(policy),
            false => builder.namespace(name, policy),
        };
    }
    Ok(builder)
}

/// What `dedupe` did.
pub fn dedupe(report: &DedupeReport) -> Value {
    let merges = report.merges.iter().map(|merge| {
        json!({
            "namespace": merge.namespace,
            "kept": merge.kept,
            "merged": merge.merged,
            "similarity": merge.similarity,
        })
    });
    json!({
        "examined": report.examined,
        "merges": merges.collect::<Vec<_>>(),
        "kept_apart": report.kept_apart,
        "answers_differ": report.answers_differ,
        "freed_bytes": report.freed_bytes,
    })
}

/// What a cache holds and counted.
pub fn cache<V>(cache: &SemanticCache<V>) -> Value {
    let counters = cache.counters();
    json!({
        "entries": cache.len(),
        "bytes": cache.bytes(),
        "lookups": counters.lookups,
        "exact_hits": counters.exact_hits,
        "semantic_hits": counters.semantic_hits,
        "guard_refusals": counters.guard_refusals,
        "verifier_refusals": counters.verifier_refusals,
        "expired": counters.expired,
        "misses": counters.misses,
        "bypassed": counters.bypassed,
        "failures": counters.failures,
        "computed": counters.computed,
        "shared": counters.shared,
        "compute_errors": counters.compute_errors,
        "stored": counters.stored,
        "store_errors": counters.store_errors,
        "replaced": counters.replaced,
        "too_large": counters.too_large,
        "evicted": counters.evicted,
        "expired_removed": counters.expired_removed,
        "removed": counters.removed,
        "cost_saved": counters.cost_saved,
        "hit_rate": counters.hit_rate(),
    })
}
