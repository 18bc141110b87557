//! `plugin`: the other side of the model runner, and how the gateway starts it.

use std::path::Path;

use crate::config::Model;
use crate::plugins;
use crate::runner::{Launch, Runner, RunnerLimits};

use super::CommandError;

pub use crate::plugins::PluginArgs;

/// Serves a detector until the gateway goes away.
///
/// # Errors
/// [`CommandError::Plugin`] when the detector cannot start.
pub fn plugin(args: PluginArgs) -> Result<(), CommandError> {
    Ok(plugins::serve_from_args(args)?)
}

/// Starts this very program again as the plugin of a model.
pub(super) fn start_runner(model: &Model) -> Result<Runner, CommandError> {
    let program = std::env::current_exe().map_err(CommandError::Program)?;
    let mut args = vec!["plugin".to_owned()];
    match model {
        Model::Motion => args.push("motion".into()),
        Model::Ssd(file) => {
            require(file)?;
            args.extend(["ssd".into(), "--model".into(), file.display().to_string()]);
        }
    }
    Ok(Runner::start(
        Launch { program, args },
        RunnerLimits::default(),
    )?)
}

/// A model file that is not there is told before a process is started for it.
fn require(file: &Path) -> Result<(), CommandError> {
    std::fs::File::open(file)
        .map(drop)
        .map_err(|cause| CommandError::Model {
            path: file.into(),
            cause,
        })
}
