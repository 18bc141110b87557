//! Any bytes are a batch of samples or an error, also under a right checksum.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstream::agent::decode_batch;

fuzz_target!(|bytes: &[u8]| {
    let _ = decode_batch(bytes);
    let mut summed = bytes.to_vec();
    summed.extend_from_slice(&crc32c::crc32c(bytes).to_le_bytes());
    if let Ok(batch) = decode_batch(&summed) {
        assert!(batch.samples.len() <= midstream::agent::BATCH_SAMPLES_MAX);
    }
});
