//! Keeps the engine to the cores that the process may use.
//!
//! The engine starts a thread for each core of the machine, also where the process may use fewer of them (a
//! container's quota, `taskset`): its threads then wait for one another in turns, ten times slower than one
//! alone. It takes another number from the environment only, so the command starts itself anew with it.

use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "RAYON_NUM_THREADS";

/// Starts the command anew with the number of cores it may use, where that is fewer than there are and the
/// user said nothing else.
pub(crate) fn keep_to_allowed() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").ok();
    let (Some(online), Ok(allowed), Ok(program)) = (
        online.as_deref().and_then(count),
        std::thread::available_parallelism(),
        std::env::current_exe(),
    ) else {
        return;
    };
    if allowed.get() < online {
        let failure = Command::new(program)
            .args(std::env::args_os().skip(1))
            .env(VARIABLE, allowed.to_string())
            .exec();
        // The engine works with its own number too, only slower.
        eprintln!("promptopt: cannot start anew with {VARIABLE}={allowed}: {failure}");
    }
}

/// Number of cores in a list such as `0-3,6`.
fn count(list: &str) -> Option<usize> {
    list.trim().split(',').try_fold(0, |sum, part| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        Some(sum + last.checked_sub(first)? + 1)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_counted() {
        assert_eq!(count("0\n"), Some(1));
        assert_eq!(count("0-3,6,8-9\n"), Some(7));
        assert_eq!(count("3-0"), None);
        assert_eq!(count(""), None);
    }
}
