//! The envelope of every message: version, kind, link, body, signature, checksum. PROTOCOL.md is its document.

use crate::bytes::{Reader, put};
use super::dictionary::Codec;
use super::error::SyncError;

/// The version of the protocol that this release speaks.
pub const PROTOCOL_VERSION: u8 = 1;

/// The largest frame, and the largest body that a compressed one may unpack to, in bytes.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// Bodies below are sent as they are: compression has nothing to find in them.
const COMPRESSED_BYTES_MIN: usize = 40;
/// Version, kind, flags, link and checksum.
const ENVELOPE_BYTES: usize = 3 + 4 + 4;
/// An Ed25519 signature.
pub(super) const SIGNATURE_BYTES: usize = 64;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
const ZSTD_DICTIONARY: u8 = 2;
const PACKING: u8 = 3;
const SIGNED: u8 = 4;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Hello = 1,
    Resume,
    Ranges,
    RangesAnswer,
    Offer,
    Want,
    Changes,
    ChangesAck,
    Events,
    EventsAck,
    Compare,
    CompareAnswer,
    Ping,
    Refuse,
}

impl Kind {
    fn of(byte: u8) -> Option<Self> {
        [
            Self::Hello,
            Self::Resume,
            Self::Ranges,
            Self::RangesAnswer,
            Self::Offer,
            Self::Want,
            Self::Changes,
            Self::ChangesAck,
            Self::Events,
            Self::EventsAck,
            Self::Compare,
            Self::CompareAnswer,
            Self::Ping,
            Self::Refuse,
        ]
        .into_iter()
        .find(|kind| *kind as u8 == byte)
    }
}

/// A frame whose envelope is sound; its body is not unpacked yet, so that a signature is checked first.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a> {
    pub(super) kind: Kind,
    /// Which link of two sessions it belongs to; 0 before they know one another.
    pub(super) link: u32,
    flags: u8,
    packed: &'a [u8],
    /// What a signature is over, and the signature.
    pub(super) signed: Option<(&'a [u8], &'a [u8])>,
}

/// Seals a body. `sign` makes a signature over everything before it.
pub(super) fn seal(
    kind: Kind,
    link: u32,
    body: &[u8],
    codec: Option<&mut Codec>,
    sign: Option<&dyn Fn(&[u8]) -> [u8; SIGNATURE_BYTES]>,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(ENVELOPE_BYTES + body.len() + SIGNATURE_BYTES);
    let signed = if sign.is_some() { SIGNED } else { 0 };
    out.extend_from_slice(&[PROTOCOL_VERSION, kind as u8, signed]);
    out.extend_from_slice(&link.to_le_bytes());
    let packed = codec
        .filter(|_| body.len() >= COMPRESSED_BYTES_MIN)
        .and_then(|codec| Some((codec.pack(body)?, codec.has_dictionary())))
        .filter(|(packed, _)| packed.len() + 3 < body.len());
    match packed {
        Some((packed, dictionary)) => {
            out[2] |= if dictionary { ZSTD_DICTIONARY } else { ZSTD };
            put(&mut out, body.len() as u64);
            out.extend_from_slice(&packed);
        }
        None => out.extend_from_slice(body),
    }
    if let Some(sign) = sign {
        let signature = sign(&out);
        out.extend_from_slice(&signature);
    }
    let checksum = crc32c::crc32c(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

impl<'a> Envelope<'a> {
    /// Checks size, version, checksum and form.
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, SyncError> {
        if bytes.len() > FRAME_BYTES_MAX {
            return Err(SyncError::Limit {
                what: "length of a frame in bytes",
                found: bytes.len() as u64,
                limit: FRAME_BYTES_MAX as u64,
            });
        }
        if bytes.len() < ENVELOPE_BYTES {
            return Err(SyncError::Malformed {
                offset: bytes.len(),
                cause: "it is shorter than an envelope",
            });
        }
        if bytes[0] != PROTOCOL_VERSION {
            return Err(SyncError::Version {
                found: bytes[0],
                known: PROTOCOL_VERSION,
            });
        }
        let (content, checksum) = bytes.split_at(bytes.len() - 4);
        let found = u32::from_le_bytes(Reader::new(checksum).array()?);
        let computed = crc32c::crc32c(content);
        if found != computed {
            return Err(SyncError::Checksum { found, computed });
        }
        let mut reader = Reader::new(&content[1..]);
        let kind = Kind::of(reader.byte()?);
        let kind = kind.ok_or_else(|| reader.wrong::<SyncError>("there is no such kind of frame"))?;
        let flags = reader.byte()?;
        if flags > (PACKING | SIGNED) || flags & PACKING == PACKING {
            return Err(reader.wrong("there is no such flag"));
        }
        let link = u32::from_le_bytes(reader.array()?);
        let mut packed = &content[7..];
        let mut signed = None;
        if flags & SIGNED != 0 {
            let Some(length) = packed.len().checked_sub(SIGNATURE_BYTES) else {
                return Err(reader.wrong("it is shorter than its signature"));
            };
            packed = &packed[..length];
            signed = Some(content.split_at(content.len() - SIGNATURE_BYTES));
        }
        Ok(Self {
            kind,
            link,
            flags,
            packed,
            signed,
        })
    }

    /// The body. What it says to unpack to is checked before anything is allocated.
    pub(super) fn body(&self, codec: &mut Codec) -> Result<Vec<u8>, SyncError> {
        let mut reader = Reader::new(self.packed);
        match self.flags & PACKING {
            PLAIN => Ok(self.packed.to_vec()),
            packing => {
                let length = reader.number()?;
                if length > FRAME_BYTES_MAX as u64 {
                    return Err(SyncError::Limit {
                        what: "unpacked length of a frame in bytes",
                        found: length,
                        limit: FRAME_BYTES_MAX as u64,
                    });
                }
                if (packing == ZSTD_DICTIONARY) != codec.has_dictionary() {
                    return Err(reader.wrong("it is packed with a dictionary that was not agreed"));
                }
                let packed = &self.packed[self.packed.len() - reader.left()..];
                codec.unpack(packed, length as usize).ok_or_else(|| {
                    reader.wrong("it does not unpack to the length that it says")
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Codec, Envelope, FRAME_BYTES_MAX, Kind, seal};
    use crate::bytes::put;
    use crate::sync::dictionary::SHIPPED;
    use crate::sync::error::SyncError;

    fn body() -> Vec<u8> {
        br#"{"battery":17,"task":"weld","battery":17,"task":"weld"}"#.repeat(20)
    }

    #[test]
    fn a_frame_comes_back_with_each_packing() {
        for dictionary in [None, Some(SHIPPED)] {
            let mut codec = Codec::new(dictionary);
            let frame = seal(Kind::Changes, 7, &body(), Some(&mut codec), None);
            assert!(frame.len() < body().len() / 4);
            let envelope = Envelope::parse(&frame).unwrap();
            assert_eq!((envelope.kind, envelope.link), (Kind::Changes, 7));
            assert_eq!(envelope.body(&mut codec).unwrap(), body());
        }
        let plain = seal(Kind::Ping, 1, b"", None, None);
        assert_eq!(plain.len(), 11);
    }

    #[test]
    fn each_flipped_bit_and_each_cut_is_refused() {
        let mut codec = Codec::new(None);
        let frame = seal(Kind::Changes, 7, b"some body", Some(&mut codec), None);
        for bit in 0..frame.len() * 8 {
            let mut bent = frame.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(Envelope::parse(&bent).is_err(), "bit {bit}");
        }
        for length in 0..frame.len() {
            assert!(Envelope::parse(&frame[..length]).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn a_frame_that_unpacks_to_too_much_is_refused_before_it_is_unpacked() {
        let mut codec = Codec::new(None);
        let bomb = codec.pack(&vec![0; FRAME_BYTES_MAX + 1]).unwrap();
        for says in [FRAME_BYTES_MAX as u64 + 1, u64::MAX, 10] {
            let mut frame = vec![1, Kind::Changes as u8, 1, 0, 0, 0, 0];
            put(&mut frame, says);
            frame.extend_from_slice(&bomb);
            let checksum = crc32c::crc32c(&frame);
            frame.extend_from_slice(&checksum.to_le_bytes());
            let error = Envelope::parse(&frame).unwrap().body(&mut codec);
            match says {
                10 => assert!(matches!(error, Err(SyncError::Malformed { .. }))),
                _ => assert!(matches!(error, Err(SyncError::Limit { .. }))),
            }
        }
    }
}
