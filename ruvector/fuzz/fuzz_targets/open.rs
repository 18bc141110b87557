//! The loader of index files: any bytes are an error or an index that answers, never a panic. Checksums
//! are not looked at here (`cfg(fuzzing)`), so that damage reaches what lies behind them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ruvector::Index;

fuzz_target!(|bytes: &[u8]| {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), bytes).expect("a writable file");
    let Ok(index) = Index::open(file.path()) else {
        return;
    };
    let query = vec![0.5; index.dim()];
    let _ = index.search(&query, 5).run();
    let _ = index.search_range(&query, 0.1, None);
    let _ = index.upsert(7, &query, Default::default());
    let _ = index.delete(7);
    let _ = index.compact();
});
