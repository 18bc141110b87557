//! Text to tokens, each with its place.

use crate::error::{Error, Result};

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Kind {
    Word(String),
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

/// Two-character signs come before their beginnings.
const SIGNS: [&str; 15] = [
    "<=", ">=", "!=", "<>", "==", "<", ">", "=", "(", ")", ",", ";", ":", "*", "-",
];

/// Linear in the text, whose length the caller has bounded.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>> {
    let mut found = Vec::new();
    let mut line = 1;
    for (number, row) in text.lines().enumerate() {
        line = number + 1;
        let mut rest = row;
        loop {
            rest = rest.trim_start();
            if rest.is_empty() || rest.starts_with("--") {
                break;
            }
            let column = row.chars().count() - rest.chars().count() + 1;
            let (kind, length) = token(rest).map_err(|cause| Error::Syntax {
                line,
                column,
                cause,
            })?;
            found.push(Token { kind, line, column });
            rest = rest.get(length..).unwrap_or_default();
        }
    }
    let column = text.lines().last().map_or(0, |row| row.chars().count()) + 1;
    found.push(Token {
        kind: Kind::End,
        line,
        column,
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
        let length = run(|c| c.is_ascii_digit() || c == '.');
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
            Kind::Word(text)
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
