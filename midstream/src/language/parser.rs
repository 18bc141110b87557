//! What all statements are read with: words, signs, names, numbers, times; and errors with a place.

use std::time::Duration;

use super::lexer::{Kind, Token};
use crate::error::{Error, Result};

/// The deepest nesting of a condition, a value or a pattern.
pub const DEPTH_MAX: usize = 64;

pub(super) struct Parser {
    pub tokens: Vec<Token>,
    pub place: usize,
    depth: usize,
    /// Of rules that name none.
    pub source: String,
    /// Of rules that name none.
    pub key: Option<String>,
}

/// Times in milliseconds by unit.
const UNITS: [(&str, f64); 17] = [
    ("MILLISECONDS", 1.0),
    ("MILLISECOND", 1.0),
    ("MS", 1.0),
    ("SECONDS", 1e3),
    ("SECOND", 1e3),
    ("SEC", 1e3),
    ("S", 1e3),
    ("MINUTES", 6e4),
    ("MINUTE", 6e4),
    ("MIN", 6e4),
    ("M", 6e4),
    ("HOURS", 3.6e6),
    ("HOUR", 3.6e6),
    ("H", 3.6e6),
    ("DAYS", 8.64e7),
    ("DAY", 8.64e7),
    ("D", 8.64e7),
];

impl Parser {
    pub fn new(tokens: Vec<Token>, source: &str, key: Option<&str>) -> Self {
        Self {
            tokens,
            place: 0,
            depth: 0,
            source: source.to_owned(),
            key: key.map(str::to_owned),
        }
    }

    pub fn peek(&self) -> &Kind {
        self.ahead(0)
    }

    pub fn ahead(&self, by: usize) -> &Kind {
        self.tokens
            .get(self.place + by)
            .map_or(&Kind::End, |token| &token.kind)
    }

    pub fn wrong<T>(&self, cause: impl Into<String>) -> Result<T> {
        self.wrong_at(self.place, cause)
    }

    pub fn wrong_at<T>(&self, place: usize, cause: impl Into<String>) -> Result<T> {
        let token = self.tokens.get(place).or(self.tokens.last());
        Err(Error::Syntax {
            line: token.map_or(1, |token| token.line),
            column: token.map_or(1, |token| token.column),
            cause: cause.into(),
        })
    }

    /// Reads something that may hold the like of itself.
    pub fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.wrong(format!("more than {DEPTH_MAX} parts nest here"));
        }
        let found = read(self);
        self.depth -= 1;
        found
    }

    pub fn sign(&mut self, wanted: &str) -> bool {
        let is = self.is_sign(0, wanted);
        self.place += usize::from(is);
        is
    }

    pub fn is_sign(&self, by: usize, wanted: &str) -> bool {
        matches!(self.ahead(by), Kind::Sign(sign) if *sign == wanted)
    }

    pub fn need_sign(&mut self, wanted: &str) -> Result<()> {
        if self.sign(wanted) {
            return Ok(());
        }
        self.wrong(format!("`{wanted}` is expected here"))
    }

    pub fn is_word(&self, by: usize, wanted: &str) -> bool {
        matches!(self.ahead(by), Kind::Word(word) if word.eq_ignore_ascii_case(wanted))
    }

    pub fn word(&mut self, wanted: &str) -> bool {
        let is = self.is_word(0, wanted);
        self.place += usize::from(is);
        is
    }

    /// These words one after the other, or nothing.
    pub fn words(&mut self, wanted: &[&str]) -> bool {
        let all = wanted
            .iter()
            .enumerate()
            .all(|(by, word)| self.is_word(by, word));
        self.place += if all { wanted.len() } else { 0 };
        all
    }

    /// One of these words, by its place in the list; the nearest one is suggested.
    pub fn one_of(&mut self, wanted: &[&str]) -> Result<usize> {
        if let Some(index) = wanted.iter().position(|word| self.word(word)) {
            return Ok(index);
        }
        self.expected(wanted)
    }

    /// That one of these words was expected, with the nearest one.
    pub fn expected<T>(&self, wanted: &[&str]) -> Result<T> {
        let mut cause = format!("{} is expected here", wanted.join(" or "));
        if let Kind::Word(found) = self.peek()
            && let Some(near) = nearest(found, wanted.iter().copied())
        {
            cause = format!("{cause}; did you mean `{near}`?");
        }
        self.wrong(cause)
    }

    pub fn name(&mut self, what: &str) -> Result<String> {
        if let Kind::Word(word) | Kind::Name(word) = self.peek() {
            let mut word = word.clone();
            self.place += 1;
            // `source."a name"` is one name too.
            if let (true, Kind::Name(rest)) = (word.ends_with('.'), self.peek()) {
                word.push_str(rest);
                self.place += 1;
            }
            return Ok(word);
        }
        self.wrong(format!("{what} is expected here"))
    }

    /// The fields of a key, as a rule has them.
    pub fn key(&mut self) -> Result<String> {
        let mut fields = vec![self.name("the key's field")?];
        while self.sign(",") {
            fields.push(self.name("the key's next field")?);
        }
        let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
        Ok(crate::key::key_name(&fields))
    }

    pub fn number(&mut self) -> Result<f64> {
        let minus = self.sign("-");
        if let Kind::Number(number) = *self.peek() {
            self.place += 1;
            return Ok(if minus { -number } else { number });
        }
        self.wrong("a number is expected here")
    }

    /// A count of things, at least one.
    pub fn whole(&mut self, what: &str) -> Result<u32> {
        let place = self.place;
        let number = self.number()?;
        if number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number) {
            return Ok(number as u32);
        }
        self.wrong_at(place, format!("{what} is a whole number"))
    }

    pub fn duration(&mut self) -> Result<Duration> {
        let place = self.place;
        let number = self.number()?;
        let unit = UNITS.iter().find(|(unit, _)| self.word(unit));
        let Some((_, millis)) = unit else {
            return self.expected(&["MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"]);
        };
        match Duration::try_from_secs_f64(number * millis / 1000.0) {
            Ok(duration) if !duration.is_zero() => Ok(duration),
            _ => self.wrong_at(place, "a time is more than zero and not beyond all bounds"),
        }
    }
}

/// The word that differs from what was found by at most two letters, or a third of its length.
pub(super) fn nearest<'a>(found: &str, wanted: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let found: Vec<char> = found.to_uppercase().chars().take(64).collect();
    wanted
        .map(|word| (distance(&found, word), word))
        .filter(|(distance, word)| *distance <= 2.min(word.len() / 2))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, word)| word)
}

/// How many letters must be put in, taken out or changed (Levenshtein).
fn distance(found: &[char], word: &str) -> usize {
    let word: Vec<char> = word.to_uppercase().chars().collect();
    let mut row: Vec<usize> = (0..=word.len()).collect();
    for (i, a) in found.iter().enumerate() {
        let mut before = i;
        row[0] = i + 1;
        for (j, b) in word.iter().enumerate() {
            let changed = before + usize::from(a != b);
            before = row[j + 1];
            row[j + 1] = changed.min(before + 1).min(row[j] + 1);
        }
    }
    row[word.len()]
}
