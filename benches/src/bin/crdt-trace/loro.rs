//! Loro: each burst of edits between two messages is one commit.

use loro::{ExportMode, LoroDoc, LoroText, VersionVector};

use crate::plan::Author;
use crate::replay::{Edit, Failure, Replica};

pub struct Loro {
    doc: LoroDoc,
    text: LoroText,
}

impl<'t> Replica<'t> for Loro {
    const NAME: &'static str = "loro";
    type Version = VersionVector;

    fn create(_index: usize, author: Author) -> Result<Self, Failure> {
        let doc = LoroDoc::new();
        doc.set_peer_id(u64::from(author))?;
        let text = doc.get_text("t");
        Ok(Self { doc, text })
    }

    fn write_as(&mut self, author: Author) -> Result<(), Failure> {
        self.doc.commit();
        self.doc.set_peer_id(u64::from(author))?;
        Ok(())
    }

    fn edit(&mut self, edit: Edit<'t>) -> Result<(), Failure> {
        if edit.deleted > 0 {
            self.text.delete(edit.position, edit.deleted)?;
        }
        if !edit.inserted.is_empty() {
            self.text.insert(edit.position, edit.inserted)?;
        }
        Ok(())
    }

    fn version(&mut self) -> VersionVector {
        self.doc.oplog_vv()
    }

    fn join(version: &mut VersionVector, other: &VersionVector) {
        version.merge(other);
    }

    fn delta(&mut self, _to: usize, known: &VersionVector) -> Result<Vec<u8>, Failure> {
        self.doc.commit();
        Ok(self.doc.export(ExportMode::updates(known))?)
    }

    fn merge(&mut self, _from: usize, delta: Vec<u8>) -> Result<(), Failure> {
        self.doc.import(&delta)?;
        Ok(())
    }

    fn text(&mut self) -> Result<String, Failure> {
        self.doc.commit();
        Ok(self.text.to_string())
    }

    /// The smaller of its two forms that keep the history.
    fn encode(&mut self) -> Result<Vec<u8>, Failure> {
        let snapshot = self.doc.export(ExportMode::Snapshot)?;
        let updates = self.doc.export(ExportMode::all_updates())?;
        Ok(if snapshot.len() < updates.len() {
            snapshot
        } else {
            updates
        })
    }
}
