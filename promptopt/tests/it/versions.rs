//! Files, hashes, swaps, rollbacks and the outcome log.

use std::fs;
use std::path::Path;
use std::time::Duration;

use promptopt::{
    Context, Decision, Error, Feedback, Label, OUTCOMES_MAX, Outcome, Prompt, PromptSet, Tier,
    Timestamp, Version,
};

use crate::selection::{prompt, set};

fn write(dir: &Path, prompt: &Prompt) {
    fs::write(
        dir.join(prompt.tier().file_name()),
        prompt.to_json().unwrap(),
    )
    .unwrap();
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for tier in Tier::ALL {
        write(dir.path(), &set().running(tier));
    }
    dir
}

fn decision() -> Decision {
    let label = |name: &str, bias, weights: &[f32]| Label {
        name: name.to_owned(),
        bias,
        weights: weights.to_vec(),
    };
    let labels = vec![
        label("yes", 0.1 + 0.2, &[1.0, 0.0]),
        label("no", -1.0 / 3.0, &[1e-30, 0.7]),
    ];
    Decision::new(vec![" yes".to_owned(), " no".to_owned()], labels).unwrap()
}

#[test]
fn a_prompt_file_comes_back_byte_for_byte() {
    let dir = folder();
    let written = prompt(Tier::Fast, 7, "<|im_start|>\u{e9}{text}{{\n")
        .with_decision(decision())
        .with_tokens(9, "SmolLM2-135M");
    write(dir.path(), &written);
    let set = PromptSet::load_dir(dir.path()).unwrap();
    assert_eq!(*set.running(Tier::Fast), written);
    let choice = set.select(&Context::default());
    assert_eq!(
        choice.render(&[("text", "a}b")]).unwrap(),
        "<|im_start|>\u{e9}a}b{\n"
    );
}

#[test]
fn one_changed_byte_does_not_load() {
    let dir = folder();
    let path = dir.path().join(Tier::Fast.file_name());
    let text = fs::read_to_string(&path).unwrap().replace("Label", "label");
    fs::write(&path, text).unwrap();
    let error = PromptSet::load_dir(dir.path()).unwrap_err();
    assert!(matches!(error, Error::HashMismatch { .. }), "{error}");
    assert!(error.to_string().contains("prompt_fast.json"));
}

#[test]
fn bad_folders_say_what_is_wrong() {
    let dir = tempfile::tempdir().unwrap();
    let error = PromptSet::load_dir(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Io { .. }) && error.to_string().contains("prompt_ultra.json"));

    let dir = folder();
    let path = dir.path().join(Tier::Quality.file_name());
    fs::copy(dir.path().join(Tier::Fast.file_name()), &path).unwrap();
    let error = PromptSet::load_dir(dir.path()).unwrap_err();
    assert!(matches!(
        error,
        Error::WrongTier {
            found: Tier::Fast,
            expected: Tier::Quality,
            ..
        }
    ));

    let later =
        r#"{"format":"edgeweave-prompt/9","tier":"quality","version":1,"template":"{text}"}"#;
    fs::write(&path, later).unwrap();
    let error = PromptSet::load_dir(dir.path()).unwrap_err();
    assert!(matches!(error, Error::Format { .. }), "{error}");

    fs::write(
        &path,
        r#"{"format":"edgeweave-prompt/1","tier":"quality","version":1,"template":"{text"}"#,
    )
    .unwrap();
    let error = PromptSet::load_dir(dir.path()).unwrap_err();
    assert!(error.to_string().contains("`{` without `}`"), "{error}");

    write(dir.path(), &prompt(Tier::Quality, 1, "{other}"));
    let error = PromptSet::load_dir(dir.path()).unwrap_err();
    assert!(matches!(error, Error::InputsDiffer { .. }), "{error}");
}

#[test]
fn a_swap_is_seen_at_once_and_a_choice_keeps_its_prompt() {
    let set = set();
    let before = set.select(&Context::default());
    let replaced = set.swap(prompt(Tier::Fast, 2, "New {text}")).unwrap();
    assert_eq!(replaced.version(), Version::new(1));
    let after = set.select(&Context::default());
    assert_eq!(after.prompt.version(), Version::new(2));
    assert_eq!(before.prompt.version(), Version::new(1));
    assert_eq!(set.rollback(Tier::Fast).unwrap(), Version::new(1));
    assert!(matches!(
        set.rollback(Tier::Fast),
        Err(Error::NoEarlierVersion { .. })
    ));
}

#[test]
fn an_older_prompt_or_one_with_other_inputs_does_not_go_in() {
    let set = set();
    let error = set.swap(prompt(Tier::Fast, 1, "{text}")).unwrap_err();
    assert!(matches!(
        error,
        Error::StaleVersion {
            running: 1,
            offered: 1,
            ..
        }
    ));
    let error = set.swap(prompt(Tier::Fast, 2, "{reading}")).unwrap_err();
    assert!(matches!(error, Error::InputsDiffer { .. }));
    assert_eq!(set.running(Tier::Fast).version(), Version::new(1));
}

#[test]
fn choices_during_swaps_are_whole() {
    let set = set();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for version in 2..200 {
                set.swap(prompt(Tier::Fast, version, &format!("{{text}}{version}")))
                    .unwrap();
            }
        });
        for _ in 0..2000 {
            let choice = set.select(&Context::default());
            let version = choice.prompt.version().get();
            let expected = match version {
                1 => "Text: x\nLabel:".to_owned(),
                other => format!("x{other}"),
            };
            assert_eq!(choice.render(&[("text", "x")]).unwrap(), expected);
        }
    });
}

#[test]
fn the_outcome_log_is_bounded_and_its_counters_add_up() {
    let set = set();
    let total = OUTCOMES_MAX as i64 + 10;
    for at in 0..total {
        set.record(Outcome {
            choice: set.select(&Context::default()),
            output: "yes".to_owned(),
            latency: Duration::from_millis(5),
            feedback: Feedback::Right,
            at: Timestamp::from_millis(at),
        });
    }
    let stats = set.outcome_stats();
    assert_eq!(
        (stats.recorded, stats.dropped, stats.held),
        (total as u64, 10, OUTCOMES_MAX as u64)
    );
    let drained = set.drain_outcomes();
    assert_eq!(drained.first().unwrap().at, Timestamp::from_millis(10));
    let stats = set.outcome_stats();
    assert_eq!(stats.recorded, stats.dropped + stats.drained + stats.held);
    assert_eq!(stats.held, 0);
}
