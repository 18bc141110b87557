//! The pattern between `PATTERN (` and `)`.

use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use super::{Names, Read, own};
use crate::language::DEPTH_MAX;
use crate::recognize::{Regex, Variable};

/// The most variables of a pattern.
const VARIABLES_MAX: usize = 256;
/// The most repetitions that are counted.
const COUNT_MAX: u32 = 10_000;

/// Branches, the first of which is preferred.
pub(super) fn alternation(parser: &mut Parser<'_>, names: &mut Names, depth: usize) -> Read<Regex> {
    if depth > DEPTH_MAX {
        return own(format!("more than {DEPTH_MAX} groups nest here"));
    }
    let mut branches = vec![sequence(parser, names, depth)?];
    while parser.consume_token(&Token::Pipe) {
        branches.push(sequence(parser, names, depth)?);
    }
    Ok(match branches.len() {
        1 => branches.swap_remove(0),
        _ => Regex::Alternation(branches),
    })
}

fn sequence(parser: &mut Parser<'_>, names: &mut Names, depth: usize) -> Read<Regex> {
    let mut parts = Vec::new();
    loop {
        match parser.peek_token().token {
            // A minus ends an exclusion.
            Token::Pipe | Token::RParen | Token::Comma | Token::Minus | Token::EOF => break,
            _ => parts.push(repetition(parser, names, depth)?),
        }
    }
    Ok(match parts.len() {
        0 => Regex::Empty,
        1 => parts.swap_remove(0),
        _ => Regex::Sequence(parts),
    })
}

fn repetition(parser: &mut Parser<'_>, names: &mut Names, depth: usize) -> Read<Regex> {
    let of = primary(parser, names, depth)?;
    let (min, max) = match parser.peek_token().token {
        Token::Mul => (0, None),
        Token::Plus => (1, None),
        Token::Placeholder(sign) if sign == "?" => (0, Some(1)),
        // `{-` begins what follows.
        Token::LBrace if parser.peek_nth_token(1).token != Token::Minus => {
            parser.next_token();
            let (min, max) = counts(parser)?;
            return quantified(parser, of, min, max);
        }
        _ => return Ok(of),
    };
    parser.next_token();
    quantified(parser, of, min, max)
}

fn quantified(parser: &mut Parser<'_>, of: Regex, min: u32, max: Option<u32>) -> Read<Regex> {
    let reluctant = matches!(parser.peek_token().token, Token::Placeholder(sign) if sign == "?");
    if reluctant {
        parser.next_token();
    }
    if max.is_some_and(|max| max < min || max == 0) {
        return own("a quantifier's maximum is 0 or below its minimum");
    }
    Ok(Regex::Repeat {
        of: Box::new(of),
        min,
        max,
        greedy: !reluctant,
    })
}

/// `n}`, `n,}`, `n,m}` or `,m}`, whose brace was read.
fn counts(parser: &mut Parser<'_>) -> Read<(u32, Option<u32>)> {
    let number = |parser: &mut Parser<'_>| -> Read<Option<u32>> {
        let Token::Number(text, _) = parser.peek_token().token else {
            return Ok(None);
        };
        parser.next_token();
        match text.parse::<u32>() {
            Ok(count) if count <= COUNT_MAX => Ok(Some(count)),
            _ => own(format!("a number of repetitions is at most {COUNT_MAX}")),
        }
    };
    let min = number(parser)?;
    let max = if parser.consume_token(&Token::Comma) {
        number(parser)?
    } else if min.is_none() {
        return own("a number of repetitions is expected here");
    } else {
        min
    };
    parser.expect_token(&Token::RBrace)?;
    Ok((min.unwrap_or(0), max))
}

fn primary(parser: &mut Parser<'_>, names: &mut Names, depth: usize) -> Read<Regex> {
    match parser.peek_token().token {
        Token::LParen => {
            parser.next_token();
            let inner = alternation(parser, names, depth + 1)?;
            parser.expect_token(&Token::RParen)?;
            Ok(inner)
        }
        Token::LBrace => {
            parser.next_token();
            parser.expect_token(&Token::Minus)?;
            let inner = alternation(parser, names, depth + 1)?;
            parser.expect_token(&Token::Minus)?;
            parser.expect_token(&Token::RBrace)?;
            Ok(Regex::Excluded(Box::new(inner)))
        }
        Token::Caret => {
            parser.next_token();
            Ok(Regex::Begin)
        }
        Token::Char(super::tokens::END_SIGN) => {
            parser.next_token();
            Ok(Regex::End)
        }
        Token::Word(word)
            if word.quote_style.is_none()
                && word.value.eq_ignore_ascii_case("PERMUTE")
                && parser.peek_nth_token(1).token == Token::LParen =>
        {
            parser.next_token();
            parser.next_token();
            let mut members = vec![sequence(parser, names, depth + 1)?];
            while parser.consume_token(&Token::Comma) {
                members.push(sequence(parser, names, depth + 1)?);
            }
            parser.expect_token(&Token::RParen)?;
            Ok(Regex::Permutation(members))
        }
        _ => {
            let name = parser.parse_identifier()?.value;
            let known = names
                .variables
                .iter()
                .position(|known| known.eq_ignore_ascii_case(&name));
            let place = match known {
                Some(place) => place,
                None if names.variables.len() >= VARIABLES_MAX => {
                    return own(format!("a pattern has at most {VARIABLES_MAX} variables"));
                }
                None => {
                    names.variables.push(name);
                    names.variables.len() - 1
                }
            };
            Ok(Regex::Variable(place as Variable))
        }
    }
}
