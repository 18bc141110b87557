//! Prompt text with named inputs. What is rendered here is byte for byte what was scored.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Longest template, in bytes.
pub const TEMPLATE_BYTES_MAX: usize = 64 * 1024;
/// Most places for inputs in one template.
pub const TEMPLATE_SLOTS_MAX: usize = 64;
/// Longest rendered prompt, in bytes.
pub const RENDERED_BYTES_MAX: usize = 1024 * 1024;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Slot {
        name: String,
        chars_max: Option<usize>,
    },
}

/// A parsed template: `{name}` is an input, `{name:400}` its first 400 characters, `{{` and `}}` are
/// braces, all else is text.
///
/// ```
/// use promptopt::Template;
/// let template = Template::parse("Readings: {text}\nFault:")?;
/// assert_eq!(template.render(&[("text", "0.1 0.9")])?, "Readings: 0.1 0.9\nFault:");
/// # Ok::<(), promptopt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    source: String,
    pieces: Vec<Piece>,
}

impl Template {
    /// Parses a template.
    ///
    /// # Errors
    /// [`Error::Template`] for a brace without its partner or an empty or odd name,
    /// [`Error::Limit`] over [`TEMPLATE_BYTES_MAX`] or [`TEMPLATE_SLOTS_MAX`].
    pub fn parse(source: &str) -> Result<Self> {
        if source.len() > TEMPLATE_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of the template in bytes",
                found: source.len(),
                limit: TEMPLATE_BYTES_MAX,
            });
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(found) = source[at..].find(['{', '}']) {
            let brace = at + found;
            literal.push_str(&source[at..brace]);
            let rest = &source[brace..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                literal.push_str(&rest[..1]);
                at = brace + 2;
                continue;
            }
            if rest.starts_with('}') {
                return Err(Error::Template {
                    at: brace,
                    cause: "`}` without `{`",
                });
            }
            let Some(end) = rest.find('}') else {
                return Err(Error::Template {
                    at: brace,
                    cause: "`{` without `}`",
                });
            };
            let (name, chars_max) = match rest[1..end].split_once(':') {
                None => (&rest[1..end], None),
                Some((name, limit)) => match limit.parse() {
                    Ok(limit) if limit > 0 => (name, Some(limit)),
                    _ => {
                        return Err(Error::Template {
                            at: brace,
                            cause: "behind `:` stands the most characters, 1 or more",
                        });
                    }
                },
            };
            let valid = !name.is_empty()
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            if !valid {
                return Err(Error::Template {
                    at: brace,
                    cause: "a name is made of letters, digits and `_`",
                });
            }
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(Piece::Slot {
                name: name.to_owned(),
                chars_max,
            });
            at = brace + end + 1;
        }
        literal.push_str(&source[at..]);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        let slots = pieces
            .iter()
            .filter(|piece| matches!(piece, Piece::Slot { .. }))
            .count();
        if slots > TEMPLATE_SLOTS_MAX {
            return Err(Error::Limit {
                what: "number of inputs in the template",
                found: slots,
                limit: TEMPLATE_SLOTS_MAX,
            });
        }
        Ok(Self {
            source: source.to_owned(),
            pieces,
        })
    }

    /// Writes text so that [`Template::parse`] reads it back as plain text.
    pub fn escape(text: &str) -> String {
        text.replace('{', "{{").replace('}', "}}")
    }

    /// The template as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names of the inputs, sorted, each once.
    pub fn inputs(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self
            .pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Slot { name, .. } => Some(name.as_str()),
                Piece::Literal(_) => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The text without any input: what the prompt costs before the inputs come.
    pub fn literal_text(&self) -> String {
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Literal(text) => Some(text.as_str()),
                Piece::Slot { .. } => None,
            })
            .collect()
    }

    /// The text before the first input: what every rendering starts with.
    pub fn fixed_prefix(&self) -> &str {
        match self.pieces.first() {
            Some(Piece::Literal(text)) => text,
            _ => "",
        }
    }

    /// The prompt with `inputs` (name, value) put in place, values as they are.
    ///
    /// # Errors
    /// [`Error::MissingInput`], or [`Error::Limit`] over [`RENDERED_BYTES_MAX`].
    pub fn render(&self, inputs: &[(&str, &str)]) -> Result<String> {
        let mut out = String::new();
        self.render_into(inputs, &mut out)?;
        Ok(out)
    }

    /// As [`Template::render`], appending to a buffer that the caller keeps.
    ///
    /// # Errors
    /// As [`Template::render`]; `out` is then as before.
    pub fn render_into(&self, inputs: &[(&str, &str)], out: &mut String) -> Result<()> {
        let start = out.len();
        for piece in &self.pieces {
            let text = match piece {
                Piece::Literal(text) => text.as_str(),
                Piece::Slot { name, chars_max } => {
                    match inputs.iter().find(|(given, _)| given == name) {
                        Some((_, value)) => first_chars(value, *chars_max),
                        None => {
                            out.truncate(start);
                            return Err(Error::MissingInput { name: name.clone() });
                        }
                    }
                }
            };
            let found = out.len() - start + text.len();
            if found > RENDERED_BYTES_MAX {
                out.truncate(start);
                return Err(Error::Limit {
                    what: "length of the rendered prompt in bytes",
                    found,
                    limit: RENDERED_BYTES_MAX,
                });
            }
            out.push_str(text);
        }
        Ok(())
    }
}

fn first_chars(value: &str, limit: Option<usize>) -> &str {
    let end = limit.and_then(|limit| value.char_indices().nth(limit));
    end.map_or(value, |(at, _)| &value[..at])
}

impl TryFrom<String> for Template {
    type Error = Error;

    fn try_from(source: String) -> Result<Self> {
        Self::parse(&source)
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.source
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn escaped_text_renders_as_itself(text in ".{0,200}", value in ".{0,50}") {
            let template = Template::parse(&format!("{}{{x}}", Template::escape(&text))).unwrap();
            prop_assert_eq!(template.render(&[("x", &value)]).unwrap(), format!("{text}{value}"));
        }

        #[test]
        fn any_text_parses_or_says_where(text in "[a{} ]{0,40}") {
            match Template::parse(&text) {
                Ok(template) => prop_assert_eq!(template.source(), text),
                Err(Error::Template { at, .. }) => prop_assert!(at < text.len()),
                Err(other) => prop_assert!(false, "{}", other),
            }
        }
    }

    #[test]
    fn a_value_with_braces_is_put_in_as_it_is() {
        let template = Template::parse("a {x} {{b}}").unwrap();
        assert_eq!(template.render(&[("x", "{y}")]).unwrap(), "a {y} {b}");
        assert_eq!(template.inputs(), ["x"]);
        assert_eq!(template.fixed_prefix(), "a ");
    }

    #[test]
    fn a_long_value_is_cut_where_the_template_says() {
        let template = Template::parse("{x:3}|{x}").unwrap();
        assert_eq!(
            template.render(&[("x", "\u{e9}\u{e8}abc")]).unwrap(),
            "\u{e9}\u{e8}a|\u{e9}\u{e8}abc"
        );
        assert_eq!(template.render(&[("x", "ab")]).unwrap(), "ab|ab");
        for wrong in ["{x:}", "{x:0}", "{x:a}", "{x:-1}", "{:3}"] {
            assert!(Template::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_missing_input_leaves_the_buffer_as_it_was() {
        let template = Template::parse("a {x}").unwrap();
        let mut out = "kept".to_owned();
        assert!(template.render_into(&[], &mut out).is_err());
        assert_eq!(out, "kept");
    }
}
