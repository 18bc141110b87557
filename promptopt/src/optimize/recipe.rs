//! What a prompt is made of, and the template that it becomes.

use super::data::Example;
use super::signature::{Field, Kind, Signature};
use super::words::readable;
use crate::error::Result;
use crate::model::LanguageModel;
use crate::template::Template;
use crate::written::Thought;

/// What stands between the prompt and the answer.
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
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
    pub(crate) const ALL: [Self; 6] = [
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

/// A thought before the answer: what opens it, and its most tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Thinking {
    pub(crate) lead: &'static str,
    pub(crate) tokens_max: usize,
}

impl Thinking {
    /// None, short, full.
    pub(crate) const ALL: [Option<Self>; 3] = [
        None,
        Some(Self {
            lead: "In short,",
            tokens_max: 12,
        }),
        Some(Self {
            lead: "Let's think step by step.",
            tokens_max: 40,
        }),
    ];
}

/// The parts of a prompt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recipe {
    pub(crate) instruction: String,
    pub(crate) frame: Frame,
    pub(crate) cue: String,
    /// Positions in the training split, in the order that they are shown.
    pub(crate) demos: Vec<usize>,
    /// How they were chosen, in words.
    pub(crate) demos_about: String,
    pub(crate) thinking: Option<Thinking>,
}

impl Recipe {
    /// In words, for reports.
    pub(crate) fn about(&self) -> String {
        let thought = self.thinking.map_or_else(String::new, |thinking| {
            format!(
                "; thought: `{}`, at most {} tokens",
                thinking.lead, thinking.tokens_max
            )
        });
        let instruction = match self.instruction.as_str() {
            "" => "no instruction",
            text => text,
        };
        format!(
            "{instruction}; {}; {}; demonstrations: {}{thought}",
            self.frame.name(),
            self.cue,
            self.demos_about
        )
    }
}

/// A recipe as a template, and what comes behind it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Draft {
    pub(crate) template: String,
    pub(crate) glue: Glue,
    pub(crate) thought: Option<Thought>,
}

/// What all templates of a task have in common.
pub(crate) struct Setting<'a> {
    pub(crate) model: &'a dyn LanguageModel,
    pub(crate) signature: &'a Signature,
    pub(crate) train: &'a [Example],
    pub(crate) input_chars: usize,
}

impl Setting<'_> {
    /// The template of a recipe.
    pub(crate) fn draft(&self, recipe: &Recipe) -> Result<Draft> {
        let frame = recipe.frame;
        let mut body = String::new();
        if !recipe.instruction.is_empty() {
            body.push_str(&Template::escape(&recipe.instruction));
            body.push_str(if recipe.demos.is_empty() {
                "\n"
            } else {
                "\n\n"
            });
        }
        let cue = Template::escape(&recipe.cue);
        for demo in recipe.demos.iter().map(|at| &self.train[*at]) {
            let values: Vec<String> = demo
                .inputs
                .iter()
                .map(|text| {
                    let cut: String = text.chars().take(self.input_chars).collect();
                    Template::escape(&cut)
                })
                .collect();
            body.push_str(&self.framed(frame, &cue, &values));
            let answer = Template::escape(&self.shown_answer(demo));
            body.push_str(&format!(" {answer}\n\n"));
        }
        let slots: Vec<String> = self
            .signature
            .inputs()
            .iter()
            .map(|field| format!("{{{}:{}}}", field.name(), self.input_chars))
            .collect();
        // A thought stands where the cue would; the cue comes behind it.
        let thought = recipe
            .thinking
            .map(|thinking| Thought::new(thinking.tokens_max, &format!("\n{}", recipe.cue)))
            .transpose()?;
        let end = recipe.thinking.map_or(cue.as_str(), |t| t.lead);
        let (template, glue) = match frame {
            Frame::Chat => {
                body.push_str(&self.framed(frame, end, &slots));
                (self.model.chat("", &body), Glue::Nothing)
            }
            Frame::ChatCue => {
                body.push_str(&self.shown(Titles::WhereNeeded, &slots));
                (format!("{}{end}", self.model.chat("", &body)), Glue::Space)
            }
            _ => {
                body.push_str(&self.framed(frame, end, &slots));
                (body, Glue::Space)
            }
        };
        let glue = if thought.is_some() { Glue::Space } else { glue };
        Ok(Draft {
            template,
            glue,
            thought,
        })
    }

    /// Labels are shown as a reader would write them, all else as it is.
    fn shown_answer(&self, example: &Example) -> String {
        match self.signature.output().kind() {
            Kind::Label | Kind::Bool => readable(&example.answer),
            Kind::Text | Kind::Float | Kind::Object => example.answer.clone(),
        }
    }

    fn framed(&self, frame: Frame, cue: &str, values: &[String]) -> String {
        match frame {
            Frame::Titled => format!("{}\n{cue}", self.shown(Titles::Always, values)),
            Frame::Bare | Frame::Chat | Frame::ChatCue => {
                format!("{}\n{cue}", self.shown(Titles::WhereNeeded, values))
            }
            Frame::Quoted => format!("\"{}\" {cue}", self.shown(Titles::WhereNeeded, values)),
            Frame::Ruled => format!("{}\n---\n{cue}", self.shown(Titles::WhereNeeded, values)),
        }
    }

    /// The inputs, a line each.
    fn shown(&self, titles: Titles, values: &[String]) -> String {
        let fields = self.signature.inputs();
        let line = |(field, value): (&Field, &String)| {
            if titles == Titles::Always || fields.len() > 1 {
                format!("{}: {value}", field.title())
            } else {
                value.clone()
            }
        };
        let lines: Vec<String> = fields.iter().zip(values).map(line).collect();
        lines.join("\n")
    }
}

/// Whether an input's name stands before it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Titles {
    Always,
    /// Where there are several inputs.
    WhereNeeded,
}
