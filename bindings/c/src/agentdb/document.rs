//! Whole documents in a transaction: joined, patched, read.

use agentdb::Document;

use super::raise;
use super::transaction::adb_tx;
use crate::bytes::{Out, buffer, ew_buffer, ew_bytes, ew_str};
use crate::fail::{EW_NOT_FOUND, Fail, ew_error, guard};
use crate::handle;

/// Joins a document of another copy (from its adb_document) into this one's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_merge(
    tx: *mut adb_tx,
    id: ew_str,
    document: ew_bytes,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut open, id, bytes) = unsafe {
            let bytes = document.get("document")?;
            (handle::exclusive(tx)?, id.text("id")?, bytes)
        };
        let copy = Document::decode(bytes).map_err(raise)?;
        open.tx.merge(id, &copy).map(|_| ()).map_err(raise)
    })
}

/// Takes in a JSON merge patch (RFC 7396): the fields that it names are made to read what it says, null removes a key of
/// a map. EW_INVALID for what a field cannot be made to read (a maximum does not get smaller); nothing was changed then.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_merge_patch(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    patch: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut open, schema, id, patch) = unsafe {
            let (schema, id) = (schema.text("schema")?, id.text("id")?);
            (handle::exclusive(tx)?, schema, id, patch.json("patch")?)
        };
        let mut agent = open.tx.agent(schema, id).map_err(raise)?;
        agent.merge_patch(&patch).map(|_| ()).map_err(raise)
    })
}

/// A document as this transaction leaves it, as adb_document gives it. EW_NOT_FOUND without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_document(
    tx: *const adb_tx,
    id: ew_str,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        // SAFETY: the header's contract.
        let (open, id) = unsafe { (handle::exclusive(tx)?, id.text("id")?) };
        let found = open.tx.document(id).map_err(raise)?;
        let none = || Fail::new(EW_NOT_FOUND, format_args!("no document has id {id}"));
        out.set(buffer(found.ok_or_else(none)?.encode()));
        Ok(())
    })
}
