//! The same edits and merges as another library's types: `crdts`, whose merges of whole states see causes before
//! their effects, as it needs them to. (Its deltas that come early lose members; ours do not, see `causal`.)

use std::collections::BTreeSet;

use agentdb::{Document, Field, ReplicaId, Schema};
use crdts::{CmRDT, CvRDT, MVReg, Orswot, PNCounter};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::stamp;

const REPLICAS: usize = 3;

#[derive(Clone, Debug)]
enum Step {
    Insert(usize, u8),
    Remove(usize, u8),
    Add(usize, i8),
    Write(usize, u8),
    /// The first takes over what the second has.
    Merge(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        (replica(), 0..6_u8).prop_map(|(at, member)| Step::Insert(at, member)),
        (replica(), 0..6_u8).prop_map(|(at, member)| Step::Remove(at, member)),
        (replica(), any::<i8>()).prop_map(|(at, by)| Step::Add(at, by)),
        (replica(), any::<u8>()).prop_map(|(at, value)| Step::Write(at, value)),
        (replica(), replica()).prop_map(|(to, from)| Step::Merge(to, from)),
        (replica(), replica()).prop_map(|(to, from)| Step::Merge(to, from)),
    ]
}

fn schema() -> Schema {
    Schema::new("s")
        .field("tools", Field::or_set())
        .field("odometer", Field::PnCounter)
        .field("place", Field::Mv)
}

/// One replica, ours and theirs.
#[derive(Clone)]
struct Both {
    document: Document,
    tools: Orswot<u8, usize>,
    odometer: PNCounter<usize>,
    place: MVReg<u8, usize>,
}

fn numbers(value: &Value) -> BTreeSet<u64> {
    let values = value.as_array().into_iter().flatten();
    values.map(|value| value.as_u64().unwrap()).collect()
}

impl Both {
    fn new(schema: &Schema) -> Self {
        Self {
            document: Document::new(schema),
            tools: Orswot::new(),
            odometer: PNCounter::new(),
            place: MVReg::new(),
        }
    }

    fn apply(&mut self, schema: &Schema, at: usize, time: i64, step: &Step) {
        let replica = ReplicaId::new(at as u64 + 1);
        let mut edit = self.document.edit(schema, replica, stamp(time));
        match *step {
            Step::Insert(_, member) => {
                edit.insert("tools", member).unwrap();
                let context = self.tools.read_ctx().derive_add_ctx(at);
                let op = self.tools.add(member, context);
                self.tools.apply(op);
            }
            Step::Remove(_, member) => {
                edit.remove("tools", member).unwrap();
                let context = self.tools.contains(&member).derive_rm_ctx();
                let op = self.tools.rm(member, context);
                self.tools.apply(op);
            }
            Step::Add(_, by) => {
                edit.add("odometer", i64::from(by)).unwrap();
                let steps = u64::from(by.unsigned_abs());
                let op = match by {
                    0.. => self.odometer.inc_many(at, steps),
                    _ => self.odometer.dec_many(at, steps),
                };
                self.odometer.apply(op);
            }
            Step::Write(_, value) => {
                edit.set("place", value).unwrap();
                let context = self.place.read_ctx().derive_add_ctx(at);
                let op = self.place.write(value, context);
                self.place.apply(op);
            }
            Step::Merge(..) => {}
        }
    }

    fn merge(&mut self, other: &Self) {
        self.document.merge(&other.document).unwrap();
        self.tools.merge(other.tools.clone());
        self.odometer.merge(other.odometer.clone());
        self.place.merge(other.place.clone());
    }

    fn compare(&self, schema: &Schema) -> Result<(), TestCaseError> {
        let state = self.document.to_json(schema);
        let tools = self.tools.read().val.into_iter().map(u64::from).collect();
        prop_assert_eq!(numbers(&state["tools"]), tools);
        let place = self.place.read().val.into_iter().map(u64::from).collect();
        prop_assert_eq!(numbers(&state["place"]), place);
        let odometer = state.get("odometer").cloned().unwrap_or_else(|| json!(0));
        prop_assert_eq!(odometer.to_string(), self.odometer.read().to_string());
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn sets_counters_and_registers_hold_what_those_of_crdts_hold(
        steps in prop::collection::vec(step(), 0..40),
    ) {
        let schema = schema();
        let mut replicas = vec![Both::new(&schema); REPLICAS];
        for (time, step) in (1..).zip(&steps) {
            let (at, from) = match *step {
                Step::Insert(at, _) | Step::Remove(at, _) | Step::Add(at, _) | Step::Write(at, _) => (at, None),
                Step::Merge(to, from) => (to, Some(from)),
            };
            match from {
                Some(from) => {
                    let other = replicas[from].clone();
                    replicas[at].merge(&other);
                }
                None => replicas[at].apply(&schema, at, time, step),
            }
            replicas[at].compare(&schema)?;
        }
    }
}
