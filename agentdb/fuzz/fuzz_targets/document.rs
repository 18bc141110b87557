//! Any bytes are a document or an error; a document reads back from its own bytes and joins with others.
#![no_main]

use agentdb::{Document, Joined};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(document) = Document::decode(bytes) else {
        return;
    };
    let again = Document::decode(&document.encode()).expect("what was read can be read again");
    assert_eq!(again, document);
    let mut joined = document.clone();
    assert_eq!(joined.merge(&again).expect("of one schema"), Joined::Known);
    assert_eq!(joined, document);
    let half = &bytes[..bytes.len() / 2];
    if let Ok(other) = Document::decode(half) {
        let _ = joined.merge(&other);
    }
    assert!(document.delta(document.context()).is_none());
});
