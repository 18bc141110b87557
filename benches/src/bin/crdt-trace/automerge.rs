//! Automerge: each burst of edits between two messages is one change.

use automerge::transaction::Transactable;
use automerge::{ActorId, AutoCommit, ChangeHash, ObjId, ObjType, ROOT, ReadDoc};

use crate::plan::Author;
use crate::replay::{Edit, Failure, Replica};

pub struct Automerge {
    doc: AutoCommit,
    text: ObjId,
}

fn actor(author: Author) -> ActorId {
    let bytes = author.to_be_bytes();
    let used = bytes.iter().position(|byte| *byte != 0).unwrap_or(0);
    ActorId::from(&bytes[used..])
}

impl<'t> Replica<'t> for Automerge {
    const NAME: &'static str = "automerge";
    type Version = Vec<ChangeHash>;

    fn create(_index: usize, author: Author) -> Result<Self, Failure> {
        // All replicas begin with the same change, which makes the text.
        let mut doc = AutoCommit::new().with_actor(ActorId::from([0_u8].as_slice()));
        let options = automerge::transaction::CommitOptions::default().with_time(0);
        let text = doc.put_object(ROOT, "t", ObjType::Text)?;
        doc.commit_with(options);
        doc.set_actor(actor(author));
        Ok(Self { doc, text })
    }

    fn write_as(&mut self, author: Author) -> Result<(), Failure> {
        self.doc.set_actor(actor(author));
        Ok(())
    }

    fn edit(&mut self, edit: Edit<'t>) -> Result<(), Failure> {
        let deleted = isize::try_from(edit.deleted)?;
        self.doc
            .splice_text(&self.text, edit.position, deleted, edit.inserted)?;
        Ok(())
    }

    fn version(&mut self) -> Vec<ChangeHash> {
        self.doc.get_heads()
    }

    fn join(version: &mut Vec<ChangeHash>, other: &Vec<ChangeHash>) {
        version.extend(other);
        version.sort_unstable();
        version.dedup();
    }

    fn delta(&mut self, _to: usize, known: &Vec<ChangeHash>) -> Result<Vec<u8>, Failure> {
        Ok(self.doc.save_after(known))
    }

    fn merge(&mut self, _from: usize, delta: Vec<u8>) -> Result<(), Failure> {
        self.doc.load_incremental(&delta)?;
        Ok(())
    }

    fn text(&mut self) -> Result<String, Failure> {
        Ok(self.doc.text(&self.text)?)
    }

    fn encode(&mut self) -> Result<Vec<u8>, Failure> {
        Ok(self.doc.save())
    }
}
