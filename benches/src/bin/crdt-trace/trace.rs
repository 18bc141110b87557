//! Reads an editing trace: josephg/editing-traces, the concurrent and the sequential format.

use std::fmt;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;
use serde::de::{Error as _, IgnoredAny, SeqAccess, Visitor};

/// An unpacked file larger than this is refused.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// More agents than this are refused: each is a whole replica of the text.
const AGENTS_MAX: usize = 4_096;

/// Why a trace cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    #[error("cannot read it: {0}")]
    Read(#[from] std::io::Error),
    #[error("it is larger than {FILE_BYTES_MAX} bytes unpacked")]
    Large,
    #[error("it is no editing trace: {0}")]
    Json(#[from] serde_json::Error),
    #[error("it has {found} agents, at most {AGENTS_MAX} are allowed")]
    Agents { found: usize },
    #[error("transaction {txn}: {cause}")]
    Txn { txn: usize, cause: String },
}

/// One edit: first the deletion, then the insertion, both at the position, counted in Unicode scalars.
#[derive(Clone, Debug)]
pub struct Patch {
    pub position: usize,
    pub deleted: usize,
    pub inserted: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Txn {
    /// Absent in the sequential format.
    parents: Option<Vec<usize>>,
    agent: Option<usize>,
    pub patches: Vec<Patch>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    #[serde(default)]
    start_content: String,
    end_content: String,
    num_agents: Option<usize>,
    txns: Vec<Txn>,
}

/// A trace whose transactions name only agents and parents that there are.
#[derive(Clone, Debug)]
pub struct Trace {
    pub end_content: String,
    pub agents: usize,
    pub txns: Vec<Txn>,
}

impl Txn {
    pub fn agent(&self) -> usize {
        self.agent.unwrap_or(0)
    }

    pub fn parents(&self) -> &[usize] {
        self.parents.as_deref().unwrap_or_default()
    }
}

impl<'de> Deserialize<'de> for Patch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Patch;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a patch: [position, number deleted, inserted text]")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut entries: A) -> Result<Patch, A::Error> {
                let missing = || A::Error::custom("a patch has fewer than three entries");
                let patch = Patch {
                    position: entries.next_element()?.ok_or_else(missing)?,
                    deleted: entries.next_element()?.ok_or_else(missing)?,
                    inserted: entries.next_element()?.ok_or_else(missing)?,
                };
                // Some traces add a time.
                while entries.next_element::<IgnoredAny>()?.is_some() {}
                Ok(patch)
            }
        }
        deserializer.deserialize_seq(Entries)
    }
}

impl Trace {
    /// Reads a file, plain or packed with gzip.
    pub fn read(path: &Path) -> Result<Self, TraceError> {
        let mut packed = Vec::new();
        take(std::fs::File::open(path)?, &mut packed)?;
        let mut plain = Vec::new();
        if packed.starts_with(&[0x1f, 0x8b]) {
            take(flate2::read::MultiGzDecoder::new(&packed[..]), &mut plain)?;
        } else {
            plain = packed;
        }
        Self::from_json(&plain)
    }

    pub fn from_json(json: &[u8]) -> Result<Self, TraceError> {
        let file: File = serde_json::from_slice(json)?;
        let mut txns = file.txns;
        let sequential = txns.iter().all(|txn| txn.parents.is_none());
        if sequential {
            for (at, txn) in txns.iter_mut().enumerate() {
                txn.parents = Some(at.checked_sub(1).into_iter().collect());
            }
        }
        if !file.start_content.is_empty() {
            begin_with(&mut txns, file.start_content);
        }
        let named = txns
            .iter()
            .map(|txn| txn.agent().saturating_add(1))
            .max()
            .unwrap_or(1);
        let agents = file.num_agents.unwrap_or(named).max(1);
        if agents > AGENTS_MAX {
            return Err(TraceError::Agents { found: agents });
        }
        for (at, txn) in txns.iter().enumerate() {
            let wrong = |cause| Err(TraceError::Txn { txn: at, cause });
            if txn.parents.is_none() {
                return wrong("it has no `parents`, others have".to_owned());
            }
            if txn.agent.is_none() && !sequential {
                return wrong("it has no `agent`".to_owned());
            }
            if txn.agent() >= agents {
                return wrong(format!("agent {} of {agents}", txn.agent()));
            }
            if let Some(parent) = txn.parents().iter().find(|parent| **parent >= at) {
                return wrong(format!("its parent {parent} does not come before it"));
            }
        }
        Ok(Self {
            end_content: file.end_content,
            agents,
            txns,
        })
    }
}

/// Puts a transaction in front that inserts the start content.
fn begin_with(txns: &mut Vec<Txn>, text: String) {
    for txn in txns.iter_mut() {
        let parents = txn.parents.get_or_insert_default();
        for parent in parents.iter_mut() {
            *parent = parent.saturating_add(1);
        }
        if parents.is_empty() {
            parents.push(0);
        }
    }
    let first = Txn {
        parents: Some(Vec::new()),
        agent: Some(txns.first().map_or(0, Txn::agent)),
        patches: vec![Patch {
            position: 0,
            deleted: 0,
            inserted: text,
        }],
    };
    txns.insert(0, first);
}

fn take(from: impl Read, to: &mut Vec<u8>) -> Result<(), TraceError> {
    from.take(FILE_BYTES_MAX + 1).read_to_end(to)?;
    if to.len() as u64 > FILE_BYTES_MAX {
        return Err(TraceError::Large);
    }
    Ok(())
}
