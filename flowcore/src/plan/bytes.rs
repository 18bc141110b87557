//! A workflow as bytes, for devices that have no reader of YAML: versioned, with a checksum. What
//! is inside is the definition in its canonical JSON, the one that the hash of the definition is
//! taken of; loading compiles and checks it again, so bytes from anywhere are a valid workflow or
//! an error, never a plan that contradicts itself. See `FORMAT.md`.

use super::{DefinitionHash, Workflow};
use crate::error::{Error, Result};

const MAGIC: [u8; 8] = *b"FLOWPLAN";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 32;
/// Longest definition in bytes that is read.
const BODY_LEN_MAX: usize = 4 << 20;

impl Workflow {
    /// The workflow as bytes.
    ///
    /// # Errors
    /// [`Error::Limit`] for a definition of more than 4 MiB.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let body = serde_json::to_vec(self.definition()).map_err(|error| Error::Format {
            message: error.to_string(),
        })?;
        let len = u32::try_from(checked_len(body.len())?).unwrap_or(u32::MAX);
        let mut bytes = Vec::with_capacity(HEADER_LEN + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[0; 2]);
        bytes.extend_from_slice(&len.to_le_bytes());
        bytes.extend_from_slice(&self.hash().0);
        bytes.extend_from_slice(&body);
        Ok(bytes)
    }

    /// Reads what [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`Error::Format`] for bytes of another kind or version, or that were damaged; otherwise as
    /// [`from_definition`](Self::from_definition).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let wrong = |message: &str| Error::Format {
            message: format!("plan bytes: {message}"),
        };
        let Some((header, body)) = bytes.split_at_checked(HEADER_LEN) else {
            return Err(wrong("shorter than their header of 32 bytes"));
        };
        if header[..8] != MAGIC {
            return Err(wrong("they do not begin with FLOWPLAN"));
        }
        let version = u16::from_le_bytes([header[8], header[9]]);
        if version != VERSION {
            return Err(wrong(&format!(
                "version {version}; this library reads version {VERSION}"
            )));
        }
        let len = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
        let len = checked_len(usize::try_from(len).unwrap_or(usize::MAX))?;
        if body.len() != len {
            return Err(wrong(&format!(
                "{} bytes behind the header, which says {len}",
                body.len()
            )));
        }
        if DefinitionHash::of(body).0 != header[16..] {
            return Err(wrong("the checksum does not fit: they were damaged"));
        }
        let definition = serde_json::from_slice(body).map_err(|error| Error::Format {
            message: error.to_string(),
        })?;
        Self::from_definition(definition)
    }
}

fn checked_len(len: usize) -> Result<usize> {
    if len <= BODY_LEN_MAX {
        return Ok(len);
    }
    Err(Error::Limit {
        what: "bytes of a definition",
        found: len as u64,
        limit: BODY_LEN_MAX as u64,
    })
}
