//! What the command prints.

use std::fmt::{Arguments, Display};
use std::io::{ErrorKind, Write as _, stdout};

/// Prints a line.
pub fn line(line: impl Display) {
    write(format_args!("{line}\n"));
}

/// Prints a text that ends its own lines.
pub fn text(text: impl Display) {
    write(format_args!("{text}"));
}

/// A reader that has gone (`| head`) wants no more, and what runs goes on; anything else, such as a
/// full disk, ends the command: it could not tell what it did.
fn write(text: Arguments<'_>) {
    match stdout().write_fmt(text) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            eprintln!("flowcore: the standard output cannot be written: {error}");
            std::process::exit(2);
        }
        _ => {}
    }
}
