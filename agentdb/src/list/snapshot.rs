//! A whole list as bytes.

use super::delta;
use super::error::ListError;
use super::version::Version;
use super::{List, Merged};
use crate::ReplicaId;

/// How large an encoded list may be once it is unpacked, in bytes.
pub const ENCODED_BYTES_MAX: usize = 256 << 20;

const MAGIC: [u8; 4] = *b"EWL1";
const LEVEL: i32 = 9;
/// Magic and checksum.
const HEAD: usize = 8;

impl List {
    /// The whole list as bytes: magic, CRC-32C of the rest, and the packed delta from nothing (zstd).
    ///
    /// # Errors
    /// [`ListError::Limit`] above [`ENCODED_BYTES_MAX`].
    pub fn encode(&self) -> Result<Vec<u8>, ListError> {
        let plain = delta::write(&self.logs, &Version::new());
        if plain.len() > ENCODED_BYTES_MAX {
            return Err(too_large(plain.len()));
        }
        let packed = zstd::bulk::compress(&plain, LEVEL).map_err(|_| ListError::Limit {
            what: "memory for packing, in bytes",
            found: plain.len(),
            limit: ENCODED_BYTES_MAX,
        })?;
        let mut out = Vec::with_capacity(HEAD + packed.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&crc32c::crc32c(&packed).to_le_bytes());
        out.extend_from_slice(&packed);
        Ok(out)
    }

    /// Reads what [`encode`](Self::encode) wrote, as the copy of a replica.
    ///
    /// # Errors
    /// [`ListError::Malformed`] where the bytes are no list or damaged, [`ListError::Limit`] above
    /// [`ENCODED_BYTES_MAX`] or [`LETTERS_MAX`](super::LETTERS_MAX).
    pub fn decode(replica: ReplicaId, bytes: &[u8]) -> Result<Self, ListError> {
        let refused = |offset, cause| ListError::Malformed { offset, cause };
        let Some((head, packed)) = bytes.split_first_chunk::<HEAD>() else {
            return Err(refused(bytes.len(), "it ends too early"));
        };
        let (magic, sum) = head.split_at(MAGIC.len());
        if magic != MAGIC {
            return Err(refused(0, "it is no list, or of a newer release"));
        }
        if sum != crc32c::crc32c(packed).to_le_bytes() {
            return Err(refused(MAGIC.len(), "its checksum is another one"));
        }
        let plain = unpack(packed)?;
        let mut list = Self::new(replica);
        match list.merge(&plain)? {
            Merged::New | Merged::Known => Ok(list),
            Merged::Waits => Err(refused(HEAD, "a part of the list is not there")),
        }
    }
}

/// Unpacks at most as much as is allowed; memory grows with what really comes out.
fn unpack(packed: &[u8]) -> Result<Vec<u8>, ListError> {
    use std::io::Read as _;

    let refused = |_| ListError::Malformed {
        offset: HEAD,
        cause: "it cannot be unpacked",
    };
    let decoder = zstd::stream::read::Decoder::with_buffer(packed).map_err(refused)?;
    let mut plain = Vec::new();
    let mut limited = decoder.take(ENCODED_BYTES_MAX as u64 + 1);
    limited.read_to_end(&mut plain).map_err(refused)?;
    if plain.len() > ENCODED_BYTES_MAX {
        return Err(too_large(plain.len()));
    }
    Ok(plain)
}

fn too_large(found: usize) -> ListError {
    ListError::Limit {
        what: "bytes of an encoded list",
        found,
        limit: ENCODED_BYTES_MAX,
    }
}
