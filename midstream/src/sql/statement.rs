//! The clauses of a statement, in their order.

use std::time::Duration;

use sqlparser::ast::{OrderByExpr, SelectItem};
use sqlparser::parser::Parser;
use sqlparser::tokenizer::{Token, Word};

use super::{Names, Read, names, need, own, pattern, value, word};
use crate::expression::Term;
use crate::recognize::{RecognizeRule, Regex, RowsPerMatch, Skip};

pub(super) fn statement(parser: &mut Parser<'_>, name: &str) -> Read<RecognizeRule> {
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
