//! What the farm's handbook says of an incident, put into a prompt: `ruvector` finds the passages,
//! `promptopt` puts them where the template wants them.
//!
//! A handbook is a few pages, so the vectors are made of hashed words, without a model. A model that
//! embeds sentences takes the place of `embedded` and nothing else changes.

use std::sync::Arc;

use promptopt::{Choice, Retrieval};
use ruvector::retriever::{Chunking, Retriever};
use ruvector::{Embedder, Index};
use serde_json::Value;

/// Components of a passage's vector.
const DIM: usize = 512;
/// Longest passage, in characters.
const PASSAGE_CHARS: usize = 240;
/// Passages that a prompt gets.
const PASSAGES: usize = 2;

/// The passages of a handbook.
pub struct Handbook {
    passages: Retriever,
}

impl Handbook {
    /// Cuts the pages into passages and indexes them.
    ///
    /// # Errors
    /// What `ruvector` says of a page that it cannot take.
    pub fn new(pages: &[&str]) -> ruvector::Result<Self> {
        let embedder = Embedder::new("hashed-words-1", DIM, |text| Ok(embedded(text)))?;
        let chunking = Chunking::Sentences {
            chars: PASSAGE_CHARS,
            overlap: 0,
        };
        let index = Index::builder(DIM).build()?;
        let passages = Retriever::new(index, Arc::new(embedder), chunking)?;
        for (number, page) in (0..).zip(pages) {
            passages.add(number, page, Value::Null)?;
        }
        Ok(Self { passages })
    }

    /// The chosen prompt with passages on its input `what` put in as its input `advice`.
    ///
    /// # Errors
    /// What `promptopt` says of a missing input or of a search that fails.
    pub fn render(&self, choice: &Choice, inputs: &[(&str, &str)]) -> promptopt::Result<String> {
        let retrieval = Retrieval {
            query: "what",
            into: "advice",
            count: PASSAGES,
        };
        choice.render_retrieved(inputs, retrieval, self)
    }
}

impl promptopt::Retriever for Handbook {
    fn retrieve(
        &self,
        query: &str,
        count: usize,
    ) -> Result<Vec<String>, Box<dyn std::error::Error + Send + Sync>> {
        let found = self.passages.retrieve(query, count).run()?;
        Ok(found.into_iter().map(|passage| passage.text).collect())
    }
}

/// Counts of words of more than three letters, by their hash (FNV-1a).
fn embedded(text: &str) -> Vec<f32> {
    // No vector is zero, which has no direction.
    let mut vector = vec![1e-3; DIM];
    let lower = text.to_lowercase();
    for word in lower.split(|c: char| !c.is_alphanumeric()) {
        let hash = word.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
            (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
        });
        if word.chars().count() > 3 {
            vector[hash as usize % DIM] += 1.0;
        }
    }
    vector
}

#[cfg(test)]
mod tests {
    use promptopt::{Context, Policy, Prompt, PromptSet, Template, Tier, Version};

    use super::*;

    const PAGES: [&str; 3] = [
        "An animal that lies longer than usual may be ill or about to calve. Look at the animal within \
         ten minutes. Call the vet when it does not rise.",
        "A person in the pen at night who is not on the rota is reported to the guard. Do not go alone.",
        "Crowding at the trough means that water does not run. Check the valve and the pump.",
    ];

    fn prompts() -> PromptSet {
        let prompt =
            |tier, text: &str| Prompt::new(tier, Version::new(1), Template::parse(text).unwrap());
        let long = "Handbook:\n{advice}\n\nIncident: {what}\nWhat to do:";
        let prompts = [
            prompt(Tier::Ultra, long),
            prompt(Tier::Fast, long),
            prompt(Tier::Quality, long),
        ];
        PromptSet::new(prompts, Policy::default()).unwrap()
    }

    #[test]
    fn a_prompt_gets_the_passages_of_its_incident() {
        let handbook = Handbook::new(&PAGES).unwrap();
        let set = prompts();
        let choice = set.select(&Context::default());
        for (what, told, not_told) in [
            (
                "A person in the pen at night",
                "reported to the guard",
                "valve",
            ),
            (
                "Too many animals at the trough, crowding",
                "Check the valve",
                "guard",
            ),
        ] {
            let text = handbook.render(&choice, &[("what", what)]).unwrap();
            let (advice, rest) = text.split_once("\n\n").unwrap();
            assert!(advice.contains(told), "{text}");
            assert!(!advice.lines().nth(1).unwrap().contains(not_told), "{text}");
            assert_eq!(rest, format!("Incident: {what}\nWhat to do:"));
        }
    }

    #[test]
    fn a_prompt_whose_query_is_missing_is_refused() {
        let handbook = Handbook::new(&PAGES).unwrap();
        let set = prompts();
        let choice = set.select(&Context::default());
        let error = handbook.render(&choice, &[]).unwrap_err();
        assert!(error.to_string().contains("`what`"), "{error}");
    }
}
