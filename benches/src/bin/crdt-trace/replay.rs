//! Replays a plan on the replicas of one engine.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::plan::{Author, Plan, Step};
use crate::trace::{Patch, Trace};

/// An edit, also as engines see it that count UTF-16 units.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'t> {
    pub position: usize,
    pub deleted: usize,
    pub position_utf16: usize,
    pub deleted_utf16: usize,
    pub inserted: &'t str,
}

/// What an engine says went wrong.
pub type Failure = Box<dyn std::error::Error>;

/// One replica of a text.
pub trait Replica<'t>: Sized {
    const NAME: &'static str;
    /// What a replica has seen.
    type Version: Clone + Default;

    fn create(index: usize, author: Author) -> Result<Self, Failure>;
    /// Makes further edits those of another author; nothing where an engine gives a replica one for ever.
    fn write_as(&mut self, author: Author) -> Result<(), Failure>;
    fn edit(&mut self, edit: Edit<'t>) -> Result<(), Failure>;
    fn version(&mut self) -> Self::Version;
    fn join(version: &mut Self::Version, other: &Self::Version);
    /// What this replica knows and another one, which has seen `known`, does not.
    fn delta(&mut self, to: usize, known: &Self::Version) -> Result<Vec<u8>, Failure>;
    fn merge(&mut self, from: usize, delta: Vec<u8>) -> Result<(), Failure>;
    fn text(&mut self) -> Result<String, Failure>;
    fn encode(&mut self) -> Result<Vec<u8>, Failure>;
}

/// What a replay gave.
pub struct Outcome {
    pub engine: &'static str,
    pub time: Duration,
    pub document_bytes: usize,
    pub sent_bytes: usize,
    pub messages: usize,
    /// Replicas whose text is not the trace's end content.
    pub wrong: usize,
}

/// Deltas on their way, each with what its sender had seen.
type Mail<V> = VecDeque<(Vec<u8>, V)>;

/// Replays and times everything from the first edit to the last merge.
pub fn replay<'t, R: Replica<'t>>(
    trace: &Trace,
    plan: &Plan,
    edits: &[Vec<Edit<'t>>],
) -> Result<Outcome, Failure> {
    let mut replicas = Vec::with_capacity(plan.replicas);
    for index in 0..plan.replicas {
        replicas.push(R::create(index, plan.first_author(index))?);
    }
    let mut authors: Vec<Author> = (0..plan.replicas).map(|at| plan.first_author(at)).collect();
    let mut mail: BTreeMap<(usize, usize), Mail<R::Version>> = BTreeMap::new();
    // What the first knows that the second has seen.
    let mut known: BTreeMap<(usize, usize), R::Version> = BTreeMap::new();
    let (mut sent_bytes, mut messages) = (0, 0);
    let start = Instant::now();
    for step in &plan.steps {
        match *step {
            Step::Edit { replica, txn } => {
                let author = plan.author(txn);
                if authors[replica] != author {
                    replicas[replica].write_as(author)?;
                    authors[replica] = author;
                }
                for edit in &edits[txn] {
                    replicas[replica].edit(*edit)?;
                }
            }
            Step::Send { from, to } => {
                let known = known.entry((from, to)).or_default();
                let delta = replicas[from].delta(to, known)?;
                *known = replicas[from].version();
                sent_bytes += delta.len();
                messages += 1;
                mail.entry((from, to))
                    .or_default()
                    .push_back((delta, known.clone()));
            }
            Step::Merge { from, to } => {
                let next = mail.get_mut(&(from, to)).and_then(VecDeque::pop_front);
                let (delta, version) = next.ok_or("a plan that merges what was not sent")?;
                replicas[to].merge(from, delta)?;
                R::join(known.entry((to, from)).or_default(), &version);
            }
        }
    }
    let mut wrong = 0;
    for replica in &mut replicas {
        wrong += usize::from(replica.text()? != trace.end_content);
    }
    let time = start.elapsed();
    let document_bytes = replicas[0].encode()?.len();
    Ok(Outcome {
        engine: R::NAME,
        time,
        document_bytes,
        sent_bytes,
        messages,
        wrong,
    })
}

/// The edits of each transaction. Where the trace has letters beyond the basic plane, their UTF-16 positions
/// are found by replaying once.
pub fn edits<'t>(trace: &'t Trace, plan: &Plan) -> Result<Vec<Vec<Edit<'t>>>, Failure> {
    let plain = |patch: &'t Patch| Edit {
        position: patch.position,
        deleted: patch.deleted,
        position_utf16: patch.position,
        deleted_utf16: patch.deleted,
        inserted: &patch.inserted,
    };
    let of_txn = |at: usize| trace.txns[at].patches.iter().map(plain).collect();
    let edits: Vec<Vec<Edit<'t>>> = (0..trace.txns.len()).map(of_txn).collect();
    let astral = |edit: &Edit<'_>| edit.inserted.chars().any(|letter| letter.len_utf16() > 1);
    if edits.iter().flatten().any(astral) {
        return crate::list::with_utf16(plan, edits);
    }
    Ok(edits)
}
