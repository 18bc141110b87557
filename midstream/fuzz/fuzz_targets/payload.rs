//! Any payload is events or rejections.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstream::decode::{Decoder, Format};
use midstream::{FieldType, Schema};

fuzz_target!(|bytes: &[u8]| {
    let schema = Schema::new("s")
        .field("channel", FieldType::Int)
        .field("value", FieldType::Float)
        .field("on", FieldType::Bool)
        .field("who", FieldType::Text);
    for format in [Format::Json, Format::Samples] {
        for event in Decoder::new(schema.clone(), format, "id", "at").decode(bytes) {
            if let Err(rejection) = event {
                assert!(!rejection.to_string().is_empty());
            }
        }
    }
});
