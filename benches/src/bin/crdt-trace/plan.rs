//! Who edits and who sends what to whom, so that each transaction meets the state that its parents name.
//!
//! Each agent is a replica. Where an agent's transaction does not follow from its one before (it edited an
//! older state again), the agent gets one more replica for that branch. A replica then only ever gains, and
//! is at each of its transactions exactly at the merge of the parents.
//!
//! Concurrent insertions at one place are ordered by who made them: by agent, and those of one agent (on
//! branches of its own) by which it made first. So each run of an agent's transactions on one replica has an
//! author of its own, and authors are numbered in that order. It is the order of diamond-types, which
//! made the `endContent` of the published traces, where its agents' names sort as the trace numbers them.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::trace::{Trace, TraceError};

/// More replicas than this are refused: each is a whole copy of the text.
const REPLICAS_MAX: usize = 4_096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A replica makes the edits of a transaction.
    Edit { replica: usize, txn: usize },
    /// A replica encodes what it knows that the other lacks.
    Send { from: usize, to: usize },
    /// A replica merges the oldest that the other has sent it and that it has not merged.
    Merge { from: usize, to: usize },
}

pub struct Plan {
    pub replicas: usize,
    pub steps: Vec<Step>,
    authors: Vec<Author>,
    /// By replica: its first author.
    first_authors: Vec<Author>,
}

/// Who inserts: the lower number comes first where two insert at one place concurrently. From 1, no gaps.
pub type Author = u32;

/// What a transaction comes after: of each replica how many transactions, itself included.
struct Past {
    replica: usize,
    own: usize,
    others: Rc<Vec<usize>>,
}

impl Past {
    fn of(&self, replica: usize) -> usize {
        if replica == self.replica {
            return self.own;
        }
        self.others.get(replica).copied().unwrap_or(0)
    }
}

impl Plan {
    pub fn new(trace: &Trace) -> Result<Self, TraceError> {
        let mut chains = Chains::new(trace.agents);
        let mut pasts: Vec<Past> = Vec::with_capacity(trace.txns.len());
        // After which transaction which replicas are sent to, and before which from whom is merged.
        let mut sends: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        let mut merges: Vec<Vec<usize>> = Vec::with_capacity(trace.txns.len());
        let mut runs = Runs::new(trace);
        for (at, txn) in trace.txns.iter().enumerate() {
            let replica = chains.replica_for(txn.agent(), txn.parents(), &pasts);
            if chains.heads.len() > REPLICAS_MAX {
                return Err(TraceError::Txn {
                    txn: at,
                    cause: format!("it needs more than {REPLICAS_MAX} replicas"),
                });
            }
            let mut others = Rc::clone(&chains.known[replica]);
            let mut from = Vec::new();
            for parent in txn.parents() {
                let past = &pasts[*parent];
                let has = others.get(past.replica).copied().unwrap_or(0);
                if past.replica == replica || has >= past.own {
                    continue;
                }
                sends.entry(*parent).or_default().push(replica);
                from.push(past.replica);
                others = Rc::new(join(&others, past));
            }
            merges.push(from);
            runs.push(txn.agent(), replica);
            chains.known[replica] = Rc::clone(&others);
            let own = chains.heads[replica] + 1;
            chains.heads[replica] = own;
            pasts.push(Past {
                replica,
                own,
                others,
            });
        }
        let replicas = chains.heads.len();
        let mut steps = Vec::with_capacity(trace.txns.len() * 2);
        for (txn, past) in pasts.iter().enumerate() {
            let to = past.replica;
            steps.extend(
                merges[txn]
                    .iter()
                    .map(|from| Step::Merge { from: *from, to }),
            );
            steps.push(Step::Edit { replica: to, txn });
            for receiver in sends.remove(&txn).unwrap_or_default() {
                steps.push(Step::Send {
                    from: to,
                    to: receiver,
                });
            }
        }
        // At last everyone tells one of them everything, and it tells everyone.
        let hub = pasts.last().map_or(0, |past| past.replica);
        let known = |replica: usize| match pasts.last() {
            Some(past) => past.of(replica),
            None => 0,
        };
        for other in (0..replicas).filter(|other| *other != hub) {
            if known(other) < chains.heads[other] {
                steps.push(Step::Send {
                    from: other,
                    to: hub,
                });
                steps.push(Step::Merge {
                    from: other,
                    to: hub,
                });
            }
        }
        for other in (0..replicas).filter(|other| *other != hub) {
            steps.push(Step::Send {
                from: hub,
                to: other,
            });
            steps.push(Step::Merge {
                from: hub,
                to: other,
            });
        }
        let (authors, first_authors) = runs.numbered(&chains.of_agent, replicas);
        Ok(Self {
            replicas,
            steps,
            authors,
            first_authors,
        })
    }

    /// Who makes the edits of a transaction.
    pub fn author(&self, txn: usize) -> Author {
        self.authors[txn]
    }

    /// Who makes the first edits of a replica.
    pub fn first_author(&self, replica: usize) -> Author {
        self.first_authors[replica]
    }
}

/// Runs of transactions that an agent made on one replica.
struct Runs {
    /// By agent: where it was last, and its how-manieth run that was.
    last: Vec<Option<(usize, usize)>>,
    /// By transaction: its agent, replica and run.
    of_txn: Vec<(usize, usize, usize)>,
}

impl Runs {
    fn new(trace: &Trace) -> Self {
        Self {
            last: vec![None; trace.agents],
            of_txn: Vec::with_capacity(trace.txns.len()),
        }
    }

    fn push(&mut self, agent: usize, replica: usize) {
        let run = match self.last[agent] {
            None => 0,
            Some((same, run)) if same == replica => run,
            Some((_, run)) => run + 1,
        };
        self.last[agent] = Some((replica, run));
        self.of_txn.push((agent, replica, run));
    }

    /// The authors of all transactions, and the first of each replica.
    fn numbered(&self, of_agent: &[Vec<usize>], replicas: usize) -> (Vec<Author>, Vec<Author>) {
        // An agent that never edits has a replica too.
        let silent = (0..of_agent.len()).filter(|agent| self.last[*agent].is_none());
        let runs = self.of_txn.iter().map(|(agent, _, run)| (*agent, *run));
        let sorted: BTreeSet<(usize, usize)> = runs.chain(silent.map(|agent| (agent, 0))).collect();
        let numbers: BTreeMap<(usize, usize), Author> = sorted.into_iter().zip(1..).collect();
        let mut first_authors = vec![0; replicas];
        for (agent, replicas) in of_agent.iter().enumerate() {
            first_authors[replicas[0]] = numbers[&(agent, 0)];
        }
        let mut authors = Vec::with_capacity(self.of_txn.len());
        for (agent, replica, run) in &self.of_txn {
            let author = numbers[&(*agent, *run)];
            if first_authors[*replica] == 0 {
                first_authors[*replica] = author;
            }
            authors.push(author);
        }
        (authors, first_authors)
    }
}

struct Chains {
    /// By agent: its replicas.
    of_agent: Vec<Vec<usize>>,
    /// By replica: how many transactions it made.
    heads: Vec<usize>,
    /// By replica: how many of each other's it knows.
    known: Vec<Rc<Vec<usize>>>,
}

impl Chains {
    fn new(agents: usize) -> Self {
        Self {
            of_agent: (0..agents).map(|agent| vec![agent]).collect(),
            heads: vec![0; agents],
            known: vec![Rc::default(); agents],
        }
    }

    /// A replica of the agent that knows nothing but what comes before the transaction; a new one if need be.
    fn replica_for(&mut self, agent: usize, parents: &[usize], pasts: &[Past]) -> usize {
        let is_before = |replica: usize, own: usize| {
            own == 0
                || parents
                    .iter()
                    .any(|parent| pasts[*parent].of(replica) >= own)
        };
        let found = self.of_agent[agent]
            .iter()
            .copied()
            .find(|replica| is_before(*replica, self.heads[*replica]));
        if let Some(replica) = found {
            return replica;
        }
        let replica = self.heads.len();
        self.of_agent[agent].push(replica);
        self.heads.push(0);
        self.known.push(Rc::default());
        replica
    }
}

fn join(others: &[usize], past: &Past) -> Vec<usize> {
    let len = others.len().max(past.others.len()).max(past.replica + 1);
    let either = |replica: usize| {
        let has = others.get(replica).copied().unwrap_or(0);
        has.max(past.of(replica))
    };
    (0..len).map(either).collect()
}
