//! Recursive descent over the text of a filter.

use super::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, Literal, Node, Op};
use crate::error::{Error, Result};

pub(super) fn parse(text: &str) -> Result<Node> {
    let mut parser = Parser {
        text,
        at: 0,
        depth: 0,
    };
    if text.len() > FILTER_BYTES_MAX {
        return Err(parser.error(format!("a filter may have {FILTER_BYTES_MAX} bytes")));
    }
    let root = parser.any()?;
    parser.skip();
    if parser.at < text.len() {
        return Err(parser.error("expected `&&`, `||` or the end"));
    }
    Ok(root)
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn error(&self, message: impl Into<String>) -> Error {
        let before = self.text.get(..self.at).unwrap_or(self.text);
        Error::Filter {
            column: before.chars().count() + 1,
            message: message.into(),
        }
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn skip(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn any(&mut self) -> Result<Node> {
        let mut left = self.all()?;
        while self.take("||") {
            left = Node::Or(Box::new(left), Box::new(self.all()?));
        }
        Ok(left)
    }

    fn all(&mut self) -> Result<Node> {
        let mut left = self.term()?;
        while self.take("&&") {
            left = Node::And(Box::new(left), Box::new(self.term()?));
        }
        Ok(left)
    }

    fn term(&mut self) -> Result<Node> {
        if self.depth == FILTER_DEPTH_MAX {
            return Err(self.error(format!("nested deeper than {FILTER_DEPTH_MAX}")));
        }
        self.depth += 1;
        let node = self.inner_term();
        self.depth -= 1;
        node
    }

    fn inner_term(&mut self) -> Result<Node> {
        if self.take("!") {
            return Ok(Node::Not(Box::new(self.term()?)));
        }
        if self.take("(") {
            let node = self.any()?;
            if !self.take(")") {
                return Err(self.error("expected `)`"));
            }
            return Ok(node);
        }
        let field = self.field()?;
        if field == "exists" && self.take("(") {
            let field = self.field()?;
            if !self.take(")") {
                return Err(self.error("expected `)`"));
            }
            return Ok(Node::Exists(field.into()));
        }
        let ops = [
            ("==", Op::Equal),
            ("!=", Op::NotEqual),
            ("<=", Op::LessEqual),
            (">=", Op::GreaterEqual),
            ("<", Op::Less),
            (">", Op::Greater),
        ];
        for (token, op) in ops {
            if self.take(token) {
                return Ok(Node::Compare(field.into(), op, self.literal()?));
            }
        }
        self.skip();
        let rest = self.rest();
        if rest.starts_with("in") && !rest[2..].starts_with(|c: char| c.is_alphanumeric()) {
            self.at += 2;
            return Ok(Node::In(field.into(), self.list()?));
        }
        Err(self.error("expected a comparison such as `== 'text'` or `in [1, 2]`"))
    }

    fn field(&mut self) -> Result<&'t str> {
        self.skip();
        let rest = self.rest();
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        let end = rest.find(|c| !inside(c)).unwrap_or(rest.len());
        if end == 0 || rest.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            return Err(self.error("expected a field"));
        }
        self.at += end;
        Ok(&rest[..end])
    }

    fn list(&mut self) -> Result<Vec<Literal>> {
        if !self.take("[") {
            return Err(self.error("expected `[`"));
        }
        let mut items = Vec::new();
        if self.take("]") {
            return Ok(items);
        }
        loop {
            items.push(self.literal()?);
            if self.take("]") {
                return Ok(items);
            }
            if !self.take(",") {
                return Err(self.error("expected `,` or `]`"));
            }
        }
    }

    fn literal(&mut self) -> Result<Literal> {
        self.skip();
        let rest = self.rest();
        if let Some(quote @ ('\'' | '"')) = rest.chars().next() {
            return self.quoted(quote);
        }
        let end = rest
            .find(|c: char| !(c.is_alphanumeric() || matches!(c, '.' | '-' | '+')))
            .unwrap_or(rest.len());
        let word = &rest[..end];
        let literal = match word {
            "null" => Literal::Null,
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            _ => match word.parse::<f64>() {
                Ok(number) if number.is_finite() => Literal::Number(number),
                _ => {
                    return Err(self.error("expected a number, a quoted text, true, false or null"));
                }
            },
        };
        self.at += end;
        Ok(literal)
    }

    /// A quoted text; a backslash makes the next character stand for itself.
    fn quoted(&mut self, quote: char) -> Result<Literal> {
        let rest = self.rest();
        let mut text = String::new();
        let mut chars = rest.char_indices().skip(1);
        while let Some((at, c)) = chars.next() {
            if c == quote {
                self.at += at + c.len_utf8();
                return Ok(Literal::Text(text.into()));
            }
            if c == '\\' {
                match chars.next() {
                    Some((_, c)) => text.push(c),
                    None => break,
                }
            } else {
                text.push(c);
            }
        }
        Err(self.error(format!("the text has no closing {quote}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_binds_tighter_than_or() {
        let (a, b, c) = ("a == 1", "b == 2", "c == 3");
        let node = |text: &str| Box::new(parse(text).unwrap());
        let wanted = Node::Or(node(a), Box::new(Node::And(node(b), node(c))));
        assert_eq!(parse("a == 1 || b == 2 && c == 3").unwrap(), wanted);
    }

    #[test]
    fn errors_name_the_column() {
        for (text, column) in [
            ("", 1),
            ("a", 2),
            ("a == ", 6),
            ("a == 'x", 6),
            ("(a == 1", 8),
            ("a == 1 b", 8),
            ("a in 3", 6),
        ] {
            match parse(text) {
                Err(Error::Filter { column: found, .. }) => assert_eq!(found, column, "{text}"),
                other => panic!("{text}: {other:?}"),
            }
        }
    }

    #[test]
    fn deep_nesting_is_an_error_not_an_overflow() {
        let text = format!("{}a == 1{}", "(".repeat(10_000), ")".repeat(10_000));
        assert!(parse(&text).is_err());
        assert!(parse(&"!".repeat(10_000)).is_err());
    }
}
