//! A prompt as the cache sees it: normalised for the exact tier, and taken apart into the marks
//! that the guard compares.

use std::collections::HashMap;
use std::sync::LazyLock;

use super::words::{DETERMINERS, NEGATIONS, NUMBERS, PLAIN, UNITS};

/// The form that the exact tier compares: runs of white space are one space, none at the ends.
/// Letters keep their case, since `US` and `us` are different words.
pub(super) fn normalised(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for word in text.split_whitespace() {
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(word);
    }
    out
}

/// A word without case and inflection; crude, but the same on both sides of a comparison.
pub(super) fn stem(word: &str) -> String {
    let has_vowel = |rest: &str| rest.contains(['a', 'e', 'i', 'o', 'u', 'y']);
    let without = |suffix: &str, keep: usize| {
        word.strip_suffix(suffix)
            .filter(|rest| rest.len() >= keep && has_vowel(rest))
    };
    if word.len() < 4 || !word.is_ascii() {
        return word.to_owned();
    }
    if let Some(rest) = without("ies", 2) {
        return format!("{rest}y");
    }
    let mut rest = without("ing", 3)
        .or_else(|| without("ed", 3))
        .or_else(|| without("ly", 4))
        .or_else(|| {
            ["sses", "shes", "ches", "xes"]
                .iter()
                .any(|end| word.ends_with(end))
                .then(|| word.get(..word.len() - 2))?
        })
        .or_else(|| without("s", 3).filter(|_| !word.ends_with("ss") && !word.ends_with("us")))
        .unwrap_or(word);
    let bytes = rest.as_bytes();
    if let [.., a, b] = bytes
        && a == b
        && rest.len() >= 4
    {
        rest = rest.get(..rest.len() - 1).unwrap_or(rest);
    }
    if rest.len() >= 4 {
        rest = rest.strip_suffix('e').unwrap_or(rest);
    }
    rest.to_owned()
}

/// One word of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub lower: String,
    pub stem: String,
    /// Carries no topic.
    pub plain: bool,
}

/// What the guard compares.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Marks {
    /// All words, names included, numbers not.
    pub words: Vec<Word>,
    /// Numbers in order, canonical.
    pub numbers: Vec<String>,
    /// Negations.
    pub negations: usize,
    /// Names and identifiers in order, in lower case.
    pub names: Vec<String>,
    /// Capitalised words at the start of a sentence: names or not.
    pub perhaps: Vec<String>,
}

impl Marks {
    pub fn of(text: &str) -> Self {
        let mut marks = Self::default();
        let mut reader = Reader {
            marks: &mut marks,
            pending: None,
            starts_sentence: true,
            opener: None,
        };
        for raw in text.split_whitespace() {
            reader.token(&raw.replace(['\u{2019}', '\u{2018}'], "'"));
        }
        reader.flush_number();
        marks.numbers.iter_mut().for_each(|number| {
            *number = canonical(number);
        });
        marks
    }

    /// Whether the text has this word in any inflection.
    pub fn has(&self, lower: &str) -> bool {
        let wanted = stem(lower);
        self.names.iter().any(|name| name == lower)
            || self.words.iter().any(|word| {
                // A single letter is a name ("plan B"); an article is not the same letter.
                lower.len() > 1 && (word.lower == lower || word.stem == wanted)
            })
    }
}

struct Reader<'m> {
    marks: &'m mut Marks,
    /// A number in words that may go on: "twenty" "five".
    pending: Option<u64>,
    starts_sentence: bool,
    /// A capitalised first word, until the next word tells whether it was a verb.
    opener: Option<String>,
}

static PLAIN_WORDS: LazyLock<std::collections::HashSet<&'static str>> =
    LazyLock::new(|| PLAIN.iter().copied().collect());
static NUMBER_WORDS: LazyLock<HashMap<&'static str, u64>> =
    LazyLock::new(|| NUMBERS.iter().copied().collect());

fn is_plain(lower: &str) -> bool {
    PLAIN_WORDS.contains(lower)
}

impl Reader<'_> {
    fn token(&mut self, raw: &str) {
        let keeps_front = |c: char| {
            c.is_alphanumeric() || matches!(c, '$' | '€' | '£' | '¥' | '-' | '+' | '#' | '@' | '_')
        };
        let keeps_back = |c: char| c.is_alphanumeric() || matches!(c, '%' | '+' | '#' | '_');
        let core = raw
            .trim_start_matches(|c| !keeps_front(c))
            .trim_end_matches(|c| !keeps_back(c));
        let ends_sentence = raw
            .trim_end_matches(['"', '\'', ')', ']'])
            .ends_with(['.', '!', '?', ':']);
        if core.chars().any(char::is_alphanumeric) {
            if core.chars().any(char::is_numeric) {
                self.with_digits(core);
            } else {
                self.with_letters(core);
            }
            self.starts_sentence = false;
        }
        self.starts_sentence |= ends_sentence;
    }

    fn with_digits(&mut self, core: &str) {
        self.flush_number();
        self.settle_opener(false);
        let lower = core.to_lowercase();
        let body = lower.trim_start_matches(['$', '€', '£', '¥', '#']);
        let currency = lower.get(..lower.len() - body.len()).unwrap_or("");
        let (sign, body) = match body.strip_prefix(['-', '+']) {
            Some(rest) if body.starts_with('-') => ("-", rest),
            Some(rest) => ("", rest),
            None => ("", body),
        };
        let end = body
            .find(|c: char| !(c.is_numeric() || matches!(c, '.' | ',')))
            .unwrap_or(body.len());
        let (number, unit) = body.split_at(end);
        let unit = UNITS.iter().find(|(short, _)| *short == unit);
        let (Some((_, unit)), false) = (unit, number.is_empty()) else {
            self.name(&lower, &lower);
            return;
        };
        self.marks.numbers.push(format!("{sign}{number}"));
        for unit in [
            UNITS
                .iter()
                .find(|(short, _)| *short == currency)
                .map(|(_, word)| *word),
            Some(*unit),
        ] {
            if let Some(unit) = unit.filter(|unit| !unit.is_empty()) {
                self.push_word(unit);
            }
        }
    }

    fn with_letters(&mut self, core: &str) {
        let inner = |c: char| matches!(c, '_' | '/' | '@' | '\\' | '.' | ':' | '#' | '+');
        let camel = core
            .chars()
            .zip(core.chars().skip(1))
            .any(|(a, b)| a.is_lowercase() && b.is_uppercase());
        if core.contains(inner) || camel {
            self.flush_number();
            self.settle_opener(false);
            let lower = core.to_lowercase();
            self.name(&lower, &lower);
            return;
        }
        for part in core.split('-').filter(|part| !part.is_empty()) {
            self.letters(part);
            self.starts_sentence = false;
        }
    }

    fn letters(&mut self, part: &str) {
        let lower = part.to_lowercase();
        // "isn't" is a negation, "it's" and "cow's" are "it" and "cow".
        let lower = if let Some(verb) = lower.strip_suffix("n't") {
            self.marks.negations += 1;
            verb.to_owned()
        } else {
            lower.split('\'').next().unwrap_or_default().to_owned()
        };
        if lower.is_empty() {
            return;
        }
        if let Some(value) = NUMBER_WORDS.get(lower.as_str()) {
            self.number_word(*value);
            self.settle_opener(false);
            return;
        }
        self.flush_number();
        self.settle_opener(DETERMINERS.contains(&lower.as_str()));
        if NEGATIONS.contains(&lower.as_str()) {
            self.marks.negations += 1;
        }
        let letters = lower.chars().count();
        let capitals = part.chars().filter(|c| c.is_uppercase()).count();
        let capital = part.chars().next().is_some_and(char::is_uppercase);
        let single =
            letters == 1 && lower != "i" && (lower != "a" || (capital && !self.starts_sentence));
        if single || (capitals >= 2 && !is_plain(&lower)) {
            self.name(&lower, part);
            return;
        }
        if capital && !is_plain(&lower) && !NEGATIONS.contains(&lower.as_str()) {
            if self.starts_sentence {
                self.opener = Some(lower.clone());
            } else {
                self.marks.names.push(lower.clone());
            }
        }
        self.push_word(&lower);
    }

    fn name(&mut self, lower: &str, word: &str) {
        self.marks.names.push(lower.to_owned());
        self.push_word(&word.to_lowercase());
    }

    fn push_word(&mut self, lower: &str) {
        self.marks.words.push(Word {
            lower: lower.to_owned(),
            stem: stem(lower),
            plain: is_plain(lower) || NEGATIONS.contains(&lower),
        });
    }

    fn settle_opener(&mut self, was_verb: bool) {
        if let Some(opener) = self.opener.take()
            && !was_verb
        {
            self.marks.perhaps.push(opener);
        }
    }

    fn number_word(&mut self, value: u64) {
        self.pending = match self.pending.take() {
            Some(before) if value >= 100 => Some(before.saturating_mul(value)),
            Some(before) if before >= 20 && before.is_multiple_of(10) && value < 10 => {
                Some(before.saturating_add(value))
            }
            Some(before) if before >= 100 && before.is_multiple_of(100) && value < 100 => {
                Some(before.saturating_add(value))
            }
            Some(before) => {
                self.marks.numbers.push(before.to_string());
                Some(value)
            }
            None => Some(value),
        };
    }

    fn flush_number(&mut self) {
        if let Some(number) = self.pending.take() {
            self.marks.numbers.push(number.to_string());
        }
    }
}

/// `1,000.50` as `1000.5`, so that spellings of one number are equal.
fn canonical(number: &str) -> String {
    let (sign, body) = number
        .strip_prefix('-')
        .map_or(("", number), |rest| ("-", rest));
    let body = body.replace(',', "");
    let body = body.trim_end_matches('.');
    let (whole, fraction) = body.split_once('.').unwrap_or((body, ""));
    let whole = match whole.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    // "1.2.3" is a version: its zeros mean something.
    if fraction.contains('.') {
        return format!("{sign}{body}");
    }
    match fraction.trim_end_matches('0') {
        "" => format!("{sign}{whole}"),
        fraction => format!("{sign}{whole}.{fraction}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_equal_however_they_are_spelled() {
        for (a, b) in [
            ("1,000 cows", "1000 cows"),
            ("twenty-five litres", "25 litres"),
            ("5kg of feed", "5 kg of feed"),
            ("$3.50", "3.5 dollars"),
            ("two hundred", "200"),
        ] {
            assert_eq!(Marks::of(a).numbers, Marks::of(b).numbers, "{a} / {b}");
        }
        assert_ne!(Marks::of("-5").numbers, Marks::of("5").numbers);
    }

    #[test]
    fn names_are_told_from_first_words() {
        let marks = Marks::of("Restart the Sensor on pump-7 in Paris. Is ABC_x up?");
        assert_eq!(marks.names, ["sensor", "pump-7", "paris", "abc_x"]);
        assert_eq!(marks.perhaps, [""; 0]);
        assert_eq!(Marks::of("Paris weather").perhaps, ["paris"]);
    }

    #[test]
    fn inflections_share_a_stem() {
        for (a, b) in [
            ("stopping", "stop"),
            ("closed", "close"),
            ("increasing", "increase"),
            ("cows", "cow"),
        ] {
            assert_eq!(stem(a), stem(b));
        }
    }

    #[test]
    fn white_space_does_not_matter_but_case_does() {
        assert_eq!(normalised("  How \n are\tyou "), "How are you");
        assert_ne!(normalised("US"), normalised("us"));
    }
}
