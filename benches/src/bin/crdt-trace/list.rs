//! The engine of this project.

use std::collections::{BTreeMap, VecDeque};

use agentdb::ReplicaId;
use agentdb::list::{List, Merged, Version};

use crate::plan::{Author, Plan, Step};
use crate::replay::{Edit, Failure, Replica};

impl<'t> Replica<'t> for List {
    const NAME: &'static str = "edgeweave";
    type Version = Version;

    fn create(_index: usize, author: Author) -> Result<Self, Failure> {
        Ok(Self::new(ReplicaId::new(u64::from(author))))
    }

    fn write_as(&mut self, author: Author) -> Result<(), Failure> {
        Self::write_as(self, ReplicaId::new(u64::from(author)));
        Ok(())
    }

    fn edit(&mut self, edit: Edit<'t>) -> Result<(), Failure> {
        self.delete(edit.position, edit.deleted)?;
        self.insert(edit.position, edit.inserted)?;
        Ok(())
    }

    fn version(&mut self) -> Version {
        Self::version(self)
    }

    fn join(version: &mut Version, other: &Version) {
        version.join(other);
    }

    fn delta(&mut self, _to: usize, known: &Version) -> Result<Vec<u8>, Failure> {
        Ok(self.delta_since(known))
    }

    fn merge(&mut self, _from: usize, delta: Vec<u8>) -> Result<(), Failure> {
        match Self::merge(self, &delta)? {
            Merged::New | Merged::Known => Ok(()),
            Merged::Waits => Err("a delta came before what it builds upon".into()),
        }
    }

    fn text(&mut self) -> Result<String, Failure> {
        Ok(Self::text(self))
    }

    fn encode(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(Self::encode(self)?)
    }
}

/// The text of a replica as the number of UTF-16 units of each letter.
#[derive(Default)]
struct Widths {
    units: Vec<u8>,
    /// Something was merged since: to be read anew.
    stale: bool,
}

impl Widths {
    fn count(units: &[u8]) -> usize {
        units.iter().map(|units| usize::from(*units)).sum()
    }

    /// Finds an edit's place, and follows it.
    fn place(&mut self, list: &List, edit: &mut Edit<'_>) -> Result<(), Failure> {
        if self.stale {
            let text = List::text(list);
            self.units = text
                .chars()
                .map(|letter| letter.len_utf16() as u8)
                .collect();
            self.stale = false;
        }
        let end = edit.position + edit.deleted;
        if end > self.units.len() {
            return Err(format!("an edit up to {end} of {} letters", self.units.len()).into());
        }
        edit.position_utf16 = Self::count(&self.units[..edit.position]);
        edit.deleted_utf16 = Self::count(&self.units[edit.position..end]);
        let inserted = edit.inserted.chars().map(|letter| letter.len_utf16() as u8);
        self.units.splice(edit.position..end, inserted);
        Ok(())
    }
}

/// Adds UTF-16 positions to edits, by replaying them.
pub fn with_utf16<'t>(
    plan: &Plan,
    mut edits: Vec<Vec<Edit<'t>>>,
) -> Result<Vec<Vec<Edit<'t>>>, Failure> {
    let mut lists = Vec::with_capacity(plan.replicas);
    let mut widths: Vec<Widths> = Vec::with_capacity(plan.replicas);
    for index in 0..plan.replicas {
        lists.push(List::create(index, plan.first_author(index))?);
        widths.push(Widths::default());
    }
    let mut mail: BTreeMap<(usize, usize), VecDeque<Vec<u8>>> = BTreeMap::new();
    for step in &plan.steps {
        match *step {
            Step::Edit { replica, txn } => {
                let list = &mut lists[replica];
                Replica::write_as(list, plan.author(txn))?;
                for edit in &mut edits[txn] {
                    widths[replica].place(list, edit)?;
                    Replica::edit(list, *edit)?;
                }
            }
            Step::Send { from, to } => {
                let delta = lists[from].delta_since(&lists[to].version());
                mail.entry((from, to)).or_default().push_back(delta);
            }
            Step::Merge { from, to } => {
                let next = mail.get_mut(&(from, to)).and_then(VecDeque::pop_front);
                let delta = next.ok_or("a plan that merges what was not sent")?;
                Replica::merge(&mut lists[to], from, delta)?;
                widths[to].stale = true;
            }
        }
    }
    Ok(edits)
}
