//! Gives the shared library its name for the loader: cargo sets none.
#![allow(clippy::print_stdout, reason = "how a build script speaks to cargo")]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let os = std::env::var("CARGO_CFG_TARGET_OS").unwrap_or_default();
    if os == "linux" || os == "android" {
        // The number is ew_abi_version(): a program finds the library that it was linked with.
        println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libedgeweave.so.0");
    }
}
