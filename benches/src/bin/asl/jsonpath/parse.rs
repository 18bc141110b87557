//! Reads paths: recursive descent over characters.

use serde_json::Value;

use super::{Filter, Operand, Path, Root, Step};

/// A text that is one path.
pub fn whole(text: &str) -> Result<Path, String> {
    let mut parser = Parser {
        chars: text.chars().collect(),
        at: 0,
    };
    let path = parser.path()?;
    if parser.at < parser.chars.len() {
        return Err(format!("`{text}` is no JSONPath"));
    }
    Ok(path)
}

struct Parser {
    chars: Vec<char>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn eat(&mut self, text: &str) -> bool {
        let fits = text
            .chars()
            .enumerate()
            .all(|(offset, c)| self.chars.get(self.at + offset) == Some(&c));
        if fits {
            self.at += text.chars().count();
        }
        fits
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn error(&self, wanted: &str) -> String {
        let text: String = self.chars.iter().collect();
        format!("`{text}`: expected {wanted} at character {}", self.at + 1)
    }

    fn path(&mut self) -> Result<Path, String> {
        let root = if self.eat("$$") {
            Root::Context
        } else if self.eat("$") {
            let name = self.word();
            if name.is_empty() {
                Root::Input
            } else {
                Root::Variable(name)
            }
        } else if self.eat("@") {
            Root::Input
        } else {
            return Err(self.error("`$`"));
        };
        let mut steps = Vec::new();
        loop {
            if self.eat("..") {
                steps.push(Step::Descendants);
                if self.eat("*") {
                    steps.push(Step::Wildcard);
                } else if self.peek() != Some('[') {
                    steps.push(Step::Name(self.name()?));
                }
            } else if self.eat(".") {
                if self.eat("*") {
                    steps.push(Step::Wildcard);
                } else if self.eat("length()") {
                    steps.push(Step::Length);
                } else {
                    steps.push(Step::Name(self.name()?));
                }
            } else if self.eat("[") {
                steps.push(self.bracket()?);
            } else {
                break;
            }
        }
        let definite = steps
            .iter()
            .all(|step| matches!(step, Step::Name(_) | Step::Index(_)));
        Ok(Path {
            root,
            steps,
            definite,
        })
    }

    fn word(&mut self) -> String {
        let mut name = String::new();
        while let Some(c) = self.peek().filter(|c| c.is_alphanumeric() || *c == '_') {
            name.push(c);
            self.at += 1;
        }
        name
    }

    /// A name after a dot: Jayway takes everything but its own marks.
    fn name(&mut self) -> Result<String, String> {
        let mut name = String::new();
        let ends = |c: char| ".[]()=<>!&|,'\"".contains(c) || c.is_whitespace();
        while let Some(c) = self.peek().filter(|c| !ends(*c)) {
            name.push(c);
            self.at += 1;
        }
        if name.is_empty() {
            return Err(self.error("a name"));
        }
        Ok(name)
    }

    fn bracket(&mut self) -> Result<Step, String> {
        self.space();
        if self.eat("?") {
            self.space();
            let filter = self.any()?;
            self.close()?;
            return Ok(Step::Filter(filter));
        }
        if self.eat("*") {
            self.close()?;
            return Ok(Step::Wildcard);
        }
        let mut parts = Vec::new();
        loop {
            self.space();
            parts.push(match self.peek() {
                Some('\'' | '"') => Step::Name(self.quoted()?),
                _ => self.range()?,
            });
            self.space();
            if !self.eat(",") {
                break;
            }
        }
        self.close()?;
        Ok(match parts.pop() {
            Some(only) if parts.is_empty() => only,
            Some(last) => {
                parts.push(last);
                Step::Union(parts)
            }
            None => return Err(self.error("an index")),
        })
    }

    fn close(&mut self) -> Result<(), String> {
        self.space();
        if self.eat("]") {
            Ok(())
        } else {
            Err(self.error("`]`"))
        }
    }

    fn range(&mut self) -> Result<Step, String> {
        let from = self.integer();
        self.space();
        if !self.eat(":") {
            return from
                .map(Step::Index)
                .ok_or_else(|| self.error("an index, a name or a range"));
        }
        let to = self.integer();
        let by = if self.eat(":") {
            self.integer().filter(|by| *by > 0).unwrap_or(1)
        } else {
            1
        };
        Ok(Step::Slice(from, to, by))
    }

    fn integer(&mut self) -> Option<i64> {
        self.space();
        let start = self.at;
        self.eat("-");
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let text: String = self.chars[start..self.at].iter().collect();
        text.parse().ok()
    }

    fn quoted(&mut self) -> Result<String, String> {
        let quote = self.peek();
        self.at += 1;
        let mut text = String::new();
        loop {
            match self.peek() {
                None => return Err(self.error("the end of a string")),
                Some('\\') => {
                    self.at += 1;
                    text.extend(self.peek());
                }
                found if found == quote => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(c) => text.push(c),
            }
            self.at += 1;
        }
    }

    fn any(&mut self) -> Result<Filter, String> {
        let mut left = self.all()?;
        loop {
            self.space();
            if !self.eat("||") {
                return Ok(left);
            }
            left = Filter::Any(Box::new(left), Box::new(self.all()?));
        }
    }

    fn all(&mut self) -> Result<Filter, String> {
        let mut left = self.not()?;
        loop {
            self.space();
            if !self.eat("&&") {
                return Ok(left);
            }
            left = Filter::All(Box::new(left), Box::new(self.not()?));
        }
    }

    fn not(&mut self) -> Result<Filter, String> {
        self.space();
        if self.eat("!") {
            return Ok(Filter::Not(Box::new(self.not()?)));
        }
        if self.eat("(") {
            let inner = self.any()?;
            self.space();
            return if self.eat(")") {
                Ok(inner)
            } else {
                Err(self.error("`)`"))
            };
        }
        let left = self.operand()?;
        self.space();
        for operator in ["==", "!=", "<=", ">=", "<", ">", "in ", "nin "] {
            if self.eat(operator) {
                self.space();
                return Ok(Filter::Compare(
                    left,
                    operator.trim().to_owned(),
                    self.operand()?,
                ));
            }
        }
        Ok(Filter::Exists(left))
    }

    fn operand(&mut self) -> Result<Operand, String> {
        match self.peek() {
            Some('@') => Ok(Operand::Item(self.path()?)),
            Some('$') => Ok(Operand::Document(self.path()?)),
            Some('\'' | '"') => Ok(Operand::Literal(Value::from(self.quoted()?))),
            Some('[') => {
                self.at += 1;
                let mut items = Vec::new();
                loop {
                    self.space();
                    if self.eat("]") {
                        return Ok(Operand::Literal(Value::from(items)));
                    }
                    match self.operand()? {
                        Operand::Literal(value) => items.push(value),
                        _ => return Err(self.error("a literal")),
                    }
                    self.space();
                    self.eat(",");
                }
            }
            _ => {
                let start = self.at;
                while self
                    .peek()
                    .is_some_and(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
                {
                    self.at += 1;
                }
                let text: String = self.chars[start..self.at].iter().collect();
                serde_json::from_str(&text)
                    .map(Operand::Literal)
                    .map_err(|_| self.error("a value"))
            }
        }
    }
}
