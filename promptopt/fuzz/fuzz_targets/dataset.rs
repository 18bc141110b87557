//! Any bytes are a CSV or JSON-lines data set or an error, and the split loses no example.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use promptopt::optimize::{Dataset, Split};

fuzz_target!(|bytes: &[u8]| {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("data");
    fs::write(&path, bytes).expect("a file");
    let read = [
        Dataset::from_csv(&path, &["text", "label"]),
        Dataset::from_jsonl(&path, &["text", "label"]),
    ];
    for data in read.into_iter().flatten() {
        let shares = Split::stratified(0.3, 0.3, 0.4, 1).expect("shares");
        if let Ok(splits) = data.split(shares) {
            let dealt = splits.train.len() + splits.validation.len() + splits.test.len();
            assert_eq!(dealt, data.examples().len());
        }
    }
});
