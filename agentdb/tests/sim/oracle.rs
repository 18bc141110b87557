//! What must be so in the end, whatever happened.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a write did.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Set(usize, i64),
    Added(usize, i64),
    Raised(usize, i64),
    Inserted(usize, String),
    Removed(usize, String),
    Event(u64),
    /// What tells nothing but that the fleet must agree.
    Other,
}

/// What was tried, and what of it was acknowledged as durable.
#[derive(Default)]
pub struct Oracle {
    pub tried: Vec<Fact>,
    pub acknowledged: Vec<Fact>,
}

/// What was found wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub lost: Vec<String>,
    pub resurrected: Vec<String>,
    pub wrong: Vec<String>,
}

/// Members of sets and keys of maps that only one write makes.
pub fn members(state: &Value) -> BTreeSet<String> {
    let set = state["tools"].as_array().into_iter().flatten();
    let set = set.filter_map(Value::as_str).map(str::to_owned);
    let map = state["tasks"].as_object().into_iter().flatten();
    set.chain(map.map(|(key, _)| key.clone())).collect()
}

impl Oracle {
    /// Judges the state that the fleet agrees on, and the events that arrived at its root.
    pub fn judge(&self, states: &[Value], events: &[u64]) -> Verdict {
        let mut verdict = Verdict::default();
        let removals: BTreeSet<(usize, &str)> = self
            .tried
            .iter()
            .filter_map(|fact| match fact {
                Fact::Removed(document, member) => Some((*document, member.as_str())),
                _ => None,
            })
            .collect();
        let members: Vec<_> = states.iter().map(members).collect();
        let mut arrived: BTreeMap<u64, u32> = BTreeMap::new();
        for event in events {
            *arrived.entry(*event).or_default() += 1;
        }
        for fact in &self.acknowledged {
            match fact {
                Fact::Inserted(document, member)
                    if !members[*document].contains(member)
                        && !removals.contains(&(*document, member)) =>
                {
                    verdict.lost.push(format!("member {member} of document {document}"));
                }
                Fact::Removed(document, member) if members[*document].contains(member) => {
                    verdict
                        .resurrected
                        .push(format!("member {member} of document {document}"));
                }
                Fact::Raised(document, value)
                    if states[*document]["peak"].as_i64() < Some(*value) =>
                {
                    verdict.lost.push(format!("maximum {value} of document {document}"));
                }
                Fact::Set(document, _) if states[*document]["note"].is_null() => {
                    verdict.lost.push(format!("note of document {document}"));
                }
                Fact::Event(number) if !arrived.contains_key(number) => {
                    verdict.lost.push(format!("event {number}"));
                }
                _ => {}
            }
        }
        for (number, times) in arrived {
            if times > 1 {
                verdict.wrong.push(format!("event {number} arrived {times} times"));
            }
            if !self.tried.contains(&Fact::Event(number)) {
                verdict.wrong.push(format!("event {number} was never appended"));
            }
        }
        for (document, state) in states.iter().enumerate() {
            self.count(document, state, &mut verdict);
        }
        verdict
    }

    /// A counter is what was acknowledged, and any of what may or may not have been kept.
    fn count(&self, document: usize, state: &Value, verdict: &mut Verdict) {
        let added = |facts: &[Fact], sign: i64| -> i64 {
            let amounts = facts.iter().filter_map(|fact| match fact {
                Fact::Added(at, by) if *at == document && by.signum() == sign => Some(*by),
                _ => None,
            });
            amounts.sum()
        };
        let (sure_up, sure_down) = (added(&self.acknowledged, 1), added(&self.acknowledged, -1));
        let (all_up, all_down) = (added(&self.tried, 1), added(&self.tried, -1));
        let found = state["count"].as_i64().unwrap_or(0);
        if found < sure_up + all_down || found > all_up + sure_down {
            verdict.wrong.push(format!(
                "counter of document {document} is {found}, acknowledged were {sure_up} and {sure_down}, tried {all_up} and {all_down}"
            ));
        }
        if let Some(note) = state["note"].as_i64()
            && !self.tried.contains(&Fact::Set(document, note))
        {
            verdict.wrong.push(format!("note {note} of document {document} was never written"));
        }
    }
}
