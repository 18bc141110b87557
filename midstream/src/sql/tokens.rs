//! Tokens, made such that `sqlparser` can read them.

use sqlparser::dialect::GenericDialect;
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Token, TokenWithSpan, Tokenizer, Word};

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

/// Stands for `$`, which tokens of SQL take for a part of a name or the begin of a quote. Of one character as well, so
/// that places of errors stay.
pub(super) const END_SIGN: char = '\u{e000}';

/// The text with [`END_SIGN`] for each `$` outside of quotes.
pub(super) fn with_end_signs(text: &str) -> String {
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
pub(super) fn joined(tokens: Vec<TokenWithSpan>) -> Vec<TokenWithSpan> {
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
