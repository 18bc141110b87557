//! Three prompts on disk, one chosen by the state of the device, a new version tried and taken back.
//!
//! `cargo run -p edgeweave-promptopt --example select`
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use promptopt::{
    Context, Criticality, ExperimentOptions, Feedback, Outcome, Prompt, PromptSet, Result,
    Template, Tier, Timestamp, Version,
};

fn main() -> Result<()> {
    let dir = std::env::temp_dir().join("promptopt-select");
    let io = |source| promptopt::Error::Io {
        action: "write",
        path: dir.clone(),
        source,
    };
    std::fs::create_dir_all(&dir).map_err(io)?;
    let texts = [
        (Tier::Ultra, "{text}\nFault:"),
        (
            Tier::Fast,
            "Sensor readings: {text}\nIs the sensor failing? Answer:",
        ),
        (
            Tier::Quality,
            "You check sensors on a farm. Constant values and jumps mean a fault.\nReadings: {text}\nFault:",
        ),
    ];
    for (tier, text) in texts {
        let prompt = Prompt::new(tier, Version::new(1), Template::parse(text)?);
        std::fs::write(dir.join(tier.file_name()), prompt.to_json()?).map_err(io)?;
    }

    let set = PromptSet::load_dir(&dir)?;
    for context in [
        Context {
            battery: 0.15,
            ..Context::default()
        },
        Context {
            latency_budget: Duration::from_millis(80),
            ..Context::default()
        },
        Context {
            criticality: Criticality::High,
            ..Context::default()
        },
        Context::default(),
    ] {
        let choice = set.select(&context);
        println!("{:<8} because {}", choice.tier, choice.reason);
    }

    let newer = Template::parse("{text} broken?")?;
    set.start_experiment(
        Prompt::new(Tier::Fast, Version::new(2), newer),
        ExperimentOptions::default(),
    )?;
    for key in 0..400_u32 {
        let choice = set.select_keyed(&Context::default(), &key.to_le_bytes());
        // The new version is wrong every second time here, the running one every eighth.
        let often = if choice.prompt.version() == Version::new(2) {
            2
        } else {
            8
        };
        let feedback = if (key / 2) % often == 0 {
            Feedback::Wrong
        } else {
            Feedback::Right
        };
        set.record(Outcome {
            choice,
            output: String::new(),
            latency: Duration::from_millis(20),
            feedback,
            at: Timestamp::from_millis(i64::from(key)),
        });
    }
    if let Some(status) = set.experiment(Tier::Fast) {
        println!(
            "{} of {}: {:?}",
            status.candidate, status.tier, status.rollback
        );
    }
    Ok(())
}
