//! Values and conditions as text.

use super::lexer::Kind;
use super::parser::{DEPTH_MAX, Parser, nearest};
use crate::aggregate::Aggregate;
use crate::error::Result;
use crate::expression::{Expr, Function, Operator, aggregate, count, earlier, field};
use crate::pattern::Earlier;
use crate::predicate::{Comparison, Predicate};

/// What names and functions stand for where a condition stands.
pub(super) enum Scope<'a> {
    /// The fields of one event, or of events together.
    Fields,
    /// The event that a step takes, and the steps before it.
    Step { own: &'a str, steps: &'a [String] },
    /// A window's aggregates.
    Window,
}

/// A value or a condition: which one it is shows only when it is read.
enum Found {
    Value(Expr),
    Condition(Predicate),
}

/// The words of a condition, for suggestions.
const AGGREGATES: [&str; 11] = [
    "COUNT",
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "STDDEV",
    "MEDIAN",
    "PERCENTILE",
    "FIRST",
    "LAST",
    "DISTINCT",
];

impl Parser {
    pub fn condition(&mut self, scope: &Scope<'_>) -> Result<Predicate> {
        let place = self.place;
        let found = self.any_of_conditions(scope)?;
        self.as_condition(found, place)
    }

    pub fn value(&mut self, scope: &Scope<'_>) -> Result<Expr> {
        let place = self.place;
        let found = self.sum(scope)?;
        self.as_value(found, place)
    }

    fn as_condition(&self, found: Found, place: usize) -> Result<Predicate> {
        match found {
            Found::Condition(condition) => Ok(condition),
            // A field of truth stands for itself.
            Found::Value(value) => {
                if matches!(self.peek(), Kind::Sign("=" | ",") | Kind::Number(_)) {
                    return self.wrong("a comparison is expected here: < <= > >= = !=");
                }
                if !value.is_field() {
                    return self.wrong_at(place, "a condition is expected here, this is a value");
                }
                Ok(value.is(Comparison::Equal, true))
            }
        }
    }

    fn as_value(&self, found: Found, place: usize) -> Result<Expr> {
        match found {
            Found::Value(value) => Ok(value),
            Found::Condition(_) => {
                self.wrong_at(place, "a value is expected here, this is a condition")
            }
        }
    }

    /// Counts one more part of a chain, which nests to the left.
    fn chain(&self, parts: usize) -> Result<usize> {
        if parts >= DEPTH_MAX {
            return self.wrong(format!("a chain of more than {DEPTH_MAX} parts"));
        }
        Ok(parts + 1)
    }

    fn any_of_conditions(&mut self, scope: &Scope<'_>) -> Result<Found> {
        let place = self.place;
        let mut left = self.all_of_conditions(scope)?;
        let mut parts = 1;
        while self.word("OR") {
            parts = self.chain(parts)?;
            let right_place = self.place;
            let right = self.all_of_conditions(scope)?;
            let right = self.as_condition(right, right_place)?;
            left = Found::Condition(self.as_condition(left, place)?.or(right));
        }
        Ok(left)
    }

    fn all_of_conditions(&mut self, scope: &Scope<'_>) -> Result<Found> {
        let place = self.place;
        let mut left = self.negation(scope)?;
        let mut parts = 1;
        while self.word("AND") {
            parts = self.chain(parts)?;
            let right_place = self.place;
            let right = self.negation(scope)?;
            let right = self.as_condition(right, right_place)?;
            left = Found::Condition(self.as_condition(left, place)?.and(right));
        }
        Ok(left)
    }

    fn negation(&mut self, scope: &Scope<'_>) -> Result<Found> {
        if !self.is_word(0, "NOT") {
            return self.comparison(scope);
        }
        self.nested(|parser| {
            parser.place += 1;
            let place = parser.place;
            let inner = parser.negation(scope)?;
            Ok(Found::Condition(
                parser.as_condition(inner, place)?.negate(),
            ))
        })
    }

    fn comparison(&mut self, scope: &Scope<'_>) -> Result<Found> {
        let place = self.place;
        let left = self.sum(scope)?;
        if let Some(comparison) = self.comparison_sign() {
            let left = self.as_value(left, place)?;
            let right = self.value(scope)?;
            // A number before a name is turned round, so that equal rules are equal plans.
            return Ok(Found::Condition(
                if left.is_literal() && !right.is_literal() {
                    right.is(turned(comparison), left)
                } else {
                    left.is(comparison, right)
                },
            ));
        }
        let not = self.is_word(0, "NOT")
            && ["IN", "BETWEEN", "LIKE"]
                .iter()
                .any(|word| self.is_word(1, word));
        self.place += usize::from(not);
        let found = if self.word("IN") {
            let left = self.as_value(left, place)?;
            self.need_sign("(")?;
            let mut any = left.clone().is(Comparison::Equal, self.value(scope)?);
            let mut parts = 1;
            while self.sign(",") {
                parts = self.chain(parts)?;
                any = any.or(left.clone().is(Comparison::Equal, self.value(scope)?));
            }
            self.need_sign(")")?;
            any
        } else if self.word("BETWEEN") {
            let left = self.as_value(left, place)?;
            let least = self.value(scope)?;
            self.one_of(&["AND"])?;
            let most = self.value(scope)?;
            let above = left.clone().is(Comparison::GreaterOrEqual, least);
            above.and(left.is(Comparison::LessOrEqual, most))
        } else if self.word("LIKE") {
            let left = self.as_value(left, place)?;
            let Kind::Text(pattern) = self.peek().clone() else {
                return self.wrong("a text with % and _ is expected here, in single quotes");
            };
            self.place += 1;
            left.like(&pattern)
        } else if self.word("IS") {
            let left = self.as_value(left, place)?;
            let there = self.word("NOT");
            self.one_of(&["NULL", "MISSING"])?;
            let missing = left.is_missing();
            return Ok(Found::Condition(if there {
                missing.negate()
            } else {
                missing
            }));
        } else {
            return Ok(left);
        };
        Ok(Found::Condition(if not { found.negate() } else { found }))
    }

    fn comparison_sign(&mut self) -> Option<Comparison> {
        let Kind::Sign(sign) = *self.peek() else {
            return None;
        };
        let found = match sign {
            "<" => Comparison::Less,
            "<=" => Comparison::LessOrEqual,
            ">" => Comparison::Greater,
            ">=" => Comparison::GreaterOrEqual,
            "=" | "==" => Comparison::Equal,
            "!=" | "<>" => Comparison::NotEqual,
            _ => return None,
        };
        self.place += 1;
        Some(found)
    }

    fn sum(&mut self, scope: &Scope<'_>) -> Result<Found> {
        self.chained(
            scope,
            &[("+", Operator::Plus), ("-", Operator::Minus)],
            Self::product,
        )
    }

    fn product(&mut self, scope: &Scope<'_>) -> Result<Found> {
        let signs = [
            ("*", Operator::Times),
            ("/", Operator::Over),
            ("%", Operator::Modulo),
        ];
        self.chained(scope, &signs, Self::unary)
    }

    fn chained(
        &mut self,
        scope: &Scope<'_>,
        signs: &[(&str, Operator)],
        inner: fn(&mut Self, &Scope<'_>) -> Result<Found>,
    ) -> Result<Found> {
        let place = self.place;
        let mut left = inner(self, scope)?;
        let mut parts = 1;
        while let Some((_, operator)) = signs.iter().find(|(sign, _)| self.sign(sign)) {
            parts = self.chain(parts)?;
            let right_place = self.place;
            let right = inner(self, scope)?;
            let right = self.as_value(right, right_place)?;
            left = Found::Value(Expr::arithmetic(
                *operator,
                self.as_value(left, place)?,
                right,
            ));
        }
        Ok(left)
    }

    fn unary(&mut self, scope: &Scope<'_>) -> Result<Found> {
        if self.is_sign(0, "-") {
            if let Kind::Number(number) = *self.ahead(1) {
                self.place += 2;
                return Ok(Found::Value((-number).into()));
            }
            return self.nested(|parser| {
                parser.place += 1;
                let place = parser.place;
                let inner = parser.unary(scope)?;
                Ok(Found::Value(-parser.as_value(inner, place)?))
            });
        }
        self.primary(scope)
    }

    fn primary(&mut self, scope: &Scope<'_>) -> Result<Found> {
        if self.is_sign(0, "(") {
            return self.nested(|parser| {
                parser.place += 1;
                let found = parser.any_of_conditions(scope)?;
                parser.need_sign(")")?;
                Ok(found)
            });
        }
        let value: Expr = match self.peek().clone() {
            Kind::Number(number) => {
                self.place += 1;
                // Beyond this a float is not exact.
                if number.fract() == 0.0 && number.abs() > 9_007_199_254_740_992.0 {
                    (number as i64).into()
                } else {
                    number.into()
                }
            }
            Kind::Text(text) => {
                self.place += 1;
                text.as_str().into()
            }
            Kind::Name(name) => {
                self.place += 1;
                field(&name)
            }
            Kind::Word(_) if self.word("TRUE") => true.into(),
            Kind::Word(_) if self.word("FALSE") => false.into(),
            Kind::Word(word) if self.is_sign(1, "(") => {
                return self.nested(|parser| parser.call(&word, scope).map(Found::Value));
            }
            Kind::Word(_) => {
                let word = self.name("a field")?;
                match scope {
                    Scope::Step { own, steps } => match word.split_once('.') {
                        Some((step, name)) if step == *own => field(name),
                        Some((step, name)) if steps.iter().any(|known| known == step) => {
                            earlier(Earlier::last(step, name))
                        }
                        _ => field(&word),
                    },
                    _ => field(&word),
                }
            }
            _ => return self.wrong("a field, a number or a text is expected here"),
        };
        Ok(Found::Value(value))
    }

    fn call(&mut self, word: &str, scope: &Scope<'_>) -> Result<Expr> {
        let place = self.place;
        self.place += 2;
        let upper = word.to_uppercase();
        if let Some((_, function, least, most)) =
            Function::ALL.iter().find(|(name, ..)| *name == upper)
        {
            let mut operands = vec![self.value(scope)?];
            while self.sign(",") {
                operands.push(self.value(scope)?);
            }
            self.need_sign(")")?;
            if !(*least..=*most).contains(&operands.len()) {
                let wanted = if least == most {
                    least.to_string()
                } else {
                    format!("{least} to {most}")
                };
                let found = operands.len();
                return self.wrong_at(place, format!("{upper} takes {wanted} values, not {found}"));
            }
            return Ok(Expr::call(*function, operands));
        }
        match scope {
            Scope::Window => self.aggregate(&upper, place),
            Scope::Step { own, steps } => self.pick(&upper, place, own, steps),
            Scope::Fields if AGGREGATES.contains(&upper.as_str()) => self.wrong_at(
                place,
                format!("{upper}(…) is of a window: it stands in SELECT or HAVING of a rule with a window"),
            ),
            Scope::Fields => self.no_function(&upper, place),
        }
    }

    fn no_function<T>(&self, word: &str, place: usize) -> Result<T> {
        let known = Function::ALL
            .iter()
            .map(|(name, ..)| *name)
            .chain(AGGREGATES);
        let near = nearest(word, known);
        let near = near.map(|near| format!("; did you mean `{near}`?"));
        self.wrong_at(
            place,
            format!("there is no function `{word}`{}", near.unwrap_or_default()),
        )
    }

    /// An aggregate of a window, whose opening parenthesis was read.
    fn aggregate(&mut self, word: &str, place: usize) -> Result<Expr> {
        if word == "COUNT" && self.sign("*") {
            self.need_sign(")")?;
            return Ok(count());
        }
        let distinct = word == "COUNT" && self.word("DISTINCT");
        let kind = match word {
            _ if distinct => Aggregate::Distinct,
            "COUNT" => Aggregate::Count,
            "SUM" => Aggregate::Sum,
            "AVG" | "MEAN" => Aggregate::Avg,
            "MIN" => Aggregate::Min,
            "MAX" => Aggregate::Max,
            "STDDEV" => Aggregate::Stddev,
            "MEDIAN" => Aggregate::Percentile(500),
            "PERCENTILE" => Aggregate::Percentile(0),
            "FIRST" => Aggregate::First,
            "LAST" => Aggregate::Last,
            _ => return self.no_function(word, place),
        };
        let of = self.value(&Scope::Fields)?;
        let kind = if word == "PERCENTILE" {
            self.need_sign(",")?;
            let percent_place = self.place;
            let percent = self.number()?;
            if !(0.0..=100.0).contains(&percent) {
                return self.wrong_at(percent_place, "a percentile is from 0 to 100");
            }
            Aggregate::Percentile((percent * 10.0).round() as u16)
        } else {
            kind
        };
        self.need_sign(")")?;
        Ok(aggregate(kind, of))
    }

    /// What a pattern took before, whose function's opening parenthesis was read.
    fn pick(&mut self, word: &str, place: usize, own: &str, steps: &[String]) -> Result<Expr> {
        let make: fn(&str, &str) -> Earlier = match word {
            "FIRST" => Earlier::first,
            "LAST" => Earlier::last,
            "SUM" => Earlier::sum,
            "AVG" => Earlier::average,
            "MIN" => Earlier::least,
            "MAX" => Earlier::greatest,
            "COUNT" => |step, _| Earlier::count(step),
            _ => return self.no_function(word, place),
        };
        let of_place = self.place;
        let of = self.name("a step and a field, as `step.field`,")?;
        let (step, name) = match of.split_once('.') {
            Some(parts) => parts,
            None if word == "COUNT" => (of.as_str(), ""),
            None => {
                return self.wrong_at(
                    of_place,
                    "a step and a field are expected here, as `step.field`",
                );
            }
        };
        if step != own && !steps.iter().any(|known| known == step) {
            let known = steps.iter().map(String::as_str).chain([own]);
            let near = nearest(step, known).map(|near| format!("; did you mean `{near}`?"));
            return self.wrong_at(
                of_place,
                format!(
                    "no step `{step}` comes before `{own}`{}",
                    near.unwrap_or_default()
                ),
            );
        }
        self.need_sign(")")?;
        Ok(earlier(make(step, name)))
    }
}

/// The comparison of the same two values the other way round.
fn turned(comparison: Comparison) -> Comparison {
    match comparison {
        Comparison::Less => Comparison::Greater,
        Comparison::LessOrEqual => Comparison::GreaterOrEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterOrEqual => Comparison::LessOrEqual,
        same => same,
    }
}
