//! Conditions on documents: `battery < 20 && status != 'charging'`.
//!
//! ```text
//! query      = comparison *( "&&" comparison )
//! comparison = field ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//! field      = name *( "." name )
//! literal    = number | 'text' | "text" | true | false
//! ```
//! A path goes into the JSON of a field. Numbers are compared with numbers, texts with texts (by their
//! bytes); `true` and `false` know only `==` and `!=`. A document without the field, or with a value of
//! another type there, satisfies no comparison of it, except that `!=` is satisfied.

use rusqlite::types::Value;

use crate::error::{Error, Result};

/// The longest query, in bytes.
pub const QUERY_BYTES_MAX: usize = 4096;

/// A parsed query, as SQL with parameters.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Query {
    pub sql: String,
    pub parameters: Vec<Value>,
}

/// Parses a query; the SQL holds nothing of its text but operators.
pub(crate) fn parse(text: &str) -> Result<Query> {
    if text.len() > QUERY_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of the query in bytes",
            found: text.len(),
            limit: QUERY_BYTES_MAX,
        });
    }
    let mut query = Query {
        sql: String::new(),
        parameters: Vec::new(),
    };
    let mut reader = Reader { text, at: 0 };
    loop {
        let field = reader.field()?;
        let operator = reader.operator()?;
        let value = reader.literal()?;
        let (operator, negated) = if operator == "!=" {
            ("=", " IS NOT TRUE")
        } else {
            (operator, "")
        };
        // SQLite compares across types, and json_extract makes texts of arrays and numbers of booleans:
        // only values of the literal's own type are compared.
        let types = match (&value, operator) {
            (Literal::Bool(_), "=") => "('true','false')",
            (Literal::Bool(_), _) => {
                return reader.error("true and false are compared with == and != only");
            }
            (Literal::Text(_), _) => "('text')",
            (Literal::Whole(_) | Literal::Real(_), _) => "('integer','real')",
        };
        query.parameters.push(Value::Text(format!("$.{field}")));
        query.parameters.push(value.into());
        let (path, value) = (query.parameters.len() - 1, query.parameters.len());
        if !query.sql.is_empty() {
            query.sql.push_str(" AND ");
        }
        query.sql.push_str(&format!(
            "(json_type(state_json, ?{path}) IN {types} AND json_extract(state_json, ?{path}) {operator} ?{value}){negated}"
        ));
        reader.space();
        if reader.rest().is_empty() {
            return Ok(query);
        }
        reader.expect("&&")?;
    }
}

enum Literal {
    Whole(i64),
    Real(f64),
    Text(String),
    Bool(bool),
}

impl From<Literal> for Value {
    fn from(literal: Literal) -> Self {
        match literal {
            Literal::Whole(whole) => Self::Integer(whole),
            Literal::Real(number) => Self::Real(number),
            Literal::Text(text) => Self::Text(text),
            // As json_extract gives them.
            Literal::Bool(truth) => Self::Integer(i64::from(truth)),
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
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

    fn expect(&mut self, word: &str) -> Result<()> {
        self.space();
        if self.rest().starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        self.error(format!("expected `{word}`"))
    }

    fn field(&mut self) -> Result<&'a str> {
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
        Ok(name)
    }

    fn operator(&mut self) -> Result<&'static str> {
        self.space();
        let known = [
            ("==", "="),
            ("!=", "!="),
            ("<=", "<="),
            (">=", ">="),
            ("<", "<"),
            (">", ">"),
        ];
        for (word, sql) in known {
            if self.rest().starts_with(word) {
                self.at += word.len();
                return Ok(sql);
            }
        }
        self.error("expected one of == != < <= > >=")
    }

    fn literal(&mut self) -> Result<Literal> {
        self.space();
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let Some(length) = rest[1..].find(quote) else {
                return self.error("a text without its end");
            };
            self.at += length + 2;
            return Ok(Literal::Text(rest[1..=length].to_owned()));
        }
        let length = rest
            .find(|c: char| c.is_whitespace() || c == '&')
            .unwrap_or(rest.len());
        let word = &rest[..length];
        let value = match word {
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            _ => match (word.parse::<i64>(), word.parse::<f64>()) {
                (Ok(whole), _) => Literal::Whole(whole),
                (_, Ok(number)) if number.is_finite() => Literal::Real(number),
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
    fn nothing_of_a_text_reaches_the_sql() {
        let query = parse("name == 'x'' OR 1=1 --'").map(|query| query.sql);
        assert!(query.is_err(), "{query:?}");
        let query = parse("name == '; DROP TABLE agent_state' && age >= 3.5").unwrap();
        assert!(
            !query.sql.contains("DROP") && !query.sql.contains("name"),
            "{}",
            query.sql
        );
        assert_eq!(
            query.parameters[1],
            Value::Text("; DROP TABLE agent_state".to_owned())
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
        ] {
            let Err(Error::Query { column: found, .. }) = parse(text) else {
                panic!("{text}")
            };
            assert_eq!(found, column, "{text}");
        }
    }
}
