//! Prompts that travel: one file, hashed, and signed where the feature `signed` is on.
//!
//! Two lines of JSON. The first names the format, the SHA-256 of the second line's bytes and, in a signed
//! bundle, the Ed25519 signature of the same bytes; the second line is the list of prompts as in their
//! files. FORMAT.md has the details.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{Error, Result};
use crate::prompt::{Prompt, hex};
use crate::tier::Tier;

/// The format that bundles name.
pub const BUNDLE_FORMAT: &str = "edgeweave-bundle/1";
/// Largest bundle, in bytes.
pub const BUNDLE_BYTES_MAX: usize = 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: String,
    sha256: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ed25519: Option<String>,
}

/// Prompts of one release, at most one a tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Bundle {
    prompts: Vec<Prompt>,
}

impl Bundle {
    /// A bundle of one to three prompts.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for no prompt, [`Error::DuplicateTier`].
    pub fn new(prompts: Vec<Prompt>) -> Result<Self> {
        if prompts.is_empty() {
            return Err(Error::OutOfRange {
                what: "number of prompts in the bundle",
                found: 0.0,
                expected: "1 to 3",
            });
        }
        for tier in Tier::ALL {
            if prompts
                .iter()
                .filter(|prompt| prompt.tier() == tier)
                .count()
                > 1
            {
                return Err(Error::DuplicateTier { tier });
            }
        }
        Ok(Self { prompts })
    }

    /// The prompts.
    pub fn prompts(&self) -> &[Prompt] {
        &self.prompts
    }

    /// The bundle's bytes, with its hash and without a signature: for a channel that is trusted.
    ///
    /// # Errors
    /// [`Error::Json`], which no bundle gives.
    pub fn pack(&self) -> Result<Vec<u8>> {
        let payload = self.payload()?;
        pack(&payload, None)
    }

    /// Reads a bundle and checks its hash and the hash of each prompt. This finds damage, not forgery;
    /// for that there is [`Bundle::open_signed`].
    ///
    /// # Errors
    /// [`Error::Limit`] over [`BUNDLE_BYTES_MAX`], [`Error::Json`], [`Error::Format`],
    /// [`Error::HashMismatch`], and those of [`Bundle::new`] and [`Prompt::from_json`].
    pub fn open(bytes: &[u8]) -> Result<Self> {
        let (_, payload) = parts(bytes)?;
        Self::read(payload)
    }

    fn payload(&self) -> Result<Vec<u8>> {
        let texts = self
            .prompts
            .iter()
            .map(Prompt::to_json)
            .collect::<Result<Vec<_>>>()?;
        serde_json::to_vec(&texts).map_err(|source| Error::Json {
            what: "bundle".to_owned(),
            source,
        })
    }

    fn read(payload: &[u8]) -> Result<Self> {
        let texts: Vec<String> = serde_json::from_slice(payload).map_err(|source| Error::Json {
            what: "bundle".to_owned(),
            source,
        })?;
        let prompts = texts
            .iter()
            .map(|text| Prompt::from_json(text, "a prompt of the bundle"))
            .collect::<Result<Vec<_>>>()?;
        Self::new(prompts)
    }
}

#[cfg(feature = "signed")]
impl Bundle {
    /// The bundle's bytes with its hash and a signature by the Ed25519 key with this secret.
    ///
    /// # Errors
    /// [`Error::Json`], which no bundle gives.
    pub fn pack_signed(&self, secret_key: &[u8; 32]) -> Result<Vec<u8>> {
        use ed25519_dalek::Signer;
        let payload = self.payload()?;
        let signature = ed25519_dalek::SigningKey::from_bytes(secret_key).sign(&payload);
        pack(&payload, Some(hex(&signature.to_bytes())))
    }

    /// Reads a bundle that the owner of this public key signed.
    ///
    /// # Errors
    /// [`Error::Untrusted`] for no signature or a wrong one, and those of [`Bundle::open`].
    pub fn open_signed(bytes: &[u8], public_key: &[u8; 32]) -> Result<Self> {
        let (header, payload) = parts(bytes)?;
        let untrusted = |cause| Error::Untrusted { cause };
        let text = header.ed25519.ok_or(untrusted("it has no signature"))?;
        let signature =
            unhex(&text).ok_or(untrusted("the signature is not 128 hexadecimal digits"))?;
        let key = ed25519_dalek::VerifyingKey::from_bytes(public_key)
            .map_err(|_| untrusted("the trusted key is no Ed25519 key"))?;
        key.verify_strict(payload, &ed25519_dalek::Signature::from_bytes(&signature))
            .map_err(|_| untrusted("the signature is of other bytes or of another key"))?;
        Self::read(payload)
    }
}

#[cfg(feature = "signed")]
fn unhex(text: &str) -> Option<[u8; 64]> {
    let digits = text.as_bytes();
    if digits.len() != 128 {
        return None;
    }
    let mut bytes = [0; 64];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| char::from(c).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

fn pack(payload: &[u8], ed25519: Option<String>) -> Result<Vec<u8>> {
    let header = Header {
        format: BUNDLE_FORMAT.to_owned(),
        sha256: hex(&Sha256::digest(payload)),
        ed25519,
    };
    let mut bytes = serde_json::to_vec(&header).map_err(|source| Error::Json {
        what: "bundle".to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    bytes.extend_from_slice(payload);
    Ok(bytes)
}

/// The header and the payload, which has the header's hash.
fn parts(bytes: &[u8]) -> Result<(Header, &[u8])> {
    if bytes.len() > BUNDLE_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of the bundle in bytes",
            found: bytes.len(),
            limit: BUNDLE_BYTES_MAX,
        });
    }
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .unwrap_or(bytes.len());
    let header: Header = serde_json::from_slice(&bytes[..end]).map_err(|source| Error::Json {
        what: "first line of the bundle".to_owned(),
        source,
    })?;
    if header.format != BUNDLE_FORMAT {
        return Err(Error::Format {
            what: "the bundle".to_owned(),
            found: header.format,
            expected: BUNDLE_FORMAT,
        });
    }
    let payload = bytes.get(end + 1..).unwrap_or(&[]);
    let actual = hex(&Sha256::digest(payload));
    if actual != header.sha256 {
        return Err(Error::HashMismatch {
            what: "the bundle".to_owned(),
            recorded: header.sha256,
            actual,
        });
    }
    Ok((header, payload))
}
