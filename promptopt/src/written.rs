//! Answers that the model writes: in its own words, or after thinking in words.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most tokens of a thought or an answer.
pub const WRITTEN_TOKENS_MAX: usize = 4096;
/// Most texts that end an answer.
pub const STOPS_MAX: usize = 8;
/// Longest text that ends an answer or stands behind a thought, in bytes.
const MARK_BYTES_MAX: usize = 1024;

/// What is taken from the text that the model writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// All of it, without the space around.
    Text,
    /// The first number, such as `-1.5` in `about -1.5 bar`.
    Number,
    /// The first JSON object.
    Object,
}

/// An answer in the model's own words, always the likeliest ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WrittenFile", into = "WrittenFile")]
pub struct Written {
    form: Form,
    tokens_max: usize,
    stop: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenFile {
    form: Form,
    tokens_max: usize,
    stop: Vec<String>,
}

impl Written {
    /// An answer of at most `tokens_max` tokens that ends before any text of `stop`.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for no token or an empty text, [`Error::Limit`] over [`WRITTEN_TOKENS_MAX`] or
    /// [`STOPS_MAX`], or for a text of more than 1,024 bytes.
    pub fn new(form: Form, tokens_max: usize, stop: Vec<String>) -> Result<Self> {
        check_tokens(tokens_max)?;
        if stop.len() > STOPS_MAX {
            return Err(Error::Limit {
                what: "number of texts that end an answer",
                found: stop.len(),
                limit: STOPS_MAX,
            });
        }
        stop.iter().try_for_each(|text| check_mark(text))?;
        Ok(Self {
            form,
            tokens_max,
            stop,
        })
    }

    /// What is taken from the text.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Most tokens of the text.
    pub fn tokens_max(&self) -> usize {
        self.tokens_max
    }

    /// Texts that end it.
    pub fn stop(&self) -> &[String] {
        &self.stop
    }

    /// The answer in what the model wrote; `None` where it holds no number or no object, as asked for.
    /// Linear in the text's length; allocates nothing.
    ///
    /// ```
    /// use promptopt::{Form, Written};
    /// let written = Written::new(Form::Number, 8, vec!["\n".to_owned()])?;
    /// assert_eq!(written.read(" about -1.5 bar"), Some("-1.5"));
    /// assert_eq!(written.read("none"), None);
    /// # Ok::<(), promptopt::Error>(())
    /// ```
    pub fn read<'a>(&self, text: &'a str) -> Option<&'a str> {
        match self.form {
            Form::Text => Some(text.trim()),
            Form::Number => first_number(text),
            Form::Object => first_object(text),
        }
    }
}

/// Words that the model writes for itself before it answers (chain of thought; Wei et al., 2022). The
/// rendered prompt ends where the thought starts; the answer follows `prompt + thought + then`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "ThoughtFile", into = "ThoughtFile")]
pub struct Thought {
    tokens_max: usize,
    then: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ThoughtFile {
    tokens_max: usize,
    then: String,
}

impl Thought {
    /// A thought of one line and at most `tokens_max` tokens, with `then` behind it.
    ///
    /// # Errors
    /// As [`Written::new`].
    pub fn new(tokens_max: usize, then: &str) -> Result<Self> {
        check_tokens(tokens_max)?;
        check_mark(then)?;
        Ok(Self {
            tokens_max,
            then: then.to_owned(),
        })
    }

    /// Most tokens of the thought.
    pub fn tokens_max(&self) -> usize {
        self.tokens_max
    }

    /// What stands between the thought and the answer.
    pub fn then(&self) -> &str {
        &self.then
    }

    /// The whole text that the answer follows. A thought that was cut for its length is closed the same
    /// way, so a model that never comes to an end still answers.
    pub fn closed(&self, prompt: &str, thought: &str) -> String {
        let line = thought.lines().next().unwrap_or("").trim_end();
        format!("{prompt}{line}{}", self.then)
    }
}

fn check_tokens(found: usize) -> Result<()> {
    if found == 0 {
        return Err(Error::OutOfRange {
            what: "most tokens of an answer or a thought",
            found: 0.0,
            expected: "1 or more",
        });
    }
    if found > WRITTEN_TOKENS_MAX {
        return Err(Error::Limit {
            what: "most tokens of an answer or a thought",
            found,
            limit: WRITTEN_TOKENS_MAX,
        });
    }
    Ok(())
}

fn check_mark(text: &str) -> Result<()> {
    if text.is_empty() {
        return Err(Error::OutOfRange {
            what: "length of a text that ends an answer or stands behind a thought",
            found: 0.0,
            expected: "1 byte or more",
        });
    }
    if text.len() > MARK_BYTES_MAX {
        return Err(Error::Limit {
            what: "length in bytes of a text that ends an answer or stands behind a thought",
            found: text.len(),
            limit: MARK_BYTES_MAX,
        });
    }
    Ok(())
}

/// The first run of digits, with a sign before it and one decimal point in or before it.
fn first_number(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    let digits = |from: usize| {
        let count = bytes[from..].iter().take_while(|b| b.is_ascii_digit());
        from + count.count()
    };
    let first = bytes.iter().position(u8::is_ascii_digit)?;
    let pointed = first > 0 && bytes[first - 1] == b'.';
    let mut start = first - usize::from(pointed);
    if start > 0 && bytes[start - 1] == b'-' {
        start -= 1;
    }
    let mut end = digits(first);
    if !pointed && bytes.get(end) == Some(&b'.') && digits(end + 1) > end + 1 {
        end = digits(end + 1);
    }
    text.get(start..end)
}

/// From the first `{` to the `}` that closes it, strings with braces in them respected.
fn first_object(text: &str) -> Option<&str> {
    let start = text.find('{')?;
    let (mut depth, mut quoted, mut escaped) = (0usize, false, false);
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match (quoted, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => quoted = !quoted,
            (false, b'{') => depth += 1,
            (false, b'}') => {
                depth -= 1;
                if depth == 0 {
                    return text.get(start..=at);
                }
            }
            _ => {}
        }
    }
    None
}

impl TryFrom<WrittenFile> for Written {
    type Error = Error;

    fn try_from(file: WrittenFile) -> Result<Self> {
        Self::new(file.form, file.tokens_max, file.stop)
    }
}

impl From<Written> for WrittenFile {
    fn from(written: Written) -> Self {
        Self {
            form: written.form,
            tokens_max: written.tokens_max,
            stop: written.stop,
        }
    }
}

impl TryFrom<ThoughtFile> for Thought {
    type Error = Error;

    fn try_from(file: ThoughtFile) -> Result<Self> {
        Self::new(file.tokens_max, &file.then)
    }
}

impl From<Thought> for ThoughtFile {
    fn from(thought: Thought) -> Self {
        Self {
            tokens_max: thought.tokens_max,
            then: thought.then,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(form: Form) -> Written {
        Written::new(form, 8, vec!["\n".to_owned()]).unwrap()
    }

    proptest! {
        #[test]
        fn what_is_read_is_a_part_of_the_text_and_of_the_form(text in "[ a0-9.{}\"\\\\\u{e9}-]{0,30}") {
            if let Some(number) = written(Form::Number).read(&text) {
                prop_assert!(text.contains(number));
                prop_assert!(number.parse::<f64>().is_ok(), "{:?}", number);
            } else {
                prop_assert!(!text.bytes().any(|byte| byte.is_ascii_digit()));
            }
            if let Some(object) = written(Form::Object).read(&text) {
                let whole = object.starts_with('{') && object.ends_with('}');
                prop_assert!(whole, "{:?}", object);
            }
        }
    }

    #[test]
    fn numbers_and_objects_are_found_among_words() {
        for (text, number) in [
            ("12", Some("12")),
            (" It is 3.5.", Some("3.5")),
            ("-.5 bar", Some("-.5")),
            ("1.2.3", Some("1.2")),
            ("a-7", Some("-7")),
            ("none.", None),
        ] {
            assert_eq!(written(Form::Number).read(text), number, "{text}");
        }
        for (text, object) in [
            (
                "so {\"a\": {\"b\": \"}\"}} end }",
                Some("{\"a\": {\"b\": \"}\"}}"),
            ),
            ("{\"a\": \"\\\"}\"}", Some("{\"a\": \"\\\"}\"}")),
            ("{ \"a\": 1", None),
            ("a } b", None),
        ] {
            assert_eq!(written(Form::Object).read(text), object, "{text}");
        }
        assert_eq!(written(Form::Text).read(" a b \n"), Some("a b"));
    }

    #[test]
    fn a_thought_is_closed_in_one_line() {
        let thought = Thought::new(12, "\nLabel:").unwrap();
        assert_eq!(
            thought.closed("p: ", "so it is \nmore"),
            "p: so it is\nLabel:"
        );
        assert_eq!(thought.closed("p:", ""), "p:\nLabel:");
    }

    #[test]
    fn what_cannot_be_written_is_refused() {
        assert!(Written::new(Form::Text, 0, Vec::new()).is_err());
        assert!(Written::new(Form::Text, WRITTEN_TOKENS_MAX + 1, Vec::new()).is_err());
        assert!(Written::new(Form::Text, 1, vec![String::new()]).is_err());
        assert!(Written::new(Form::Text, 1, vec!["a".to_owned(); STOPS_MAX + 1]).is_err());
        assert!(Thought::new(4, "").is_err());
        assert!(Thought::new(4, &"a".repeat(MARK_BYTES_MAX + 1)).is_err());
        assert!(serde_json::from_str::<Thought>("{\"tokens_max\":0,\"then\":\"x\"}").is_err());
    }
}
