//! What was told beside a column that says what should have been.
//!
//! A row counts as told where an alarm is on. A rule that emits changes turns its alarm on and off by what it
//! tells; what any other rule tells is an alarm over the time that it is of.

use std::collections::{BTreeSet, HashMap};

use midstream::{Emit, Found, Output, Rule, Timestamp};
use serde_json::{Value, json};

/// How long after a labelled change something told still counts as telling of it.
const SEEN_MILLIS: i64 = 120_000;
/// How long before the end of what is labelled it may be told: labels end when a fault was undone, which a machine
/// may show before.
const EARLY_MILLIS: i64 = 60_000;

pub struct Score {
    /// Rules that tell when something begins and when it is over.
    changes: BTreeSet<String>,
    rows: Vec<(i64, bool)>,
    /// Since when the alarm of each rule and key is on.
    on: HashMap<String, i64>,
    /// Times with an alarm, inclusive.
    alarms: Vec<(i64, i64)>,
    /// When something was told.
    told: Vec<i64>,
}

impl Score {
    pub fn new(rules: &[Rule]) -> Self {
        let changes = rules
            .iter()
            .filter(|rule| rule.emits() == Some(Emit::Changes));
        Self {
            changes: changes.map(|rule| rule.name().to_owned()).collect(),
            rows: Vec::new(),
            on: HashMap::new(),
            alarms: Vec::new(),
            told: Vec::new(),
        }
    }

    pub fn row(&mut self, at: Timestamp, label: &str) {
        let number = label.trim().parse::<f64>();
        let is = number.map_or_else(|_| label.trim().eq_ignore_ascii_case("true"), |n| n != 0.0);
        self.rows.push((at.as_millis(), is));
    }

    pub fn told(&mut self, output: &Output) {
        let (first, last) = (output.first.as_millis(), output.last.as_millis());
        self.told.push(last);
        if !self.changes.contains(&*output.rule) {
            self.alarms.push((first, last));
            return;
        }
        let whose = format!("{} {:?}", output.rule, output.key);
        if matches!(output.found, Found::Over(_)) {
            if let Some(since) = self.on.remove(&whose) {
                self.alarms.push((since, last - 1));
            }
        } else {
            self.on.entry(whose).or_insert(last);
        }
    }

    /// Precision, recall and F1 of the rows, and after how many seconds each labelled change was told.
    pub fn figures(mut self) -> Value {
        self.alarms
            .extend(self.on.into_values().map(|since| (since, i64::MAX)));
        self.rows.sort_unstable();
        self.told.sort_unstable();
        let (mut right, mut wrong, mut missed) = (0_u64, 0_u64, 0_u64);
        for (at, labelled) in &self.rows {
            let told = self
                .alarms
                .iter()
                .any(|(from, to)| (*from..=*to).contains(at));
            right += u64::from(told && *labelled);
            wrong += u64::from(told && !*labelled);
            missed += u64::from(!told && *labelled);
        }
        let changes = self.rows.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        let after: Vec<Option<i64>> = changes
            .map(|pair| {
                let at = pair[1].0;
                let early = if pair[0].1 { EARLY_MILLIS } else { 0 };
                let soon = self.told.iter().find(|told| **told >= at - early);
                soon.map(|told| told - at)
                    .filter(|after| *after <= SEEN_MILLIS)
            })
            .collect();
        let share = |of: u64, all: u64| (all > 0).then(|| of as f64 / all as f64);
        json!({
            "rows_labelled": right + missed,
            "rows_told": right + wrong,
            "precision": share(right, right + wrong),
            "recall": share(right, right + missed),
            "f1": share(2 * right, 2 * right + wrong + missed),
            "changes": after.len(),
            "changes_told_within_2_minutes": after.iter().flatten().count(),
            "told_after_seconds": after.iter().map(|after| after.map(|after| after as f64 / 1000.0)).collect::<Vec<_>>(),
        })
    }
}
