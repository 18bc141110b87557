//! Conditions on payloads.

mod eval;
mod parse;

use crate::error::Result;

/// A condition on a hit's payload: `zone == 'barn-2' && age < 5`.
///
/// The language: fields by name, nested ones by a dotted path (`camera.lens`); numbers, `'text'` or
/// `"text"`, `true`, `false`, `null`; `== != < <= > >=`, `field in ['a', 'b']`, `exists(field)`; `!`, `&&`,
/// `||` and parentheses. Numbers order by value, texts by bytes; values of different types are never equal and
/// never ordered. A comparison with a field that the payload lacks is false, except `!=`, which is true.
///
/// ```
/// # fn main() -> ruvector::Result<()> {
/// let filter = ruvector::Filter::parse("zone in ['barn-1', 'barn-2'] && !(age >= 5)")?;
/// assert_eq!(filter.to_string(), "zone in ['barn-1', 'barn-2'] && !(age >= 5)");
/// assert!(ruvector::Filter::parse("age <").is_err());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    text: Box<str>,
    root: Node,
}

/// Most bytes of a filter's text.
pub const FILTER_BYTES_MAX: usize = 64 << 10;
/// Deepest nesting of a filter.
pub const FILTER_DEPTH_MAX: usize = 64;

impl Filter {
    /// Reads a condition.
    ///
    /// # Errors
    /// [`Error::Filter`](crate::Error::Filter) with the column where the text stops making sense, also when it
    /// is longer than [`FILTER_BYTES_MAX`] or nested deeper than [`FILTER_DEPTH_MAX`].
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self {
            text: text.into(),
            root: parse::parse(text)?,
        })
    }
}

impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Compare(Box<str>, Op, Literal),
    In(Box<str>, Vec<Literal>),
    Exists(Box<str>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
}

#[derive(Debug, Clone, PartialEq)]
enum Literal {
    Null,
    Bool(bool),
    Number(f64),
    Text(Box<str>),
}
