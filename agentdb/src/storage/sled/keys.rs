//! Keys of the trees, in bytes that sort as what they stand for.

use crate::event::Origin;

/// Ends a key of the index, in which a zero is followed by 255: so longer keys sort after shorter ones.
pub(super) const END: [u8; 2] = [0, 0];

pub(super) fn number(place: i64) -> Vec<u8> {
    place.to_be_bytes().to_vec()
}

pub(super) fn as_number(bytes: &[u8]) -> i64 {
    bytes
        .first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// Names, each with its length before it, so that none runs into the next.
pub(super) fn names(names: &[&str]) -> Vec<u8> {
    let mut key = Vec::new();
    for name in names {
        key.extend_from_slice(&(name.len() as u32).to_be_bytes());
        key.extend_from_slice(name.as_bytes());
    }
    key
}

pub(super) fn escaped(key: &[u8]) -> Vec<u8> {
    let bytes = key.iter().flat_map(|byte| match byte {
        0 => [0, 255].into_iter().take(2),
        byte => [*byte, 0].into_iter().take(1),
    });
    bytes.collect()
}

pub(super) fn key_and_id(entry: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut key = Vec::new();
    let mut rest = entry;
    loop {
        match rest {
            [0, 0, id @ ..] => return Some((key, id)),
            [0, 255, more @ ..] => {
                key.push(0);
                rest = more;
            }
            [byte, more @ ..] => {
                key.push(*byte);
                rest = more;
            }
            [] => return None,
        }
    }
}

pub(super) fn record_key(namespace: &str, key: &str) -> Vec<u8> {
    [&names(&[namespace])[..], key.as_bytes()].concat()
}

pub(super) fn received_key(origin: Origin) -> Vec<u8> {
    let word = format!("{} {}", origin.replica, origin.sequence.get());
    word.into_bytes()
}
