//! Text to tokens, each with its place; and statements to texts.

use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    /// A word as it stands; it may be a keyword.
    Word(String),
    /// A name in double quotes.
    Name(String),
    Number(f64),
    Text(String),
    Sign(&'static str),
    End,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub kind: Kind,
    pub line: usize,
    pub column: usize,
}

/// A part of a text, and where it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Statement<'a> {
    pub text: &'a str,
    pub line: usize,
    pub column: usize,
}

/// Two-character signs come before their beginnings.
const SIGNS: [&str; 22] = [
    "<=", ">=", "!=", "<>", "==", "<", ">", "=", "(", ")", "{", "}", ",", ";", ":", "*", "-", "+",
    "/", "%", "?", "|",
];

/// The statements of a text, which `;` ends outside of quotes and comments.
pub(super) fn statements(text: &str) -> Vec<Statement<'_>> {
    let mut found = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut begin = (0, 1, 1);
    let mut quote = None;
    let mut comment = false;
    let mut before = ' ';
    for (at, c) in text.char_indices() {
        match (quote, c) {
            (_, '\n') => comment = false,
            _ if comment => {}
            (Some(open), c) if open == c => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '-') if before == '-' => comment = true,
            (None, ';') => {
                found.push(Statement {
                    text: &text[begin.0..at],
                    line: begin.1,
                    column: begin.2,
                });
                begin = (at + 1, line, column + 1);
            }
            _ => {}
        }
        before = c;
        if c == '\n' {
            // No quote goes over the end of a line: its end is looked for by the lexer.
            quote = None;
            line += 1;
            column = 1;
        } else {
            column += 1;
        }
    }
    found.push(Statement {
        text: &text[begin.0..],
        line: begin.1,
        column: begin.2,
    });
    found
}

/// Linear in the text, whose length the caller has bounded.
pub(super) fn tokens(statement: Statement<'_>) -> Result<Vec<Token>> {
    let mut found = Vec::new();
    let (mut line, mut end) = (statement.line, statement.column);
    for (number, row) in statement.text.lines().enumerate() {
        line = statement.line + number;
        let first = if number == 0 { statement.column } else { 1 };
        let mut rest = row;
        end = first + row.chars().count();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with("--") {
                break;
            }
            let column = end - rest.chars().count();
            let (kind, length) = token(rest).map_err(|cause| Error::Syntax {
                line,
                column,
                cause,
            })?;
            found.push(Token { kind, line, column });
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    found.push(Token {
        kind: Kind::End,
        line,
        column: end,
    });
    Ok(found)
}

fn token(rest: &str) -> std::result::Result<(Kind, usize), String> {
    let run = |fits: fn(char) -> bool| rest.find(|c| !fits(c)).unwrap_or(rest.len());
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_alphabetic() || first == '_' {
        let length = run(|c| c.is_alphanumeric() || c == '_' || c == '.');
        return Ok((Kind::Word(rest[..length].to_owned()), length));
    }
    if first.is_ascii_digit() {
        let mut length = run(|c| c.is_ascii_digit() || c == '.');
        // An exponent, where digits follow; `1e` is not one.
        let tail = rest[length..].strip_prefix(['e', 'E']);
        let signed = tail.map(|tail| tail.strip_prefix(['+', '-']).unwrap_or(tail));
        if let Some(digits) = signed.filter(|tail| tail.starts_with(|c: char| c.is_ascii_digit())) {
            let count = digits.find(|c: char| !c.is_ascii_digit());
            length = rest.len() - digits.len() + count.unwrap_or(digits.len());
        }
        let number = rest[..length]
            .parse()
            .map_err(|_| format!("`{}` is not a number", &rest[..length]))?;
        return Ok((Kind::Number(number), length));
    }
    if first == '\'' || first == '"' {
        let inner = &rest[1..];
        let length = inner
            .find(first)
            .ok_or_else(|| format!("a quote without its end; close it with {first}"))?;
        let text = inner[..length].to_owned();
        // Single quotes hold a text, double quotes a name with any characters.
        let kind = if first == '"' {
            Kind::Name(text)
        } else {
            Kind::Text(text)
        };
        return Ok((kind, length + 2));
    }
    SIGNS
        .iter()
        .find(|sign| rest.starts_with(**sign))
        .map(|sign| (Kind::Sign(sign), sign.len()))
        .ok_or_else(|| format!("`{first}` has no meaning here"))
}
