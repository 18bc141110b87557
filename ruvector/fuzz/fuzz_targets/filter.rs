//! The language of filters: any text is an error or a filter, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ruvector::Filter;

fuzz_target!(|text: &str| {
    let _ = Filter::parse(text);
});
