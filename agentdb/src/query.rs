//! Conditions on documents: `battery < 20 && status != 'charging'`.
//!
//! ```text
//! query      = comparison *( "&&" comparison )
//! comparison = field ( "==" | "!=" | "<" | "<=" | ">" | ">=" ) literal
//! field      = name *( "." name )
//! literal    = number | 'text' | "text" | true | false
//! ```
//! A document without the field satisfies no comparison of it, except that `!=` is satisfied.

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
        query.parameters.push(Value::Text(format!("$.{field}")));
        query.parameters.push(value);
        let (path, value) = (query.parameters.len() - 1, query.parameters.len());
        if !query.sql.is_empty() {
            query.sql.push_str(" AND ");
        }
        // IS NOT is true of a missing field, <> is unknown.
        query.sql.push_str(&format!(
            "json_extract(state_json, ?{path}) {operator} ?{value}"
        ));
        reader.space();
        if reader.rest().is_empty() {
            return Ok(query);
        }
        reader.expect("&&")?;
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
            ("!=", "IS NOT"),
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

    fn literal(&mut self) -> Result<Value> {
        self.space();
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let Some(length) = rest[1..].find(quote) else {
                return self.error("a text without its end");
            };
            self.at += length + 2;
            return Ok(Value::Text(rest[1..=length].to_owned()));
        }
        let length = rest
            .find(|c: char| c.is_whitespace() || c == '&')
            .unwrap_or(rest.len());
        let word = &rest[..length];
        let value = match word {
            // json_extract gives booleans as 1 and 0.
            "true" => Value::Integer(1),
            "false" => Value::Integer(0),
            _ => match (word.parse::<i64>(), word.parse::<f64>()) {
                (Ok(whole), _) => Value::Integer(whole),
                (_, Ok(number)) if number.is_finite() => Value::Real(number),
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
        assert_eq!(
            query.sql,
            "json_extract(state_json, ?1) = ?2 AND json_extract(state_json, ?3) >= ?4"
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
