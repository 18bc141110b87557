//! The prompts that are tried: instruction x frame x cue x demonstrations.
//!
//! Nothing here needs a strong model. A plan is one choice in each dimension; the search learns which
//! choices do well. Every plan is rendered to a template once, and that template is what is scored,
//! exported and rendered at run time.

use rand::{RngExt, rngs::ChaCha8Rng};

use super::data::Example;
use super::demos::{Pick, pick};
use super::signature::Signature;
use super::words::readable;
use crate::error::Result;
use crate::model::LanguageModel;
use crate::template::Template;

/// Number of dimensions of a [`Plan`].
pub(crate) const DIMENSIONS: usize = 4;

/// One choice a dimension: instruction, frame, cue, demonstrations.
pub(crate) type Plan = [usize; DIMENSIONS];

/// What stands between the prompt and a label's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Glue {
    /// A space: the prompt ends with a word or a colon.
    Space,
    /// Nothing: the prompt ends with the mark of the model's turn.
    Nothing,
}

impl Glue {
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Space => " ",
            Self::Nothing => "",
        }
    }
}

/// A rendered plan.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) template: String,
    pub(crate) glue: Glue,
    pub(crate) about: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Frame {
    /// `Text: ...`, line, cue.
    Titled,
    /// The text, line, cue.
    Bare,
    /// The text in quotes, cue on the same line.
    Quoted,
    /// The text, a rule, cue.
    Ruled,
    /// One user turn, the cue at its end; the answer is the model's turn.
    Chat,
    /// One user turn with the text alone; the cue opens the model's turn.
    ChatCue,
}

impl Frame {
    const ALL: [Self; 6] = [
        Self::Titled,
        Self::Bare,
        Self::Quoted,
        Self::Ruled,
        Self::Chat,
        Self::ChatCue,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Titled => "titled",
            Self::Bare => "bare",
            Self::Quoted => "quoted",
            Self::Ruled => "ruled",
            Self::Chat => "chat",
            Self::ChatCue => "chat, cue in the answer",
        }
    }
}

/// The alternatives of each dimension for one task.
pub(crate) struct Space<'a> {
    model: &'a dyn LanguageModel,
    signature: &'a Signature,
    train: &'a [Example],
    input_chars: usize,
    instructions: Vec<String>,
    cues: Vec<String>,
    demos: Vec<(String, Vec<usize>)>,
}

impl<'a> Space<'a> {
    pub(crate) fn new(
        model: &'a dyn LanguageModel,
        signature: &'a Signature,
        labels: &[String],
        train: &'a [Example],
        input_chars: usize,
        seed: u64,
    ) -> Self {
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
        let title = signature.output().title();
        let mut cues: Vec<String> = vec![format!("{title}:")];
        for cue in [
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
        ] {
            if !cues.iter().any(|held| held == cue) {
                cues.push(cue.to_owned());
            }
        }
        let mut demos = vec![("none".to_owned(), Vec::new())];
        for count in [labels.len().clamp(2, 4), 2, 3, 5] {
            for way in Pick::ALL {
                for round in 0..2 {
                    let chosen = pick(train, count, way, seed ^ (round * 7919 + count as u64));
                    if chosen.len() == count && !demos.iter().any(|(_, held)| *held == chosen) {
                        demos.push((format!("{count} {}", way.name()), chosen));
                    }
                }
            }
        }
        Self {
            model,
            signature,
            train,
            input_chars,
            instructions,
            cues,
            demos,
        }
    }

    /// Number of alternatives a dimension.
    pub(crate) fn sizes(&self) -> Plan {
        [
            self.instructions.len(),
            Frame::ALL.len(),
            self.cues.len(),
            self.demos.len(),
        ]
    }

    /// What a person writes first: say the labels, show the text, ask.
    pub(crate) fn naive(&self) -> Plan {
        [1, 0, 0, 0]
    }

    /// A uniform draw; two in three have no demonstrations, which short prompts cannot afford.
    pub(crate) fn draw(&self, random: &mut ChaCha8Rng) -> Plan {
        let sizes = self.sizes();
        let mut plan = sizes.map(|size| random.random_range(0..size));
        if random.random_range(0..3) > 0 {
            plan[3] = 0;
        }
        if random.random_range(0..3) == 0 {
            plan[0] = 0;
        }
        plan
    }

    pub(crate) fn draft(&self, plan: &Plan) -> Result<Draft> {
        let demos: Vec<&Example> = self.demos[plan[3]]
            .1
            .iter()
            .map(|at| &self.train[*at])
            .collect();
        let frame = Frame::ALL[plan[1]];
        let (instruction, cue) = (&self.instructions[plan[0]], &self.cues[plan[2]]);
        let about = format!(
            "{}; {}; {}; demonstrations: {}",
            if instruction.is_empty() {
                "no instruction"
            } else {
                instruction
            },
            frame.name(),
            cue,
            self.demos[plan[3]].0,
        );
        self.assemble(instruction, frame, cue, &demos, about)
    }

    /// A plan with another instruction.
    pub(crate) fn draft_with(&self, plan: &Plan, instruction: &str) -> Result<Draft> {
        let demos: Vec<&Example> = self.demos[plan[3]]
            .1
            .iter()
            .map(|at| &self.train[*at])
            .collect();
        let frame = Frame::ALL[plan[1]];
        let about = format!(
            "proposed: {instruction}; {}; {}",
            frame.name(),
            self.cues[plan[2]]
        );
        self.assemble(instruction, frame, &self.cues[plan[2]], &demos, about)
    }

    /// The naive prompt behind the given demonstrations.
    pub(crate) fn naive_with(&self, demos: &[usize]) -> Result<Draft> {
        let [instruction, frame, cue, _] = self.naive();
        let examples: Vec<&Example> = demos.iter().map(|at| &self.train[*at]).collect();
        let about = format!("naive with {} demonstrations", demos.len());
        let (instruction, cue) = (&self.instructions[instruction], &self.cues[cue]);
        self.assemble(instruction, Frame::ALL[frame], cue, &examples, about)
    }

    fn assemble(
        &self,
        instruction: &str,
        frame: Frame,
        cue: &str,
        demos: &[&Example],
        about: String,
    ) -> Result<Draft> {
        let mut body = String::new();
        if !instruction.is_empty() {
            body.push_str(&Template::escape(instruction));
            body.push_str(if demos.is_empty() { "\n" } else { "\n\n" });
        }
        for demo in demos {
            let values: Vec<String> = demo
                .inputs
                .iter()
                .map(|text| {
                    let cut: String = text.chars().take(self.input_chars).collect();
                    Template::escape(&cut)
                })
                .collect();
            body.push_str(&self.framed(frame, &Template::escape(cue), &values));
            body.push_str(&format!(
                " {}\n\n",
                Template::escape(&readable(&demo.answer))
            ));
        }
        let slots: Vec<String> = self
            .signature
            .inputs()
            .iter()
            .map(|field| format!("{{{}:{}}}", field.name(), self.input_chars))
            .collect();
        let cue = Template::escape(cue);
        let (template, glue) = match frame {
            Frame::Chat => {
                body.push_str(&self.framed(frame, &cue, &slots));
                (self.model.chat("", &body), Glue::Nothing)
            }
            Frame::ChatCue => {
                body.push_str(&self.shown(false, &slots));
                (format!("{}{cue}", self.model.chat("", &body)), Glue::Space)
            }
            _ => {
                body.push_str(&self.framed(frame, &cue, &slots));
                (body, Glue::Space)
            }
        };
        Ok(Draft {
            template,
            glue,
            about,
        })
    }

    fn framed(&self, frame: Frame, cue: &str, values: &[String]) -> String {
        match frame {
            Frame::Titled => format!("{}\n{cue}", self.shown(true, values)),
            Frame::Bare | Frame::Chat | Frame::ChatCue => {
                format!("{}\n{cue}", self.shown(false, values))
            }
            Frame::Quoted => format!("\"{}\" {cue}", self.shown(false, values)),
            Frame::Ruled => format!("{}\n---\n{cue}", self.shown(false, values)),
        }
    }

    /// The inputs, a line each; several inputs always have their names.
    fn shown(&self, titled: bool, values: &[String]) -> String {
        let fields = self.signature.inputs();
        let line = |(field, value): (&super::signature::Field, &String)| {
            if titled || fields.len() > 1 {
                format!("{}: {value}", field.title())
            } else {
                value.clone()
            }
        };
        fields
            .iter()
            .zip(values)
            .map(line)
            .collect::<Vec<_>>()
            .join("\n")
    }
}
