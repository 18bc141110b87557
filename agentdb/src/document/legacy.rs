//! Documents as files of format 1 have them: JSON of four kinds of leaves, of which three knew no dots.
//!
//! Two replicas that read old copies apart must agree, so the dots that were missing are made of what the
//! leaf says: of a maximum, a status and a tally by themselves, under replicas that no device has.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::Document;
use super::kills::Kills;
use crate::causal::{COUNT_MAX, Context, Dot, Dots, ReplicaId, Stamp};
use crate::leaf::Leaf;
use crate::leaf::counter::{Counter, Tally};
use crate::leaf::register::{self, Sibling};
use crate::schema::{Field, Schema};

#[derive(Deserialize)]
struct OldDocument {
    schema: String,
    context: OldContext,
    fields: BTreeMap<String, OldLeaf>,
}

#[derive(Deserialize)]
struct OldContext {
    vector: BTreeMap<u64, u64>,
    #[serde(default)]
    exceptions: Vec<OldDot>,
}

#[derive(Clone, Copy, Deserialize)]
struct OldDot {
    replica: u64,
    count: u64,
}

#[derive(Deserialize)]
struct OldStamp {
    millis: i64,
    count: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum OldLeaf {
    Lww {
        value: Value,
        dot: OldDot,
        stamp: OldStamp,
    },
    Max {
        value: f64,
    },
    Status {
        rank: u32,
    },
    PnCounter {
        totals: BTreeMap<u64, (u64, u64)>,
    },
}

/// Incarnations from here on are of no device.
const OLD: u32 = 1 << 31;

/// FNV-1a.
fn hash(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes.into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Document {
    /// Reads the `crdt_json` of a file of format 1.
    ///
    /// # Errors
    /// What is wrong with it. Statuses are read by the order of `schema`.
    pub(crate) fn from_format_1(text: &str, schema: Option<&Schema>) -> Result<Self, String> {
        let old: OldDocument = serde_json::from_str(text).map_err(|cause| cause.to_string())?;
        let mut context = Context::from_vector(
            old.context
                .vector
                .into_iter()
                .map(|(replica, count)| (ReplicaId::new(replica), count.min(COUNT_MAX))),
        );
        for dot in old.context.exceptions {
            context.add(ReplicaId::new(dot.replica), dot.count, dot.count);
        }
        let mut fields = BTreeMap::new();
        for (name, leaf) in old.fields {
            let of =
                |number| ReplicaId::new(number).with_incarnation(OLD | hash(name.bytes()) as u32);
            let mut alone = |value: Value, count: u64| {
                let dot = Dot {
                    replica: of(u64::MAX),
                    count,
                };
                context.insert(dot);
                let sibling = Sibling {
                    value,
                    stamp: Stamp::default(),
                    suspect: false,
                };
                Leaf::Register(Dots::from_sorted(vec![(dot, sibling)]))
            };
            let leaf = match leaf {
                OldLeaf::Lww { value, dot, stamp } => {
                    let dot = Dot {
                        replica: ReplicaId::new(dot.replica),
                        count: dot.count,
                    };
                    let stamp = Stamp {
                        millis: stamp.millis,
                        count: stamp.count,
                    };
                    let sibling = Sibling {
                        value,
                        stamp,
                        suspect: false,
                    };
                    Leaf::Register(Dots::from_sorted(vec![(dot, sibling)]))
                }
                OldLeaf::Max { value } => {
                    let count = hash(value.to_bits().to_le_bytes()) % COUNT_MAX + 1;
                    alone(register::number(value), count)
                }
                OldLeaf::Status { rank } => {
                    let Some(Field::Status(order)) = schema.and_then(|schema| schema.get(&name))
                    else {
                        return Err(format!(
                            "field `{name}` is a status of which no schema tells the order"
                        ));
                    };
                    let status = order
                        .get(rank as usize)
                        .ok_or_else(|| format!("field `{name}` has no status number {rank}"))?;
                    alone(status.as_str().into(), u64::from(rank) + 1)
                }
                OldLeaf::PnCounter { totals } => {
                    let mut tallies = Dots::default();
                    for (number, (up, down)) in totals {
                        // It grows with the tally, so that of two copies the later one stays.
                        let count = up.saturating_add(down).min(COUNT_MAX - 1) + 1;
                        let replica = of(number);
                        context.add(replica, 1, count);
                        tallies.insert(Dot { replica, count }, Tally { up, down });
                    }
                    Leaf::Counter(Counter {
                        tallies,
                        resets: Dots::default(),
                    })
                }
            };
            if !leaf.is_empty() {
                fields.insert(name, leaf);
            }
        }
        Ok(Self {
            schema: old.schema,
            kills: Kills::unknown(&context),
            context,
            gone: Context::default(),
            fields,
        })
    }
}
