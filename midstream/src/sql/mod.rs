//! `SELECT … FROM source MATCH_RECOGNIZE (…)`, read with `sqlparser`'s tokens and expressions; the clauses and the
//! pattern are read here, since that crate knows neither `SUBSET`, `WITHIN` nor reluctant quantifiers.

mod navigation;
mod pattern;
mod statement;
mod tokens;
mod value;

use sqlparser::dialect::GenericDialect;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, Tokenizer};

use crate::error::{Error, Result};
use crate::language::TEXT_BYTES_MAX;
use crate::recognize::{RecognizeRule, Variable};

pub(crate) use tokens::is_row_pattern;

/// What can go wrong in between: the parser's errors, and ours.
enum Wrong {
    Parser(ParserError),
    Own(String),
    Typed(Error),
}

impl From<ParserError> for Wrong {
    fn from(error: ParserError) -> Self {
        Self::Parser(error)
    }
}

impl From<Error> for Wrong {
    fn from(error: Error) -> Self {
        Self::Typed(error)
    }
}

type Read<T> = std::result::Result<T, Wrong>;

fn own<T>(cause: impl Into<String>) -> Read<T> {
    Err(Wrong::Own(cause.into()))
}

/// Reads a `SELECT` over `MATCH_RECOGNIZE` as a rule of this name. What is refused is told by name; `SQL.md` lists
/// it.
///
/// ```
/// use midstream::{Engine, FieldType, Schema, Timestamp, parse_sql};
///
/// let rule = parse_sql(
///     "SELECT * FROM ticks MATCH_RECOGNIZE (
///        PARTITION BY symbol ORDER BY at
///        MEASURES FIRST(down.price) AS top, LAST(down.price) AS bottom
///        PATTERN (down{2,} up) DEFINE down AS price < PREV(price), up AS price > PREV(price))",
///     "dip",
/// )?;
/// let ticks = Schema::new("ticks").field("symbol", FieldType::Text).field("price", FieldType::Float);
/// let mut engine = Engine::builder().source(ticks.clone()).rule(rule).build()?;
/// let mut found = Vec::new();
/// for (n, price) in [5.0, 4.0, 3.0, 6.0].into_iter().enumerate() {
///     let at = Timestamp::from_millis(n as i64);
///     let fields = [("symbol", "a".into()), ("price", price.into())];
///     found.extend(engine.push(ticks.event(&n.to_string(), at, &fields)?)?);
/// }
/// assert_eq!(found.len(), 1);
/// # Ok::<(), midstream::Error>(())
/// ```
///
/// # Errors
/// [`Error::Syntax`] with line and column.
pub fn parse_sql(text: &str, name: &str) -> Result<RecognizeRule> {
    parse_at(text, name, (1, 1))
}

/// As [`parse_sql`], for a text that begins at a line and column of another.
pub(crate) fn parse_at(text: &str, name: &str, from: (usize, usize)) -> Result<RecognizeRule> {
    let place = |line: u64, column: u64| {
        let (line, column) = (line.max(1) as usize, column.max(1) as usize);
        match line {
            1 => (from.0, from.1 + column - 1),
            _ => (from.0 + line - 1, column),
        }
    };
    let syntax = |(line, column): (usize, usize), cause: String| Error::Syntax {
        line,
        column,
        cause,
    };
    if text.len() > TEXT_BYTES_MAX {
        let cause = format!("{} bytes, at most {TEXT_BYTES_MAX} are read", text.len());
        return Err(syntax(from, cause));
    }
    let dialect = GenericDialect {};
    let text = tokens::with_end_signs(text);
    let tokens = Tokenizer::new(&dialect, &text)
        .tokenize_with_location()
        .map_err(|error| {
            syntax(
                place(error.location.line, error.location.column),
                error.message,
            )
        })?;
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(crate::language::DEPTH_MAX)
        .with_tokens_with_locations(tokens::joined(tokens));
    let read = statement::statement(&mut parser, name);
    let at = parser.peek_token().span.start;
    read.map_err(|wrong| match wrong {
        Wrong::Typed(error) => error,
        Wrong::Own(cause) => syntax(place(at.line, at.column), cause),
        Wrong::Parser(error) => {
            let cause = match error {
                ParserError::TokenizerError(cause) | ParserError::ParserError(cause) => cause,
                ParserError::RecursionLimitExceeded => "this nests too deep".to_owned(),
            };
            match cause.split_once(" at Line: ") {
                Some((cause, tail)) => {
                    let mut numbers = tail.split(", Column: ").map(|number| number.trim().parse());
                    let line = numbers
                        .next()
                        .and_then(std::result::Result::ok)
                        .unwrap_or(at.line);
                    let column = numbers.next().and_then(std::result::Result::ok);
                    syntax(place(line, column.unwrap_or(at.column)), cause.to_owned())
                }
                None => syntax(place(at.line, at.column), cause),
            }
        }
    })
}

/// The variables of a pattern and the names that stand for several.
#[derive(Default)]
struct Names {
    variables: Vec<String>,
    subsets: Vec<(String, Vec<Variable>)>,
}

impl Names {
    /// The variables that a name stands for.
    fn find(&self, name: &str) -> Option<Vec<Variable>> {
        let same = |known: &String| known.eq_ignore_ascii_case(name);
        if let Some(place) = self.variables.iter().position(same) {
            return Some(vec![place as Variable]);
        }
        let subset = self.subsets.iter().find(|(known, _)| same(known));
        subset.map(|(_, variables)| variables.clone())
    }

    fn need(&self, name: &str) -> Read<Vec<Variable>> {
        match self.find(name) {
            Some(found) => Ok(found),
            None => own(format!(
                "no variable `{name}` is in the pattern; there are {}",
                self.variables.join(", ")
            )),
        }
    }
}

/// The next word, whatever it is, if it is this one.
fn word(parser: &mut Parser<'_>, wanted: &str) -> bool {
    let is = matches!(parser.peek_token().token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(wanted));
    if is {
        parser.next_token();
    }
    is
}

fn need(parser: &mut Parser<'_>, wanted: &[&str]) -> Read<()> {
    for wanted in wanted {
        if !word(parser, wanted) {
            let found = parser.peek_token().token;
            return own(format!("{wanted} is expected here, not {found}"));
        }
    }
    Ok(())
}

fn names(parser: &mut Parser<'_>) -> Read<Vec<String>> {
    let mut found = vec![parser.parse_identifier()?.value];
    while parser.consume_token(&Token::Comma) {
        found.push(parser.parse_identifier()?.value);
    }
    Ok(found)
}
