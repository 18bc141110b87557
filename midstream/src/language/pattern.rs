//! `PATTERN …`.

use super::condition::Scope;
use super::lexer::Kind;
use super::parser::Parser;
use crate::error::Result;
use crate::pattern::{
    AfterMatch, Contiguity, Element, Overflow, PartialLimits, Pattern, PatternRule, Step, Timeouts,
    all_of, any_of, group,
};
use crate::predicate::always;
use crate::rule::Rule;

/// What can follow the parts of a pattern.
const CLAUSES: [&str; 6] = ["FROM", "BY", "WITHIN", "AFTER", "EMIT", "LIMIT"];

/// The fewest and the most repetitions.
type Counts = (u32, Option<u32>);

/// The steps of the pattern in hand.
struct Steps {
    source: String,
    names: Vec<String>,
    /// Only steps joined by commas, without anything that a plain sequence cannot say.
    plain: Option<Vec<Step>>,
}

impl Parser {
    /// A pattern, whose first word was read.
    pub fn pattern(&mut self, name: &str) -> Result<Rule> {
        let mut steps = Steps {
            source: self.source_behind()?,
            names: Vec::new(),
            plain: Some(Vec::new()),
        };
        let pattern = if self.is_word(0, "SEQUENCE") {
            self.place += 1;
            self.need_sign("(")?;
            let pattern = self.parts(&mut steps)?;
            self.need_sign(")")?;
            pattern
        } else if self.is_word(1, "OF") {
            steps.plain = None;
            Pattern::begin(self.element(&mut steps)?)
        } else {
            return self.expected(&["SEQUENCE", "ALL OF", "ANY OF"]);
        };
        let mut rule = Rule::pattern(name, pattern);
        rule.key.clone_from(&self.key);
        self.clauses(&mut rule)?;
        let plain = steps.plain.filter(|plain| {
            let untouched = PatternRule {
                key: rule.key.clone(),
                within: rule.within,
                limits: rule.limits,
                ..Rule::pattern(name, rule.pattern.clone())
            };
            rule == untouched && (rule.within.is_some() || plain.len() == 1)
        });
        let Some(plain) = plain else {
            return Ok(rule.into());
        };
        let mut sequence = Rule::sequence(name).limits(rule.limits);
        sequence.key = rule.key;
        sequence.within = rule.within;
        for step in plain {
            sequence = sequence.step(&step.source, step.predicate);
        }
        Ok(sequence.into())
    }

    /// The source that stands behind the parts, which are over at the parenthesis that closes the first one.
    fn source_behind(&self) -> Result<String> {
        let (mut by, mut open) = (0, 0_i64);
        while *self.ahead(by) != Kind::End {
            open += i64::from(self.is_sign(by, "(")) - i64::from(self.is_sign(by, ")"));
            let source = if open == 0 && self.is_word(by, "FROM") {
                self.ahead(by + 1)
            } else {
                &Kind::End
            };
            if let Kind::Word(source) | Kind::Name(source) = source {
                return Ok(source.clone());
            }
            by += 1;
        }
        Ok(self.source.clone())
    }

    fn clauses(&mut self, rule: &mut PatternRule) -> Result<()> {
        loop {
            if self.word("FROM") {
                self.name("the source")?;
            } else if self.word("BY") {
                rule.key = Some(self.key()?);
            } else if self.word("WITHIN") {
                rule.within = Some(self.duration()?);
            } else if self.word("AFTER") {
                self.one_of(&["MATCH"])?;
                rule.after_match = self.after_match()?;
            } else if self.word("EMIT") {
                self.one_of(&["TIMEOUTS"])?;
                rule.timeouts = Timeouts::Tell;
            } else if self.word("LIMIT") {
                rule.limits = self.limits(rule.limits)?;
            } else if *self.peek() == Kind::End {
                return Ok(());
            } else {
                return self.expected(&CLAUSES);
            }
        }
    }

    fn after_match(&mut self) -> Result<AfterMatch> {
        if self.words(&["NO", "SKIP"]) {
            return Ok(AfterMatch::NoSkip);
        }
        self.one_of(&["SKIP", "NO SKIP"])?;
        if self.word("PAST") {
            self.one_of(&["LAST"])?;
            let _ = self.word("ROW") || self.word("EVENT");
            return Ok(AfterMatch::SkipPastLast);
        }
        self.one_of(&["TO", "PAST LAST"])?;
        if self.word("NEXT") {
            let _ = self.word("ROW") || self.word("EVENT");
            return Ok(AfterMatch::SkipToNext);
        }
        Ok(match self.one_of(&["FIRST", "LAST", "NEXT"])? {
            0 => AfterMatch::SkipToFirst(self.name("a step")?),
            _ => AfterMatch::SkipToLast(self.name("a step")?),
        })
    }

    fn limits(&mut self, mut limits: PartialLimits) -> Result<PartialLimits> {
        loop {
            let count = self.whole("a limit")? as usize;
            if self.word("BYTES") {
                limits.bytes = count;
            } else {
                self.one_of(&["PER", "BYTES"])?;
                match self.one_of(&["KEY", "RULE"])? {
                    0 => limits.per_key = count,
                    _ => limits.per_rule = count,
                }
            }
            if !self.sign(",") {
                break;
            }
        }
        if self.word("DROP") {
            limits.overflow = match self.one_of(&["OLDEST", "NEWEST"])? {
                0 => Overflow::DropOldest,
                _ => Overflow::DropNewest,
            };
        }
        Ok(limits)
    }

    fn parts(&mut self, steps: &mut Steps) -> Result<Pattern> {
        self.nested(|parser| {
            let mut pattern = Pattern::default();
            loop {
                pattern = parser.part(pattern, steps)?;
                if !parser.sign(",") {
                    return Ok(pattern);
                }
            }
        })
    }

    /// Whether a word is one that joins, and not the name of a step.
    fn joins(&self, word: &str) -> bool {
        self.is_word(0, word) && !self.is_sign(1, "(")
    }

    fn part(&mut self, pattern: Pattern, steps: &mut Steps) -> Result<Pattern> {
        if self.joins("NOT") {
            steps.plain = None;
            self.place += 1;
            let next = self.joins("NEXT");
            self.place += usize::from(next);
            let step = self.step(steps, false)?;
            if next {
                return Ok(pattern.not_next(step));
            }
            return Ok(if self.word("FOR") {
                pattern.absent(step, self.duration()?)
            } else {
                pattern.not(step)
            });
        }
        let contiguity = if self.joins("NEXT") {
            Contiguity::Strict
        } else if self.joins("ANY") && !self.is_word(1, "OF") {
            Contiguity::Any
        } else {
            // Only a word that says what is so anyway.
            self.place += usize::from(self.joins("THEN"));
            let element = self.element(steps)?;
            return Ok(pattern.then(element));
        };
        steps.plain = None;
        self.place += 1;
        let element = self.element(steps)?;
        Ok(pattern.joined(contiguity, element))
    }

    fn element(&mut self, steps: &mut Steps) -> Result<Element> {
        let plain = steps.plain.is_some();
        let mut before_condition = None;
        let element: Element = if self.is_word(0, "ALL") && self.is_word(1, "OF") {
            steps.plain = None;
            self.place += 2;
            self.need_sign("(")?;
            let mut members = vec![self.step(steps, true)?];
            while self.sign(",") {
                members.push(self.step(steps, true)?);
            }
            self.need_sign(")")?;
            all_of(members)
        } else if self.is_word(0, "ANY") && self.is_word(1, "OF") {
            steps.plain = None;
            self.place += 2;
            self.need_sign("(")?;
            let mut branches = Vec::new();
            loop {
                branches.push(self.nested(|parser| parser.branch(steps))?);
                if !self.sign(",") {
                    break;
                }
            }
            self.need_sign(")")?;
            any_of(branches)
        } else if self.is_sign(0, "(") || (self.is_word(0, "SEQUENCE") && self.is_sign(1, "(")) {
            steps.plain = None;
            self.place += usize::from(self.is_word(0, "SEQUENCE"));
            self.need_sign("(")?;
            let inner = self.parts(steps)?;
            self.need_sign(")")?;
            group(inner)
        } else {
            let (step, quantifier) = self.step_with(steps, true)?;
            before_condition = quantifier;
            if plain && let Some(plain) = &mut steps.plain {
                plain.push(step.clone());
            }
            step.into()
        };
        let quantifier = match before_condition {
            Some(quantifier) => Some(quantifier),
            None => self.quantifier()?,
        };
        let before = element.clone();
        let element = self.modifiers(element, quantifier, steps)?;
        if element != before {
            steps.plain = None;
        }
        Ok(element)
    }

    /// A branch: a step or a group; a sequence of several.
    fn branch(&mut self, steps: &mut Steps) -> Result<Pattern> {
        if self.is_word(0, "SEQUENCE") && self.is_sign(1, "(") {
            self.place += 2;
            let pattern = self.parts(steps)?;
            self.need_sign(")")?;
            return Ok(pattern);
        }
        Ok(Pattern::begin(self.element(steps)?))
    }

    fn modifiers(
        &mut self,
        mut element: Element,
        quantifier: Option<Counts>,
        steps: &Steps,
    ) -> Result<Element> {
        if let Some((min, max)) = quantifier {
            element = match max {
                Some(1) if min == 0 => element.optional(),
                Some(max) => element.times(min..=max),
                None if min == 0 => element.zero_or_more(),
                None => element.at_least(min),
            };
        }
        loop {
            if self.word("GREEDY") {
                element = element.greedy();
            } else if self.sign("?") || self.word("RELUCTANT") {
                // As it is without.
            } else if self.word("STRICT") {
                element = element.inner(Contiguity::Strict);
            } else if self.word("RELAXED") {
                element = element.inner(Contiguity::Relaxed);
            } else if self.word("ANY") {
                element = element.inner(Contiguity::Any);
            } else if self.word("UNTIL") {
                self.need_sign("(")?;
                let scope = Scope::Step {
                    own: "",
                    steps: &steps.names,
                };
                let condition = self.condition(&scope)?;
                self.need_sign(")")?;
                element = element.until(&steps.source, condition);
            } else {
                return Ok(element);
            }
        }
    }

    fn quantifier(&mut self) -> Result<Option<Counts>> {
        if self.sign("*") {
            return Ok(Some((0, None)));
        }
        if self.sign("+") {
            return Ok(Some((1, None)));
        }
        if self.sign("?") {
            return Ok(Some((0, Some(1))));
        }
        if !self.sign("{") {
            return Ok(None);
        }
        let counts = "a number of repetitions";
        let min = if self.is_sign(0, ",") {
            0
        } else {
            self.whole(counts)?
        };
        let max = if !self.sign(",") {
            Some(min)
        } else if self.is_sign(0, "}") {
            None
        } else {
            Some(self.whole(counts)?)
        };
        self.need_sign("}")?;
        Ok(Some((min, max)))
    }

    fn step(&mut self, steps: &mut Steps, kept: bool) -> Result<Step> {
        let place = self.place;
        let (step, quantifier) = self.step_with(steps, kept)?;
        if quantifier.is_some() {
            return self.wrong_at(place, "this step cannot be repeated");
        }
        Ok(step)
    }

    /// `name [quantifier] [FROM source] [(condition)]`.
    fn step_with(&mut self, steps: &mut Steps, kept: bool) -> Result<(Step, Option<Counts>)> {
        let name = self.name("the step's name")?;
        let mut quantifier = self.quantifier()?;
        let source = if self.word("FROM") {
            self.name("the step's source")?
        } else {
            steps.source.clone()
        };
        let mut condition = always();
        if self.is_sign(0, "(") {
            self.place += 1;
            if !self.is_sign(0, ")") {
                let scope = Scope::Step {
                    own: &name,
                    steps: &steps.names,
                };
                condition = self.condition(&scope)?;
            }
            self.need_sign(")")?;
        } else if quantifier.is_none() {
            quantifier = self.quantifier()?;
        }
        if kept && !steps.names.contains(&name) {
            steps.names.push(name.clone());
        }
        let step = Step::new(&name, &source, condition);
        if !step.earlier.is_empty() {
            steps.plain = None;
        }
        Ok((step, quantifier))
    }
}
