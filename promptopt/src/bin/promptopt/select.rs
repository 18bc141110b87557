//! `promptopt select`.

use std::path::PathBuf;

use clap::Args;
use promptopt::{Context, Error, Offload, PromptSet, Result};
use serde_json::json;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Folder with prompt_ultra.json, prompt_fast.json, prompt_quality.json and perhaps policy.json.
    #[arg(long)]
    prompts: PathBuf,
    /// JSON file with battery, latency_budget_ms, criticality, confidence, network and load, each optional.
    #[arg(long)]
    context: PathBuf,
    /// An input as NAME=VALUE; with all inputs given the rendered prompt is printed too.
    #[arg(long = "input", value_name = "NAME=VALUE")]
    inputs: Vec<String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let set = PromptSet::load_dir(&arguments.prompts)?;
    let path = &arguments.context;
    let text = std::fs::read_to_string(path).map_err(|source| Error::Io {
        action: "read",
        path: path.clone(),
        source,
    })?;
    let choice = set.select(&Context::from_json(&text)?);
    let inputs: Vec<(&str, &str)> = arguments
        .inputs
        .iter()
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let rendered = if inputs.is_empty() {
        None
    } else {
        Some(choice.render(&inputs)?)
    };
    let prompt = &choice.prompt;
    let line = json!({
        "tier": choice.tier,
        "version": prompt.version(),
        "reason": choice.reason.to_string(),
        "offload": choice.offload == Offload::Allowed,
        "tokens": prompt.tokens(),
        "model": prompt.model(),
        "sha256": prompt.sha256(),
        "template": prompt.template().source(),
        "rendered": rendered,
    });
    println!("{line}");
    Ok(())
}
