//! The text of conditions: `battery < 20 && status != 'charging'`.
//!
//! ```text
//! query      = and *( "||" and )
//! and        = not *( "&&" not )
//! not        = "!" not / "(" query ")" / comparison
//! comparison = field ( "==" / "!=" / "<" / "<=" / ">" / ">=" ) literal
//!            / field "in" "[" [ literal *( "," literal ) ] "]"
//! field      = name *( "." name )
//! literal    = number / 'text' / "text" / true / false
//! ```
//! A path goes into the JSON of a field. Numbers are compared with numbers, texts with texts (by their
//! bytes); `true` and `false` know only `==` and `!=`. A document without the field, or with a value of
//! another type there, satisfies no comparison of it, except that `!=` is satisfied.

use serde_json::Value;

use super::condition::{Node, Operator};
use crate::error::{Error, Result};

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 4096;

/// How deep parentheses and `!` may be within one another.
const DEPTH_MAX: usize = 64;

/// Parses a query.
pub(crate) fn parse(text: &str) -> Result<Node> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of the query in bytes",
            found: text.len(),
            limit: QUERY_BYTES_MAX,
        });
    }
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let node = reader.query()?;
    reader.space();
    if !reader.rest().is_empty() {
        return reader.error("expected `&&`, `||` or the end");
    }
    Ok(node)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn error<T>(&self, cause: impl Into<String>) -> Result<T> {
        let column = self.text[..self.at].chars().count() + 1;
        Err(Error::Query {
            column,
            cause: cause.into(),
        })
    }

    fn takes(&mut self, word: &str) -> bool {
        self.space();
        let takes = self.rest().starts_with(word);
        if takes {
            self.at += word.len();
        }
        takes
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.takes(word) {
            return Ok(());
        }
        self.error(format!("expected `{word}`"))
    }

    /// Parts with a word between them.
    fn parts(
        &mut self,
        word: &str,
        part: fn(&mut Self) -> Result<Node>,
        many: fn(Vec<Node>) -> Node,
    ) -> Result<Node> {
        let first = part(self)?;
        if !self.takes(word) {
            return Ok(first);
        }
        let mut nodes = vec![first, part(self)?];
        while self.takes(word) {
            nodes.push(part(self)?);
        }
        Ok(many(nodes))
    }

    fn query(&mut self) -> Result<Node> {
        self.parts("||", Self::and, Node::Or)
    }

    fn and(&mut self) -> Result<Node> {
        self.parts("&&", Self::not, Node::And)
    }

    fn not(&mut self) -> Result<Node> {
        if self.depth == DEPTH_MAX {
            return self.error(format!("`(` and `!` are at most {DEPTH_MAX} deep"));
        }
        self.depth += 1;
        let node = if self.takes("!") {
            Node::Not(Box::new(self.not()?))
        } else if self.takes("(") {
            let node = self.query()?;
            self.expect(")")?;
            node
        } else {
            self.comparison()?
        };
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node> {
        let path = self.field()?;
        self.space();
        if let Some(after) = self.rest().strip_prefix("in")
            && after.starts_with([' ', '\t', '\n', '['])
        {
            self.at += 2;
            return Ok(Node::In(path, self.literals()?));
        }
        let operator = self.operator()?;
        let literal = self.literal()?;
        let truth = matches!(operator, Operator::Equal | Operator::Unequal);
        if literal.is_boolean() && !truth {
            return self.error("true and false are compared with == and != only");
        }
        Ok(Node::Compare(path, operator, literal))
    }

    fn literals(&mut self) -> Result<Vec<Value>> {
        self.expect("[")?;
        let mut literals = Vec::new();
        while !self.takes("]") {
            if !literals.is_empty() {
                self.expect(",")?;
            }
            literals.push(self.literal()?);
        }
        Ok(literals)
    }

    fn field(&mut self) -> Result<Vec<String>> {
        self.space();
        let rest = self.rest();
        let length = rest
            .bytes()
            .take_while(|b| b.is_ascii_alphanumeric() || *b == b'_' || *b == b'.')
            .count();
        let name = &rest[..length];
        let words = name
            .split('.')
            .all(|word| !word.is_empty() && !word.as_bytes()[0].is_ascii_digit());
        if name.is_empty() || !words {
            return self.error("expected the name of a field");
        }
        self.at += length;
        Ok(name.split('.').map(str::to_owned).collect())
    }

    fn operator(&mut self) -> Result<Operator> {
        for (word, operator) in Operator::ALL {
            if self.takes(word) {
                return Ok(operator);
            }
        }
        self.error("expected one of == != < <= > >= in")
    }

    fn literal(&mut self) -> Result<Value> {
        self.space();
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let Some(length) = rest[1..].find(quote) else {
                return self.error("a text without its end");
            };
            self.at += length + 2;
            return Ok(rest[1..=length].into());
        }
        let length = rest
            .find(|c: char| c.is_whitespace() || matches!(c, '&' | '|' | ')' | ']' | ','))
            .unwrap_or(rest.len());
        let word = &rest[..length];
        let value = match word {
            "true" => true.into(),
            "false" => false.into(),
            _ => match (word.parse::<i64>(), word.parse::<f64>()) {
                (Ok(whole), _) => whole.into(),
                (_, Ok(number)) if number.is_finite() => number.into(),
                _ => {
                    return self.error(format!(
                        "`{word}` is no literal: write a number, 'text', true or false"
                    ));
                }
            },
        };
        self.at += length;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn and_binds_more_than_or() {
        let [a, b, c] = ["a == 1", "b == 2", "c in [3, 'x']"].map(|text| parse(text).unwrap());
        let whole = parse("a == 1 || b == 2 && c in [3, 'x']").unwrap();
        assert_eq!(
            whole,
            Node::Or(vec![a.clone(), Node::And(vec![b.clone(), c.clone()])])
        );
        let whole = parse("!(a == 1||b == 2) && c in [3,'x']").unwrap();
        let not = Node::Not(Box::new(Node::Or(vec![a, b])));
        assert_eq!(whole, Node::And(vec![not, c]));
        assert_eq!(
            parse("inside == 1").unwrap(),
            Node::Compare(vec!["inside".into()], Operator::Equal, 1.into())
        );
    }

    #[test]
    fn a_mistake_is_told_with_its_column() {
        for (text, column) in [
            ("battery <", 10),
            ("battery ! 3", 9),
            ("battery < 3 & x", 13),
            ("1x < 3", 1),
            ("a == 'b", 6),
            ("", 1),
            ("(a == 1", 8),
            ("a in [1", 8),
            ("a in 1", 6),
            ("a == 1)", 7),
            ("!", 2),
        ] {
            let Err(Error::Query { column: found, .. }) = parse(text) else {
                panic!("{text}")
            };
            assert_eq!(found, column, "{text}");
        }
        assert!(parse(&format!("{}a == 1", "!".repeat(DEPTH_MAX - 1))).is_ok());
        assert!(parse(&"(".repeat(4_000)).is_err());
    }
}
