//! Compression with a dictionary that both sides have.
//!
//! A delta of a few fields is too short for a compressor to learn from; a dictionary of what states look
//! like (field names, JSON, common values) is learnt once and shipped. Peers agree on one by its number and
//! do without when they have none in common, so that a new one breaks nobody.

use zstd::bulk::{Compressor, Decompressor};

/// A dictionary that was trained on sample states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dictionary {
    /// Its number, never used for another.
    pub(super) number: u32,
    bytes: &'static [u8],
}

/// The dictionary of this release.
pub(super) const SHIPPED: Dictionary = Dictionary {
    number: 1,
    bytes: include_bytes!("dictionary-1.zdict"),
};

/// What every zstd frame begins with; not sent.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const LEVEL: i32 = 6;

/// Packs and unpacks with one dictionary or none. Its tables are made when they are first needed, and serve
/// all links of a store.
pub(super) struct Codec {
    dictionary: Option<Dictionary>,
    compressor: Option<Compressor<'static>>,
    decompressor: Option<Decompressor<'static>>,
}

impl Codec {
    pub(super) fn new(dictionary: Option<Dictionary>) -> Self {
        Self {
            dictionary,
            compressor: None,
            decompressor: None,
        }
    }

    pub(super) fn has_dictionary(&self) -> bool {
        self.dictionary.is_some()
    }

    fn bytes(&self) -> &'static [u8] {
        self.dictionary.map_or(&[], |dictionary| dictionary.bytes)
    }

    /// The packed bytes; none when the compressor cannot be had, and the body goes as it is.
    pub(super) fn pack(&mut self, body: &[u8]) -> Option<Vec<u8>> {
        if self.compressor.is_none() {
            let mut made = Compressor::with_dictionary(LEVEL, self.bytes()).ok()?;
            // The agreement names the dictionary and the frame its length: the packed bytes need not.
            made.include_dictid(false).ok()?;
            made.include_contentsize(false).ok()?;
            made.include_checksum(false).ok()?;
            self.compressor = Some(made);
        }
        let packed = self.compressor.as_mut()?.compress(body).ok()?;
        packed.strip_prefix(&MAGIC).map(<[u8]>::to_vec)
    }

    /// Exactly `length` bytes, or none.
    pub(super) fn unpack(&mut self, packed: &[u8], length: usize) -> Option<Vec<u8>> {
        if self.decompressor.is_none() {
            self.decompressor = Decompressor::with_dictionary(self.bytes()).ok();
        }
        let frame = [&MAGIC, packed].concat();
        let body = self.decompressor.as_mut()?.decompress(&frame, length).ok()?;
        (body.len() == length).then_some(body)
    }
}

/// One codec for each dictionary that a link may have agreed on.
pub(super) struct Codecs {
    none: Codec,
    shipped: Codec,
}

impl Default for Codecs {
    fn default() -> Self {
        Self {
            none: Codec::new(None),
            shipped: Codec::new(Some(SHIPPED)),
        }
    }
}

impl Codecs {
    pub(super) fn of(&mut self, dictionary: Option<Dictionary>) -> &mut Codec {
        match dictionary {
            Some(_) => &mut self.shipped,
            None => &mut self.none,
        }
    }
}

/// The dictionary that two sides use, from what each has: the newest in common.
pub(super) fn agree(theirs: &[u32]) -> Option<Dictionary> {
    theirs
        .contains(&SHIPPED.number)
        .then_some(SHIPPED)
}
