//! What a program asks the library about itself.

use std::ffi::{CStr, c_char};

/// The number of the binary interface that this header describes.
pub const EW_ABI_VERSION: u32 = 0;

/// The number of the library's binary interface. A program refuses to start when it differs from the
/// EW_ABI_VERSION that it was compiled with.
#[unsafe(no_mangle)]
pub extern "C" fn ew_abi_version() -> u32 {
    EW_ABI_VERSION
}

const VERSION: &CStr =
    match CStr::from_bytes_with_nul(concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes()) {
        Ok(text) => text,
        Err(_) => c"",
    };

/// The release, such as "0.1.0". Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn ew_version() -> *const c_char {
    VERSION.as_ptr()
}
