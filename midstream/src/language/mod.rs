//! Rules as text; the grammar is in `LANGUAGE.md`.

mod lexer;

use std::time::Duration;

use crate::aggregate::Aggregate;
use crate::error::{Error, Result};
use crate::event::Value;
use crate::predicate::{Predicate, eq, ge, gt, le, lt, ne};
use crate::rule::{Emit, Having, Rule};
use lexer::{Kind, Token, tokens};

/// The longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;
/// The deepest nesting of a condition.
pub const DEPTH_MAX: usize = 64;

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// What is derived from the source before the rules see it.
    pub standardize: Vec<Standardize>,
}

/// Fields that rules also see in standard deviations, under their name with `_z` behind it: see
/// [`Standardizer`](crate::Standardizer).
#[derive(Clone, Debug, PartialEq)]
pub struct Standardize {
    /// The fields.
    pub fields: Vec<String>,
    /// How long their usual values are learnt, from the first event on.
    pub first: Duration,
}

/// The rules of a text. Patterns without `FROM` are over `source`; a rule without a name is called `rule1`,
/// `rule2`, … by its place. Linear in the text.
///
/// # Errors
/// [`Error::Syntax`] with line and column, also for a text over [`TEXT_BYTES_MAX`] or nested deeper than
/// [`DEPTH_MAX`], and for `STANDARDIZE`, which only [`parse_program`] takes.
pub fn parse_rules(text: &str, source: &str) -> Result<Vec<Rule>> {
    let program = parse_program(text, source, None)?;
    if program.standardize.is_empty() {
        return Ok(program.rules);
    }
    Err(Error::Syntax {
        line: 1,
        column: 1,
        cause: "STANDARDIZE derives fields, which only a whole program can".to_owned(),
    })
}

/// All that a text says; rules without a key of their own are told apart by the field `key`.
///
/// # Errors
/// As [`parse_rules`], but `STANDARDIZE` is taken.
pub fn parse_program(text: &str, source: &str, key: Option<&str>) -> Result<Program> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::Syntax {
            line: 1,
            column: 1,
            cause: format!("{} bytes, at most {TEXT_BYTES_MAX} are read", text.len()),
        });
    }
    let mut parser = Parser {
        tokens: tokens(text)?,
        place: 0,
        depth: 0,
        source: source.to_owned(),
        key: key.map(str::to_owned),
    };
    let mut program = Program::default();
    loop {
        while parser.sign(";") {}
        if parser.peek() == &Kind::End {
            return Ok(program);
        }
        if parser.word("STANDARDIZE") {
            program.standardize.push(parser.standardize()?);
        } else {
            let name = if parser.word("RULE") {
                let name = parser.name("the rule's name")?;
                parser.need_sign(":")?;
                name
            } else {
                format!("rule{}", program.rules.len() + 1)
            };
            program.rules.push(parser.rule(&name)?);
        }
        if parser.peek() != &Kind::End {
            parser.need_sign(";")?;
        }
    }
}

/// A condition alone, for routes.
#[cfg(feature = "deploy")]
pub(crate) fn parse_condition(text: &str) -> Result<Predicate> {
    let mut parser = Parser {
        tokens: tokens(text)?,
        place: 0,
        depth: 0,
        source: String::new(),
        key: None,
    };
    let condition = parser.condition()?;
    match parser.peek() {
        Kind::End => Ok(condition),
        _ => parser.wrong("the condition ends before this".to_owned()),
    }
}

struct Parser {
    tokens: Vec<Token>,
    place: usize,
    depth: usize,
    /// Of rules that name none.
    source: String,
    /// Of rules that name none.
    key: Option<String>,
}

impl Parser {
    fn standardize(&mut self) -> Result<Standardize> {
        let mut fields = vec![self.name("a field")?];
        while self.sign(",") {
            fields.push(self.name("a field")?);
        }
        self.one_of(&["OVER"])?;
        self.one_of(&["FIRST"])?;
        Ok(Standardize {
            fields,
            first: self.duration()?,
        })
    }

    fn peek(&self) -> &Kind {
        self.tokens.get(self.place).map_or(&Kind::End, |t| &t.kind)
    }

    fn wrong<T>(&self, cause: String) -> Result<T> {
        let token = self.tokens.get(self.place).or(self.tokens.last());
        Err(Error::Syntax {
            line: token.map_or(1, |t| t.line),
            column: token.map_or(1, |t| t.column),
            cause,
        })
    }

    fn sign(&mut self, wanted: &str) -> bool {
        let is = matches!(self.peek(), Kind::Sign(sign) if *sign == wanted);
        self.place += usize::from(is);
        is
    }

    fn need_sign(&mut self, wanted: &str) -> Result<()> {
        if self.sign(wanted) {
            return Ok(());
        }
        self.wrong(format!("`{wanted}` is expected here"))
    }

    fn word(&mut self, wanted: &str) -> bool {
        let is = matches!(self.peek(), Kind::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.place += usize::from(is);
        is
    }

    /// One of these words, by its place in the list; the nearest one is suggested.
    fn one_of(&mut self, wanted: &[&str]) -> Result<usize> {
        if let Some(index) = wanted.iter().position(|word| self.word(word)) {
            return Ok(index);
        }
        let mut cause = format!("{} is expected here", wanted.join(" or "));
        if let Kind::Word(found) = self.peek() {
            let found = found.to_uppercase();
            let near = wanted.iter().find(|word| {
                word.len().abs_diff(found.len()) <= 2
                    && word.chars().zip(found.chars()).take(2).all(|(a, b)| a == b)
            });
            if let Some(near) = near {
                cause = format!("{cause}; did you mean `{near}`?");
            }
        }
        self.wrong(cause)
    }

    fn name(&mut self, what: &str) -> Result<String> {
        if let Kind::Word(word) = self.peek() {
            let word = word.clone();
            self.place += 1;
            return Ok(word);
        }
        self.wrong(format!("{what} is expected here"))
    }

    fn number(&mut self) -> Result<f64> {
        let minus = self.sign("-");
        if let Kind::Number(number) = *self.peek() {
            self.place += 1;
            return Ok(if minus { -number } else { number });
        }
        self.wrong("a number is expected here".to_owned())
    }

    fn duration(&mut self) -> Result<Duration> {
        let number = self.number()?;
        let unit = self.one_of(&[
            "MILLISECONDS",
            "MILLISECOND",
            "MS",
            "SECONDS",
            "SECOND",
            "S",
            "MINUTES",
            "MINUTE",
            "HOURS",
            "HOUR",
            "DAYS",
            "DAY",
        ])?;
        let seconds = number
            * match unit {
                0..=2 => 0.001,
                3..=5 => 1.0,
                6 | 7 => 60.0,
                8 | 9 => 3600.0,
                _ => 86_400.0,
            };
        match Duration::try_from_secs_f64(seconds) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => self.wrong("a time is more than zero and not beyond all bounds".to_owned()),
        }
    }

    fn rule(&mut self, name: &str) -> Result<Rule> {
        if self.one_of(&["PATTERN", "FROM"])? == 1 {
            return self.window(name);
        }
        self.one_of(&["SEQUENCE"])?;
        self.need_sign("(")?;
        let mut steps = Vec::new();
        loop {
            self.name("the step's name")?;
            self.need_sign("(")?;
            steps.push(self.condition()?);
            self.need_sign(")")?;
            if !self.sign(",") {
                break;
            }
        }
        self.need_sign(")")?;
        let source = if self.word("FROM") {
            self.name("the source")?
        } else {
            self.source.clone()
        };
        let mut rule = Rule::sequence(name);
        let key = match self.word("BY") {
            true => Some(self.name("the key's field")?),
            false => self.key.clone(),
        };
        if let Some(key) = key {
            rule = rule.key(&key);
        }
        self.one_of(&["WITHIN"])?;
        rule = rule.within(self.duration()?);
        Ok(steps
            .into_iter()
            .fold(rule, |rule, step| rule.step(&source, step))
            .into())
    }

    fn window(&mut self, name: &str) -> Result<Rule> {
        let mut rule = Rule::window(name, &self.name("the source")?);
        if self.word("WHERE") {
            rule = rule.filter(self.condition()?);
        }
        let key = if self.word("GROUP") {
            self.one_of(&["BY"])?;
            Some(self.name("the key's field")?)
        } else {
            self.key.clone()
        };
        if let Some(key) = key {
            rule = rule.key(&key);
        }
        self.one_of(&["HAVING"])?;
        let mut field: Option<String> = None;
        loop {
            let kind = self.aggregate()?;
            self.need_sign("(")?;
            // COUNT(*) counts events, so it has no field of its own.
            let of = if kind == Aggregate::Count && self.sign("*") {
                None
            } else {
                Some(self.name("the field")?)
            };
            match (&field, of) {
                (None, Some(of)) => field = Some(of),
                (Some(known), Some(of)) if *known != of => {
                    return self.wrong(format!("a window rule aggregates one field, `{known}`"));
                }
                _ => {}
            }
            self.need_sign(")")?;
            let make: fn(Aggregate, f64) -> Having = match self.comparison()? {
                ">" => Having::Above,
                ">=" => Having::AtLeast,
                "<" => Having::Below,
                "<=" => Having::AtMost,
                _ => return self.wrong("an aggregate is compared by < <= > >=".to_owned()),
            };
            rule = rule.having(make(kind, self.number()?));
            if !self.word("AND") {
                break;
            }
        }
        if let Some(field) = field {
            rule = rule.field(&field);
        }
        self.one_of(&["WITHIN"])?;
        let tumbling = self.one_of(&["SLIDING", "TUMBLING"])? == 1;
        self.one_of(&["WINDOW"])?;
        let size = self.duration()?;
        rule = if tumbling {
            rule.tumbling(size)
        } else {
            self.one_of(&["SLIDE"])?;
            rule.sliding(size, self.duration()?)
        };
        if self.word("EMIT") {
            self.one_of(&["EVERY"])?;
            rule = rule.emit(Emit::Every);
        }
        Ok(rule.into())
    }

    fn aggregate(&mut self) -> Result<Aggregate> {
        Ok(
            match self.one_of(&["COUNT", "SUM", "AVG", "MIN", "MAX", "STDDEV"])? {
                0 => Aggregate::Count,
                1 => Aggregate::Sum,
                2 => Aggregate::Avg,
                3 => Aggregate::Min,
                4 => Aggregate::Max,
                _ => Aggregate::Stddev,
            },
        )
    }

    fn comparison(&mut self) -> Result<&'static str> {
        if let Kind::Sign(sign @ ("<" | "<=" | ">" | ">=" | "=" | "==" | "!=" | "<>")) =
            *self.peek()
        {
            self.place += 1;
            return Ok(sign);
        }
        self.wrong("a comparison is expected here: < <= > >= = !=".to_owned())
    }

    fn condition(&mut self) -> Result<Predicate> {
        let mut left = self.conjunction()?;
        let mut parts = 1;
        while self.word("OR") {
            parts = self.chain(parts)?;
            left = left.or(self.conjunction()?);
        }
        Ok(left)
    }

    fn conjunction(&mut self) -> Result<Predicate> {
        let mut left = self.factor()?;
        let mut parts = 1;
        while self.word("AND") {
            parts = self.chain(parts)?;
            left = left.and(self.factor()?);
        }
        Ok(left)
    }

    /// Counts one more part of a chain of `AND` or `OR`, which nests to the left.
    fn chain(&self, parts: usize) -> Result<usize> {
        if parts >= DEPTH_MAX {
            return self.wrong(format!("a chain of more than {DEPTH_MAX} parts"));
        }
        Ok(parts + 1)
    }

    fn factor(&mut self) -> Result<Predicate> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong(format!("more than {DEPTH_MAX} parts nest here"));
        }
        let found = if self.word("NOT") {
            self.factor()?.negate()
        } else if self.sign("(") {
            let inner = self.condition()?;
            self.need_sign(")")?;
            inner
        } else {
            self.compare()?
        };
        self.depth -= 1;
        Ok(found)
    }

    fn compare(&mut self) -> Result<Predicate> {
        let field = self.name("a field")?;
        let sign = self.comparison()?;
        let value = if let Kind::Text(text) = self.peek() {
            let value = Value::from(text.as_str());
            self.place += 1;
            value
        } else if self.word("TRUE") {
            true.into()
        } else if self.word("FALSE") {
            false.into()
        } else {
            self.number()?.into()
        };
        Ok(match sign {
            "<" => lt(&field, value),
            "<=" => le(&field, value),
            ">" => gt(&field, value),
            ">=" => ge(&field, value),
            "=" | "==" => eq(&field, value),
            _ => ne(&field, value),
        })
    }
}
