//! `SELECT … FROM source MATCH_RECOGNIZE (…)`, read with `sqlparser`'s tokens and expressions; the clauses and the
//! pattern are read here, since that crate knows neither `SUBSET`, `WITHIN` nor reluctant quantifiers.

mod navigation;
mod pattern;
mod value;

use std::time::Duration;

use sqlparser::ast::{OrderByExpr, SelectItem};
use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

use crate::error::{Error, Result};
use crate::expression::Term;
use crate::language::TEXT_BYTES_MAX;
use crate::recognize::{RecognizeRule, Regex, RowsPerMatch, Skip, Variable};

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

/// Whether a statement is a row pattern: the word stands outside of quotes and comments.
pub(crate) fn is_row_pattern(text: &str) -> bool {
    let upper = text.to_ascii_uppercase();
    if !upper.contains("MATCH_RECOGNIZE") {
        return false;
    }
    let tokens = Tokenizer::new(&GenericDialect {}, text).tokenize();
    tokens.is_ok_and(|tokens| {
        tokens.iter().any(|token| {
            matches!(token, Token::Word(word) if word.quote_style.is_none()
                && word.value.eq_ignore_ascii_case("MATCH_RECOGNIZE"))
        })
    })
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
    let text = with_end_signs(text);
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
        .with_tokens_with_locations(joined(tokens));
    let read = statement(&mut parser, name);
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

/// Stands for `$`, which tokens of SQL take for a part of a name or the begin of a quote. Of one character as well, so
/// that places of errors stay.
const END_SIGN: char = '\u{e000}';

/// The text with [`END_SIGN`] for each `$` outside of quotes.
fn with_end_signs(text: &str) -> String {
    let mut quote = None;
    let sign = |c: char| {
        match quote {
            None if matches!(c, '\'' | '"' | '`') => quote = Some(c),
            None if c == '$' => return END_SIGN,
            Some(open) if open == c => quote = None,
            _ => {}
        }
        c
    };
    text.chars().map(sign).collect()
}

/// Makes `FINAL LAST(` one name, since the parser of expressions does not know it.
fn joined(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
    let mut found: Vec<TokenWithSpan> = Vec::with_capacity(tokens.len());
    let mut prefix: Option<TokenWithSpan> = None;
    for token in tokens {
        if matches!(token.token, Token::Whitespace(_)) {
            continue;
        }
        if let Some(before) = prefix.take() {
            match (&before.token, &token.token) {
                (Token::Word(first), Token::Word(second)) => {
                    let name = format!("{}_{}", first.value.to_uppercase(), second.value);
                    let word = Word {
                        value: name,
                        quote_style: None,
                        keyword: Keyword::NoKeyword,
                    };
                    found.push(TokenWithSpan {
                        token: Token::Word(word),
                        span: token.span,
                    });
                    continue;
                }
                _ => found.push(before),
            }
        }
        let is_prefix = matches!(&token.token, Token::Word(word) if word.quote_style.is_none()
            && ["FINAL", "RUNNING"].iter().any(|prefix| word.value.eq_ignore_ascii_case(prefix)));
        if is_prefix {
            prefix = Some(token);
        } else {
            found.push(token);
        }
    }
    found.extend(prefix);
    found
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

fn statement(parser: &mut Parser<'_>, name: &str) -> Read<RecognizeRule> {
    need(parser, &["SELECT"])?;
    let projection = parser.parse_comma_separated(Parser::parse_select_item)?;
    need(parser, &["FROM"])?;
    let source = parser.parse_identifier()?.value;
    need(parser, &["MATCH_RECOGNIZE"])?;
    parser.expect_token(&Token::LParen)?;
    let mut rule = RecognizeRule {
        name: name.to_owned(),
        source,
        partition: Vec::new(),
        variables: Vec::new(),
        regex: Regex::Empty,
        define: Vec::new(),
        measures: Vec::new(),
        select: None,
        filter: None,
        rows: RowsPerMatch::One,
        skip: Skip::PastLast,
        within: None,
    };
    if word(parser, "PARTITION") {
        need(parser, &["BY"])?;
        rule.partition = names(parser)?;
    }
    if word(parser, "ORDER") {
        need(parser, &["BY"])?;
        let order = parser.parse_comma_separated(Parser::parse_order_by_expr)?;
        let down = |by: &OrderByExpr| by.options.asc == Some(false);
        if order.iter().any(down) {
            return own("rows come in order of time, so that ORDER BY … DESC is refused");
        }
    }
    let mut measures = Vec::new();
    if word(parser, "MEASURES") {
        loop {
            let value = parser.parse_expr()?;
            need(parser, &["AS"])?;
            measures.push((value, parser.parse_identifier()?.value));
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    rule.rows = rows_per_match(parser)?;
    let skip = skip(parser)?;
    need(parser, &["PATTERN"])?;
    let mut known = Names::default();
    parser.expect_token(&Token::LParen)?;
    rule.regex = pattern::alternation(parser, &mut known, 0)?;
    parser.expect_token(&Token::RParen)?;
    if word(parser, "WITHIN") {
        rule.within = Some(interval(parser)?);
    }
    if word(parser, "SUBSET") {
        loop {
            let subset = parser.parse_identifier()?.value;
            parser.expect_token(&Token::Eq)?;
            parser.expect_token(&Token::LParen)?;
            let mut members = Vec::new();
            for member in names(parser)? {
                members.extend(known.need(&member)?);
            }
            parser.expect_token(&Token::RParen)?;
            known.subsets.push((subset, members));
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    let unmatched = matches!(
        rule.rows,
        RowsPerMatch::All {
            unmatched: true,
            ..
        }
    );
    if unmatched && rule.regex.excludes() {
        return own(
            "WITH UNMATCHED ROWS is refused beside an exclusion {- … -}, as the standard has it",
        );
    }
    rule.define = vec![None; known.variables.len()];
    if word(parser, "DEFINE") {
        loop {
            let variable = parser.parse_identifier()?.value;
            need(parser, &["AS"])?;
            let condition = parser.parse_expr()?;
            let [place] = known.need(&variable)?[..] else {
                return own(format!(
                    "`{variable}` is a SUBSET, which has no condition of its own"
                ));
            };
            let place = usize::from(place);
            if rule.define[place].is_some() {
                return own(format!("`{variable}` is defined twice"));
            }
            rule.define[place] = Some(value::condition(&condition, &value::Scope::define(&known))?);
            if !parser.consume_token(&Token::Comma) {
                break;
            }
        }
    }
    parser.expect_token(&Token::RParen)?;
    let scope = value::Scope::measures(&known, rule.rows == RowsPerMatch::One);
    for (expression, name) in &measures {
        rule.measures
            .push((name.clone(), value::value(expression, &scope)?));
    }
    rule.skip = match skip {
        Some((true, variable)) => Skip::ToFirst(known.need(&variable)?),
        Some((false, variable)) if variable.is_empty() => Skip::ToNext,
        Some((false, variable)) => Skip::ToLast(known.need(&variable)?),
        None => Skip::PastLast,
    };
    let alias = alias(parser)?;
    if word(parser, "WHERE") {
        let condition = parser.parse_expr()?;
        rule.filter = Some(value::filter(&condition, alias.as_deref())?);
    }
    if word(parser, "ORDER") {
        need(parser, &["BY"])?;
        // A match is told when it is complete: there is no end at which all could be put in order.
        parser.parse_comma_separated(Parser::parse_order_by_expr)?;
    }
    let next = parser.peek_token().token.to_string().to_uppercase();
    if REFUSED_BEHIND.contains(&next.as_str()) {
        return own(format!(
            "{next} behind MATCH_RECOGNIZE is refused; make it another rule"
        ));
    }
    let _ = parser.consume_token(&Token::SemiColon);
    if parser.peek_token().token != Token::EOF {
        let found = parser.peek_token().token;
        return own(format!("the end is expected here, not {found}"));
    }
    rule.select = select(&projection, alias.as_deref())?;
    rule.variables = known.variables;
    Ok(rule)
}

/// What may not stand behind `MATCH_RECOGNIZE`.
const REFUSED_BEHIND: [&str; 6] = ["GROUP", "JOIN", "HAVING", "LIMIT", "UNION", "FETCH"];

/// The name of what is found.
fn alias(parser: &mut Parser<'_>) -> Read<Option<String>> {
    if !word(parser, "AS") {
        let next = parser.peek_token().token;
        let known = ["WHERE", "ORDER"].into_iter().chain(REFUSED_BEHIND);
        let is_clause = |word: &Word| {
            let mut known = known.clone();
            word.quote_style.is_none()
                && known.any(|clause| word.value.eq_ignore_ascii_case(clause))
        };
        if !matches!(&next, Token::Word(word) if !is_clause(word)) {
            return Ok(None);
        }
    }
    Ok(Some(parser.parse_identifier()?.value))
}

fn rows_per_match(parser: &mut Parser<'_>) -> Read<RowsPerMatch> {
    if word(parser, "ONE") {
        need(parser, &["ROW", "PER", "MATCH"])?;
        return Ok(RowsPerMatch::One);
    }
    if !word(parser, "ALL") {
        return Ok(RowsPerMatch::One);
    }
    need(parser, &["ROWS", "PER", "MATCH"])?;
    let (mut empty, mut unmatched) = (true, false);
    if word(parser, "SHOW") {
        need(parser, &["EMPTY", "MATCHES"])?;
    } else if word(parser, "OMIT") {
        need(parser, &["EMPTY", "MATCHES"])?;
        empty = false;
    } else if word(parser, "WITH") {
        need(parser, &["UNMATCHED", "ROWS"])?;
        unmatched = true;
    }
    Ok(RowsPerMatch::All { empty, unmatched })
}

/// Whether to the first, and of which variable; to the next row without a variable.
fn skip(parser: &mut Parser<'_>) -> Read<Option<(bool, String)>> {
    if !word(parser, "AFTER") {
        return Ok(None);
    }
    need(parser, &["MATCH", "SKIP"])?;
    if word(parser, "PAST") {
        need(parser, &["LAST", "ROW"])?;
        return Ok(None);
    }
    need(parser, &["TO"])?;
    if word(parser, "NEXT") {
        need(parser, &["ROW"])?;
        return Ok(Some((false, String::new())));
    }
    let first = word(parser, "FIRST");
    if !first {
        let _ = word(parser, "LAST");
    }
    Ok(Some((first, parser.parse_identifier()?.value)))
}

/// `INTERVAL '10' SECOND`.
fn interval(parser: &mut Parser<'_>) -> Read<Duration> {
    need(parser, &["INTERVAL"])?;
    let count = match parser.next_token().token {
        Token::SingleQuotedString(text) | Token::Number(text, _) => text.trim().parse::<f64>(),
        found => return own(format!("a number in quotes is expected here, not {found}")),
    };
    let unit = parser.next_token().token.to_string().to_uppercase();
    let seconds = match unit.trim_end_matches('S') {
        "MILLISECOND" => 0.001,
        "SECOND" => 1.0,
        "MINUTE" => 60.0,
        "HOUR" => 3600.0,
        "DAY" => 86_400.0,
        _ => {
            return own(format!(
                "SECOND, MINUTE, HOUR or DAY is expected here, not {unit}"
            ));
        }
    };
    let time = count
        .ok()
        .map(|count| Duration::try_from_secs_f64(count * seconds));
    match time {
        Some(Ok(time)) if !time.is_zero() => Ok(time),
        _ => own("a time is more than zero and not beyond all bounds"),
    }
}

/// Names and values.
type Columns = Vec<(String, Term<String>)>;

/// What is told; none for `*` alone.
fn select(items: &[SelectItem], alias: Option<&str>) -> Read<Option<Columns>> {
    let mut found = Vec::new();
    for item in items {
        match item {
            SelectItem::Wildcard(_) | SelectItem::QualifiedWildcard(..) if items.len() == 1 => {
                return Ok(None);
            }
            SelectItem::UnnamedExpr(expression) => {
                let value = value::column(expression, alias)?;
                let name = match &value {
                    Term::Leaf(name) => name.clone(),
                    _ => format!("value{}", found.len() + 1),
                };
                found.push((name, value));
            }
            SelectItem::ExprWithAlias { expr, alias: name } => {
                found.push((name.value.clone(), value::column(expr, alias)?));
            }
            other => return own(format!("`{other}` beside other columns is refused")),
        }
    }
    Ok(Some(found))
}
