//! Any bytes are a bundle or an error, signed or not; a bundle packs to one that opens to the same prompts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promptopt::Bundle;

fuzz_target!(|bytes: &[u8]| {
    // A key that is a point of the curve; nothing here is signed with it.
    let mut key = [0; 32];
    key[0] = 1;
    let _ = Bundle::open_signed(bytes, &key);
    if let Ok(bundle) = Bundle::open(bytes) {
        let again = bundle.pack().and_then(|packed| Bundle::open(&packed));
        let again = again.expect("what was opened packs and opens");
        assert_eq!(again.prompts(), bundle.prompts());
    }
});
