//! `FROM …` and `SELECT …`: windows, rows, latest values; `CORRELATE …`.

use super::condition::Scope;
use super::lexer::Kind;
use super::parser::Parser;
use crate::aggregate::Aggregate;
use crate::error::Result;
use crate::expression::{Expr, Leaf, Term};
use crate::predicate::{Comparison, Node, Predicate};
use crate::rule::{Emit, Fill, Having, Rule, WindowRule};

/// The columns of a `SELECT`; none for `*`.
type Select = Vec<(String, Expr)>;

impl Parser {
    /// `SELECT …`, whose first word was read.
    pub fn select_statement(&mut self, name: &str) -> Result<Rule> {
        let select = self.columns()?;
        match self.one_of(&["FROM", "CORRELATE"])? {
            0 => self.statement_from(name, select),
            _ => self.correlate(name, select),
        }
    }

    /// Columns up to what they are of.
    fn columns(&mut self) -> Result<Select> {
        if self.sign("*") {
            return Ok(Vec::new());
        }
        let mut columns = Vec::new();
        loop {
            let place = self.place;
            let value = self.value(&Scope::Window)?;
            let name = if self.word("AS") {
                self.name("the column's name")?
            } else {
                match &value.0 {
                    Term::Leaf(Leaf::Field(name)) => name.clone(),
                    Term::Leaf(Leaf::Aggregate(kind, of)) => {
                        crate::window::slot_name(*kind, of.as_deref(), columns.len())
                    }
                    _ => format!("value{}", columns.len() + 1),
                }
            };
            if columns.iter().any(|(known, _)| *known == name) {
                return self.wrong_at(
                    place,
                    format!("two columns are called `{name}`; name one with AS"),
                );
            }
            columns.push((name, value));
            if !self.sign(",") {
                return Ok(columns);
            }
        }
    }

    /// What stands behind `FROM`.
    pub fn statement_from(&mut self, name: &str, select: Select) -> Result<Rule> {
        let source = self.name("the source")?;
        let mut window = Rule::window(name, &source);
        window.key.clone_from(&self.key);
        window.select = select;
        let mut condition = None;
        let mut shaped = false;
        let mut latest = None;
        let aggregates = |select: &Select| {
            let is = |leaf: &Leaf| matches!(leaf, Leaf::Aggregate(..));
            select.iter().any(|(_, value)| value.0.any(&is))
        };
        let mut asks = aggregates(&window.select);
        let begin = self.place;
        loop {
            if self.word("WHERE") {
                let found = self.condition(&Scope::Fields)?;
                window = window.filter(found);
            } else if self.word("GROUP") {
                self.one_of(&["BY"])?;
                window.key = Some(self.key()?);
            } else if self.word("BY") {
                window.key = Some(self.key()?);
            } else if self.word("HAVING") {
                condition = Some(self.condition(&Scope::Window)?);
                asks = true;
            } else if self.word("UNTIL") {
                window = window.until(self.condition(&Scope::Window)?);
                asks = true;
            } else if self.word("WITHIN") {
                if let Kind::Number(_) = self.peek() {
                    latest = Some(self.duration()?);
                } else {
                    window = self.window(window)?;
                    shaped = true;
                }
            } else if ["TUMBLING", "SLIDING", "HOPPING", "SESSION"]
                .iter()
                .any(|word| self.is_word(0, word))
                || (self.is_word(0, "COUNT") && self.is_word(1, "WINDOW"))
            {
                window = self.window(window)?;
                shaped = true;
            } else if self.word("LATENESS") {
                window.lateness = self.duration()?;
            } else if self.word("EMIT") {
                window.emit = match self.one_of(&["EVERY", "CHANGES"])? {
                    0 => Emit::Every,
                    _ => Emit::Changes,
                };
            } else if *self.peek() == Kind::End {
                break;
            } else {
                return self.expected(&[
                    "WHERE", "GROUP BY", "HAVING", "UNTIL", "WITHIN", "LATENESS", "EMIT",
                ]);
            }
        }
        if shaped && latest.is_none() {
            if let Some(condition) = condition {
                window = having(window, condition);
            } else if window.select.is_empty() && !asks {
                return self.wrong_at(begin, "a window needs HAVING or a SELECT of aggregates");
            }
            return Ok(window.into());
        }
        if asks || shaped {
            return self.wrong(
                "aggregates need a window: WITHIN TUMBLING, SLIDING, SESSION or COUNT WINDOW",
            );
        }
        let mut rule = Rule::select(name, &source)
            .filter(window.filter)
            .emit(window.emit);
        rule.select = window.select;
        rule.within = latest;
        rule.key = window.key;
        Ok(rule.into())
    }

    fn window(&mut self, rule: WindowRule) -> Result<WindowRule> {
        let kind = self.one_of(&["TUMBLING", "SLIDING", "HOPPING", "SESSION", "COUNT"])?;
        self.one_of(&["WINDOW"])?;
        Ok(match kind {
            0 => rule.tumbling(self.duration()?),
            1 | 2 => {
                let size = self.duration()?;
                if self.word("SLIDE") || self.word("EVERY") {
                    rule.sliding(size, self.duration()?)
                } else if kind == 2 {
                    return self.expected(&["SLIDE"]);
                } else if self.word("WHEN") {
                    let when = self.condition(&Scope::Fields)?;
                    rule.sliding_each_when(size, when)
                } else {
                    rule.sliding_each(size)
                }
            }
            3 => {
                let _ = self.word("GAP");
                let gap = self.duration()?;
                if self.word("MAX") || self.words(&["AT", "MOST"]) {
                    rule.session_at_most(gap, self.duration()?)
                } else {
                    rule.session(gap)
                }
            }
            _ => {
                let size = self.whole("the size of a window of events")?;
                let _ = self.word("EVENTS");
                let slide = if self.word("SLIDE") {
                    self.whole("the slide of a window of events")?
                } else {
                    size
                };
                let fill = if self.word("PARTIAL") {
                    Fill::Partial
                } else {
                    Fill::Full
                };
                rule.count_sliding(size, slide, fill)
            }
        })
    }

    /// `CORRELATE a WITH b …`, whose first word was read.
    pub fn correlate(&mut self, name: &str, select: Select) -> Result<Rule> {
        let mut rule = Rule::join(name, &self.name("the first source")?);
        rule.key.clone_from(&self.key);
        rule.select = select;
        loop {
            if self.word("WITH") {
                rule = rule.with(&self.name("a source")?);
            } else if self.word("BY") {
                rule.key = Some(self.key()?);
            } else if self.word("WHERE") {
                rule.filter = self.condition(&Scope::Fields)?;
            } else if self.word("WITHIN") {
                rule.within = Some(self.duration()?);
            } else if self.word("JOIN") {
                let table = self.name("the table")?;
                self.one_of(&["ON"])?;
                rule = rule.table(&table, &self.name("the field that is the table's key")?);
            } else if self.word("SELECT") {
                rule.select = self.columns()?;
            } else if *self.peek() == Kind::End {
                return Ok(rule.into());
            } else {
                return self.expected(&["WITH", "BY", "WHERE", "WITHIN", "JOIN", "SELECT"]);
            }
        }
    }
}

/// Thresholds on aggregates of one field are the builder's; anything else is a condition.
fn having(mut rule: WindowRule, condition: Predicate) -> WindowRule {
    let mut bounds = Vec::new();
    let mut of = None;
    for part in condition.conjuncts() {
        let Node::Compare(
            Term::Leaf(Leaf::Aggregate(kind, field)),
            comparison,
            Term::Literal(limit),
        ) = &part.0
        else {
            return rule.condition(condition);
        };
        let field = match field.as_deref() {
            None => None,
            Some(Expr(Term::Leaf(Leaf::Field(name)))) => Some(name.clone()),
            Some(_) => return rule.condition(condition),
        };
        let (Some(limit), true) = (limit.as_f64(), of.get_or_insert(field.clone()) == &field)
        else {
            return rule.condition(condition);
        };
        let make: fn(Aggregate, f64) -> Having = match comparison {
            Comparison::Greater => Having::Above,
            Comparison::GreaterOrEqual => Having::AtLeast,
            Comparison::Less => Having::Below,
            Comparison::LessOrEqual => Having::AtMost,
            _ => return rule.condition(condition),
        };
        bounds.push(make(*kind, limit));
    }
    if !rule.select.is_empty() {
        return rule.condition(condition);
    }
    if let Some(Some(name)) = of {
        rule = rule.field(&name);
    }
    bounds.into_iter().fold(rule, WindowRule::having)
}
