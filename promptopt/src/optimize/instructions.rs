//! What a prompt tells the model to do, in several wordings.

use super::data::Example;
use super::signature::{Kind, Signature};
use super::words::readable;

/// Wordings of the instruction and of the cue that asks for the answer.
pub(crate) struct Wording {
    /// The first is none, the second what a person writes first.
    pub(crate) instructions: Vec<String>,
    /// The first is the output's name.
    pub(crate) cues: Vec<String>,
}

impl Wording {
    /// For answers that are one of `labels`.
    pub(crate) fn for_labels(signature: &Signature, labels: &[String]) -> Self {
        let names: Vec<String> = labels.iter().map(|label| readable(label)).collect();
        let list = names.join(", ");
        let either = match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => list.clone(),
        };
        let output = signature.output().title().to_lowercase();
        let input = signature.inputs()[0].title().to_lowercase();
        let mut instructions: Vec<String> = vec![
            String::new(),
            format!("Classify the {input} as one of: {list}."),
            format!("{either}?"),
            format!("Choose one: {list}."),
            format!("Is it {either}?"),
            format!("Decide whether the {input} is {either}."),
            format!("What is the {output} of this {input}? Options: {list}."),
            format!("You are an expert. Read the {input} with care and give its {output}: {list}."),
            format!("Each {input} below is labeled {either}."),
            format!("Possible values of {output}: {list}."),
        ];
        if !signature.instruction().is_empty() {
            instructions.push(signature.instruction().to_owned());
            instructions.push(format!("{} ({list})", signature.instruction()));
        }
        let cues = [
            "Category:",
            "Topic:",
            "Sentiment:",
            "Answer:",
            "Type:",
            "Subject:",
            "Verdict:",
            "Tag:",
            "Keywords:",
            "In one word:",
            "This is",
            "This is about",
            "It was",
            "All in all, it is",
            "=>",
        ];
        Self {
            instructions,
            cues: with_title(signature, &cues),
        }
    }

    /// For answers that the model writes; `train` shows what fields an object has.
    pub(crate) fn for_text(signature: &Signature, train: &[Example]) -> Self {
        let output = signature.output().title().to_lowercase();
        let input = signature.inputs()[0].title().to_lowercase();
        let how = match signature.output().kind() {
            Kind::Float => "as a number".to_owned(),
            Kind::Object => format!("as one JSON object with the fields {}", fields(train)),
            Kind::Label | Kind::Bool | Kind::Text => "in as few words as possible".to_owned(),
        };
        let mut naive = format!("Read the {input} and give the {output} {how}.");
        let mut instructions = vec![
            String::new(),
            format!("Give the {output} {how}."),
            format!("What is the {output}? Answer {how}."),
            format!("Answer {how} and write nothing else."),
            format!("You are an expert. Read the {input} with care. Then give its {output} {how}."),
            format!("Find the {output} in the {input}; give it {how}."),
            format!("Each {input} below is followed by its {output}, {how}."),
        ];
        if !signature.instruction().is_empty() {
            instructions.push(std::mem::replace(
                &mut naive,
                signature.instruction().to_owned(),
            ));
            instructions.push(format!("{} Answer {how}.", signature.instruction()));
        }
        instructions.insert(1, naive);
        let cues: &[&str] = match signature.output().kind() {
            Kind::Object => &["JSON:", "Answer:", "Result:", "Output:", "=>"],
            _ => &[
                "Answer:",
                "Short answer:",
                "Result:",
                "Output:",
                "=>",
                "So it is",
            ],
        };
        Self {
            instructions,
            cues: with_title(signature, cues),
        }
    }
}

fn with_title(signature: &Signature, cues: &[&str]) -> Vec<String> {
    let title = format!("{}:", signature.output().title());
    let others = cues.iter().filter(|cue| **cue != title);
    let others: Vec<String> = others.map(|cue| (*cue).to_owned()).collect();
    std::iter::once(title).chain(others).collect()
}

/// Names of the fields of the first answer that is an object.
fn fields(train: &[Example]) -> String {
    let first = train.iter().find_map(|example| {
        serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&example.answer).ok()
    });
    let names: Vec<String> = first
        .map(|object| object.keys().cloned().collect())
        .unwrap_or_default();
    names.join(", ")
}
