//! What two sessions say to one another: the bodies of frames.

mod changes;
mod events;
mod greeting;
mod search;

use super::error::SyncError;
use crate::bytes::{Reader, put};
use crate::db::Change;

pub(super) use changes::{Changes, Told};
pub(super) use events::{Carried, Events};
pub(super) use greeting::{Hello, Resume};
pub(super) use search::{Offer, Ranges, Want};

/// The most documents, wants or events that one frame may name.
const ITEMS_MAX: usize = 1 << 16;

fn put_count(out: &mut Vec<u8>, count: usize) {
    put(out, count as u64);
}

/// A place of changes: 0 for none, else 1 more than its number.
fn put_change(out: &mut Vec<u8>, change: Option<Change>) {
    put(
        out,
        change.map_or(0, |change| change.get().cast_unsigned() + 1),
    );
}

fn read_change(reader: &mut Reader<'_>) -> Result<Option<Change>, SyncError> {
    let number = reader.number()?;
    if number > i64::MAX.cast_unsigned() {
        return Err(reader.wrong("a place of changes has more than 63 bits"));
    }
    Ok(number
        .checked_sub(1)
        .map(|number| Change::new(number.cast_signed())))
}

/// A count of things of which each takes at least so many bytes.
fn items(reader: &mut Reader<'_>, each: usize) -> Result<usize, SyncError> {
    let count = reader.count(each)?;
    if count > ITEMS_MAX {
        return Err(SyncError::Limit {
            what: "number of items of a frame",
            found: count as u64,
            limit: ITEMS_MAX as u64,
        });
    }
    Ok(count)
}

/// A whole body: what is read, and nothing after it.
fn whole<T>(
    body: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, SyncError>,
) -> Result<T, SyncError> {
    let mut reader = Reader::new(body);
    let message = read(&mut reader)?;
    if reader.left() > 0 {
        return Err(reader.wrong("it goes on after its end"));
    }
    Ok(message)
}

/// The body of an answer that repeats the number of what it answers, and a word of it.
pub(super) fn encode_pair(number: u32, word: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, u64::from(number));
    put(&mut out, word);
    out
}

pub(super) fn decode_pair(body: &[u8]) -> Result<(u32, u64), SyncError> {
    whole(body, |reader| Ok((reader.small()?, reader.number()?)))
}
