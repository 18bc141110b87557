//! `models get`: obtains a detector's weights.

use std::path::Path;

use super::CommandError;

/// Downloads, checks and converts the weights of a detector into a folder.
///
/// # Errors
/// [`CommandError`], one line each.
#[cfg(feature = "ssd")]
pub fn models_get(name: &str, folder: &Path) -> Result<(), CommandError> {
    if name != "ssd" {
        return Err(unknown(name));
    }
    let file = crate::models::get_ssd(folder)?;
    println!("{}", file.display());
    Ok(())
}

/// Downloads, checks and converts the weights of a detector into a folder.
///
/// # Errors
/// [`CommandError`], one line each.
#[cfg(not(feature = "ssd"))]
pub fn models_get(name: &str, _folder: &Path) -> Result<(), CommandError> {
    if name != "ssd" {
        return Err(unknown(name));
    }
    Err(CommandError::Usage(
        "this build has no `ssd` detector: build with --features ssd".into(),
    ))
}

fn unknown(name: &str) -> CommandError {
    CommandError::Usage(format!(
        "no model is called {name:?}; there is `ssd`, and `motion` needs no weights"
    ))
}
