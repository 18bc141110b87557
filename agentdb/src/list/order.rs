//! In which order the runs of a delta can be inserted: each after its neighbours.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::delta::Delta;
use super::id::Id;

/// What can be done with a delta.
pub(super) enum Plan {
    /// Its runs can be inserted in this order: section and run.
    Ready(Vec<(usize, usize)>),
    /// It builds upon what has not come yet.
    Waiting,
    /// Its runs build upon one another in a circle: no list wrote it.
    Circular,
}

/// Plans the insertion of a delta where so many letters and deletions of each of its replicas are known.
/// O(runs log sections).
pub(super) fn plan(delta: &Delta<'_>, inserted: &[u32], deleted: &[u32]) -> Plan {
    let mut have = inserted.to_vec();
    let mut will_have = inserted.to_vec();
    for (at, section) in delta.sections.iter().enumerate() {
        if section.from.inserted > inserted[at] || section.from.deleted > deleted[at] {
            return Plan::Waiting;
        }
        will_have[at] = will_have[at].max(section.to().inserted);
    }
    let is_in = |have: &[u32], id: Id| id.is_none() || id.number < have[id.replica as usize];
    for section in &delta.sections {
        let inserts = section.inserts.iter();
        let mut neighbours = inserts.flat_map(|(run, _)| [run.left, run.right]);
        let deletes = section.deletes.iter();
        let mut targets = deletes.map(|(run, len)| run.lowest(*len).plus(len - 1));
        if !neighbours.all(|id| is_in(&will_have, id)) || !targets.all(|id| is_in(&will_have, id)) {
            return Plan::Waiting;
        }
    }

    let total = delta
        .sections
        .iter()
        .map(|section| section.inserts.len())
        .sum();
    let mut order = Vec::with_capacity(total);
    let mut next = vec![0; delta.sections.len()];
    let mut able: Vec<usize> = (0..delta.sections.len()).rev().collect();
    let mut waiting: Vec<BinaryHeap<Reverse<(u32, usize)>>> = Vec::new();
    waiting.resize_with(have.len(), BinaryHeap::new);
    while let Some(at) = able.pop() {
        while let Some((run, len)) = delta.sections[at].inserts.get(next[at]) {
            let needed = [run.left, run.right];
            if let Some(id) = needed.into_iter().find(|id| !is_in(&have, *id)) {
                waiting[id.replica as usize].push(Reverse((id.number, at)));
                break;
            }
            order.push((at, next[at]));
            next[at] += 1;
            have[at] = have[at].max(run.first + len);
            while let Some(Reverse((number, waiter))) = waiting[at].peek().copied() {
                if number >= have[at] {
                    break;
                }
                waiting[at].pop();
                able.push(waiter);
            }
        }
    }
    if order.len() < total {
        return Plan::Circular;
    }
    Plan::Ready(order)
}
