//! Yrs: each burst of edits between two messages is one transaction, whose update is sent.
//!
//! Updates of transactions are what its providers send; a difference to a state vector would carry all
//! deletions every time.

use yrs::block::ClientID;
use yrs::updates::decoder::Decode;
use yrs::{Doc, GetString, OffsetKind, ReadTxn, StateVector, Text, TextRef, Transact, Update};

use crate::plan::Author;
use crate::replay::{Edit, Failure, Replica};

pub struct Yrs<'t> {
    doc: Doc,
    text: TextRef,
    /// Edits that no transaction has made yet.
    burst: Vec<Edit<'t>>,
    /// Updates that were made or merged, each with the replica it came from.
    updates: Vec<(usize, Vec<u8>)>,
    /// By receiver: how many of the updates were sent.
    sent: Vec<usize>,
    own: usize,
}

impl Yrs<'_> {
    fn flush(&mut self) {
        if self.burst.is_empty() {
            return;
        }
        let mut txn = self.doc.transact_mut();
        for edit in self.burst.drain(..) {
            let at = edit.position_utf16 as u32;
            if edit.deleted > 0 {
                self.text
                    .remove_range(&mut txn, at, edit.deleted_utf16 as u32);
            }
            if !edit.inserted.is_empty() {
                self.text.insert(&mut txn, at, edit.inserted);
            }
        }
        let update = txn.encode_update_v1();
        drop(txn);
        self.updates.push((self.own, update));
    }
}

impl<'t> Replica<'t> for Yrs<'t> {
    const NAME: &'static str = "yrs";
    type Version = ();

    fn create(index: usize, author: Author) -> Result<Self, Failure> {
        let mut options = yrs::Options::with_client_id(ClientID::new(u64::from(author)));
        options.offset_kind = OffsetKind::Utf16;
        let doc = Doc::with_options(options);
        let text = doc.get_or_insert_text("t");
        Ok(Self {
            doc,
            text,
            burst: Vec::new(),
            updates: Vec::new(),
            sent: Vec::new(),
            own: index,
        })
    }

    fn write_as(&mut self, _author: Author) -> Result<(), Failure> {
        Ok(())
    }

    fn edit(&mut self, edit: Edit<'t>) -> Result<(), Failure> {
        self.burst.push(edit);
        Ok(())
    }

    fn version(&mut self) {}

    fn join(_version: &mut (), _other: &()) {}

    fn delta(&mut self, to: usize, _known: &()) -> Result<Vec<u8>, Failure> {
        self.flush();
        if self.sent.len() <= to {
            self.sent.resize(to + 1, 0);
        }
        let unsent = &self.updates[self.sent[to]..];
        let lacked = unsent.iter().filter(|(from, _)| *from != to);
        let lacked: Vec<&[u8]> = lacked.map(|(_, update)| update.as_slice()).collect();
        self.sent[to] = self.updates.len();
        match lacked.as_slice() {
            [one] => Ok(one.to_vec()),
            many => Ok(yrs::merge_updates_v1(many)?),
        }
    }

    fn merge(&mut self, from: usize, delta: Vec<u8>) -> Result<(), Failure> {
        self.flush();
        let update = Update::decode_v1(&delta)?;
        self.doc.transact_mut().apply_update(update)?;
        self.updates.push((from, delta));
        Ok(())
    }

    fn text(&mut self) -> Result<String, Failure> {
        self.flush();
        Ok(self.text.get_string(&self.doc.transact()))
    }

    /// The smaller of its two formats.
    fn encode(&mut self) -> Result<Vec<u8>, Failure> {
        let txn = self.doc.transact();
        let first = txn.encode_state_as_update_v1(&StateVector::default());
        let second = txn.encode_state_as_update_v2(&StateVector::default());
        Ok(if first.len() < second.len() {
            first
        } else {
            second
        })
    }
}
