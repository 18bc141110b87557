//! Rules that come, change and go while the engine runs.

use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::rule::Rule;

/// What became of a rule's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It goes on from where the rule of that name was.
    Kept,
    /// It begins anew.
    New,
}

impl Engine {
    /// Adds a rule; it sees the events from now on. Linear in the rules.
    ///
    /// # Errors
    /// [`Error::Repeated`] where a rule has its name; what is wrong with it. The engine is then as before.
    pub fn add_rule(&mut self, rule: impl Into<Rule>) -> Result<()> {
        let rule = rule.into();
        if self
            .plan
            .rules
            .iter()
            .any(|known| known.name() == rule.name())
        {
            return Err(Error::Repeated {
                what: "rules",
                name: rule.name().to_owned(),
            });
        }
        let mut rules = self.plan.rules.clone();
        rules.push(rule);
        self.replan(rules)
    }

    /// Puts a rule in the place of that of its name. What that one held is kept where both hold the same: a window
    /// rule that differs only in its thresholds and in when it tells, a pattern that differs only in its limits.
    /// Linear in the rules.
    ///
    /// # Errors
    /// [`Error::UnknownRule`]; what is wrong with the rule. The engine is then as before.
    pub fn replace_rule(&mut self, rule: impl Into<Rule>) -> Result<State> {
        let rule = rule.into();
        let place = self.rule_place(rule.name())?;
        let kept = if rule.holds_the_same(&self.plan.rules[place]) {
            State::Kept
        } else {
            State::New
        };
        let mut rules = self.plan.rules.clone();
        rules[place] = rule;
        self.replan(rules)?;
        Ok(kept)
    }

    /// Takes a rule out, with what it holds. Linear in the rules.
    ///
    /// # Errors
    /// [`Error::UnknownRule`].
    pub fn remove_rule(&mut self, name: &str) -> Result<()> {
        let place = self.rule_place(name)?;
        let mut rules = self.plan.rules.clone();
        rules.remove(place);
        self.replan(rules)
    }

    fn rule_place(&self, name: &str) -> Result<usize> {
        let place = self.plan.rules.iter().position(|rule| rule.name() == name);
        place.ok_or_else(|| Error::UnknownRule(name.to_owned()))
    }

    /// Builds the plan of other rules and takes over what both hold.
    fn replan(&mut self, rules: Vec<Rule>) -> Result<()> {
        let mut plan = self.plan.clone();
        plan.rules = rules;
        let mut fresh = plan.build()?;
        for rule in fresh.plan.rules.clone() {
            let before = self.plan.rules.iter();
            let mut before = before.filter(|known| known.name() == rule.name());
            if before.any(|before| rule.holds_the_same(before))
                && let Some(state) = self.save_rule(rule.name())
            {
                fresh.restore_rule(rule.name(), &state);
            }
        }
        self.plan = fresh.plan;
        self.windows = fresh.windows;
        self.joins = fresh.joins;
        self.patterns = fresh.patterns;
        self.conditions = fresh.conditions;
        self.patterns_due = i64::MIN;
        Ok(())
    }
}
