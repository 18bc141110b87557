//! A document, or a delta of one, as bytes. FORMAT.md tells them.
//!
//! One document gives one sequence of bytes: names and dots are in order, and replicas are places in a table
//! that is in order too. So equal documents have equal bytes, and a digest tells documents apart.

mod actors;
mod read;
mod write;

use super::kills::{Kill, Kills};
use super::{Document, KEY_BYTES_MAX};
use crate::bytes::{Malformed, Reader, put};
use crate::causal::Context;
use crate::error::{Error, Result};
use read::Parser;
use write::Writer;

pub use actors::Actors;

/// The largest document that is read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

const FORMAT: u8 = 1;
const REGISTER: u8 = 0;
const COUNTER: u8 = 1;
const SET: u8 = 2;
const MAP: u8 = 3;
const TEXT: u8 = 4;
/// How long the JSON text of a set's member may be: escapes make up to six bytes of one.
const MEMBER_BYTES_MAX: usize = KEY_BYTES_MAX * 6 + 2;

impl Document {
    /// The document as bytes, with a table of its replicas.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let bare = Self {
            kills: Kills::default(),
            ..self.clone()
        };
        let actors = Actors::of([&bare]);
        actors.encode(&mut out);
        self.encode_with(&actors, &mut out);
        out
    }

    /// Appends the document to bytes; its replicas are in a table that travels apart.
    pub fn encode_with(&self, actors: &Actors, out: &mut Vec<u8>) {
        Writer::new(actors, out).document(self);
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`] above [`DOCUMENT_BYTES_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let actors = Actors::read(&mut reader)?;
        let document = Parser::new(&actors).document(&mut reader)?;
        end(&reader)?;
        Ok(document)
    }

    /// Reads what [`encode_with`](Self::encode_with) wrote with the same table.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`] above [`DOCUMENT_BYTES_MAX`].
    pub fn decode_with(actors: &Actors, bytes: &[u8]) -> Result<Self> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let document = Parser::new(actors).document(&mut reader)?;
        end(&reader)?;
        Ok(document)
    }

    /// The context alone of what [`encode_stored`](Self::encode_stored) wrote. O(replicas).
    pub(crate) fn decode_context(bytes: &[u8]) -> Result<Context> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let actors = Actors::read(&mut reader)?;
        let (_, _, context) = Parser::new(&actors).head(&mut reader)?;
        Ok(context)
    }

    /// The document and its journal, for the store.
    pub(crate) fn encode_stored(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let actors = Actors::of([self]);
        actors.encode(&mut out);
        let mut writer = Writer::new(&actors, &mut out);
        writer.document(self);
        writer.context(&self.kills.base);
        put(writer.out, self.kills.entries.len() as u64);
        for kill in &self.kills.entries {
            writer.context(&kill.by);
            writer.context(&kill.dead);
        }
        out
    }

    /// Reads what [`encode_stored`](Self::encode_stored) wrote.
    pub(crate) fn decode_stored(bytes: &[u8]) -> Result<Self> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let actors = Actors::read(&mut reader)?;
        let mut parser = Parser::new(&actors);
        let mut document = parser.document(&mut reader)?;
        let base = parser.context(&mut reader)?;
        let mut kills = Kills::unknown(&base);
        for _ in 0..reader.count(2)? {
            let (by, dead) = (parser.context(&mut reader)?, parser.context(&mut reader)?);
            kills.entries.push_back(Kill { by, dead });
        }
        document.kills = kills;
        end(&reader)?;
        Ok(document)
    }
}

fn limit(bytes: &[u8]) -> Result<()> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of a document in bytes",
            found: bytes.len(),
            limit: DOCUMENT_BYTES_MAX,
        });
    }
    Ok(())
}

fn end(reader: &Reader<'_>) -> std::result::Result<(), Malformed> {
    if reader.left() > 0 {
        return Err(reader.wrong("there are bytes after its end"));
    }
    Ok(())
}

/// Dots and stamps are near the ones before them.
struct Near {
    counts: Vec<u64>,
    millis: i64,
}
