//! Deltas of documents.

use super::{items, put_change, put_count, read_change, whole};
use crate::bytes::{put, put_bytes};
use crate::db::{Change, ID_BYTES_MAX};
use crate::document::{Actors, Document};
use crate::sync::error::SyncError;
use crate::sync::frame::FRAME_BYTES_MAX;

/// What is told of one document.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) id: String,
    /// What the other lacks.
    pub(crate) delta: Document,
    /// The digest of the speaker's whole document, shortened: whether both are the same afterwards.
    pub(crate) digest: u32,
}

/// Deltas, committed whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Changes {
    pub(crate) number: u32,
    /// With these, everything up to this local sequence of the speaker was sent.
    pub(crate) through: Option<Change>,
    pub(crate) documents: Vec<Told>,
}

impl Changes {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put_change(&mut out, self.through);
        let actors = Actors::of(self.documents.iter().map(|told| &told.delta));
        let mut table = Vec::new();
        actors.encode(&mut table);
        put_bytes(&mut out, &table);
        put_count(&mut out, self.documents.len());
        for told in &self.documents {
            put_bytes(&mut out, told.id.as_bytes());
            out.extend_from_slice(&told.digest.to_le_bytes());
            let mut bytes = Vec::new();
            told.delta.encode_with(&actors, &mut bytes);
            put_bytes(&mut out, &bytes);
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            let number = reader.small()?;
            let through = read_change(reader)?;
            let (actors, _) = Actors::decode(reader.bytes(FRAME_BYTES_MAX)?)?;
            let count = items(reader, 6)?;
            let mut documents = Vec::with_capacity(count);
            for _ in 0..count {
                documents.push(Told {
                    id: reader.string(ID_BYTES_MAX)?.to_owned(),
                    digest: u32::from_le_bytes(reader.array()?),
                    delta: Document::decode_with(&actors, reader.bytes(FRAME_BYTES_MAX)?)?,
                });
            }
            Ok(Self {
                number,
                through,
                documents,
            })
        })
    }
}
