//! What is told of a match, and where the next one is looked for.

use std::sync::Arc;

use super::partition::{Match, Partition};
use super::plan::Plan;
use super::program::Told;
use super::{RowsPerMatch, Skip, Variable};
use crate::event::Value;
use crate::expression::{Place, Values};
use crate::key::Key;
use crate::output::{Found, MatchId, Output, Record};
use crate::time::Timestamp;

impl Plan {
    /// Tells the match in hand, or that there is none, and says where the next one is looked for.
    pub fn decide(&self, key: &[Key], partition: &mut Partition, out: &mut Vec<Output>) {
        partition.begun = false;
        let start = partition.start;
        let Some(Match {
            variables: taken,
            told,
        }) = partition.best.take()
        else {
            let unmatched = start >= partition.covered
                && matches!(
                    self.rows,
                    RowsPerMatch::All {
                        unmatched: true,
                        ..
                    }
                );
            if unmatched {
                out.extend(self.tell_row(key, partition, &[], None));
            }
            partition.covered = partition.covered.max(start + 1);
            partition.go_to(start + 1, self.back);
            return;
        };
        partition.number += 1;
        let end = start + taken.len() as i64;
        match self.rows {
            RowsPerMatch::One => {
                let sight = self.sight(partition, &taken, taken.len());
                let measures = self
                    .measures
                    .iter()
                    .map(|(name, term)| (name.clone(), term.value(&sight)));
                let measures = measures.collect();
                out.extend(self.tell(key, partition, &taken, None, measures));
            }
            RowsPerMatch::All { empty, .. } if taken.is_empty() => {
                if empty {
                    out.extend(self.tell_row(key, partition, &[], Some(0)));
                }
            }
            RowsPerMatch::All { .. } => {
                let told = told.iter().enumerate();
                for (place, _) in told.filter(|(_, told)| **told == Told::Yes) {
                    out.extend(self.tell_row(key, partition, &taken, Some(place)));
                }
            }
        }
        partition.covered = partition.covered.max(end).max(start + 1);
        let of = |variables: &[Variable], first: bool| {
            let mut places = (0..taken.len()).filter(|place| variables.contains(&taken[*place]));
            let found = if first {
                places.next()
            } else {
                places.next_back()
            };
            found.map_or(start + 1, |place| start + place as i64)
        };
        let next = match &self.skip {
            Skip::PastLast => end,
            Skip::ToNext => start + 1,
            Skip::ToFirst(variables) => of(variables, true),
            Skip::ToLast(variables) => of(variables, false),
        };
        // A match never begins again where the one before began.
        partition.go_to(next.max(start + 1), self.back);
    }

    /// A row of `ALL ROWS PER MATCH`; without a place in the match it was matched by none.
    fn tell_row(
        &self,
        key: &[Key],
        partition: &Partition,
        taken: &[Variable],
        place: Option<usize>,
    ) -> Option<Output> {
        let current = place.map_or(0, |place| (place + 1).min(taken.len()));
        let sight = self.sight(partition, taken, current);
        let measures = self.measures.iter().map(|(name, term)| {
            let value = place.and_then(|_| term.value(&sight));
            (name.clone(), value)
        });
        let measures = measures.collect();
        self.tell(key, partition, taken, Some(place.unwrap_or(0)), measures)
    }

    fn tell(
        &self,
        key: &[Key],
        partition: &Partition,
        taken: &[Variable],
        row: Option<usize>,
        measures: Vec<(Arc<str>, Option<Value>)>,
    ) -> Option<Output> {
        let first = partition.held(partition.start)?;
        let length = taken.len().max(1) as i64;
        let last = partition.held(partition.start + length - 1)?;
        let shown = match row {
            Some(row) => partition.held(partition.start + row as i64)?,
            None => first,
        };
        let columns = self
            .columns
            .iter()
            .map(|(name, at)| (name.clone(), shown.values.get(*at).cloned().flatten()));
        let mut columns: Vec<(Arc<str>, Option<Value>)> = columns.chain(measures).collect();
        let all = Named(&columns);
        if self
            .filter
            .as_ref()
            .is_some_and(|filter| !filter.holds_with(&all))
        {
            return None;
        }
        if let Some(select) = &self.select {
            columns = select
                .iter()
                .map(|(name, term)| (name.clone(), term.value(&all)))
                .collect();
        }
        let events: Vec<Arc<str>> = match row {
            Some(_) => vec![shown.id.clone()],
            None => (0..taken.len() as i64)
                .filter_map(|at| Some(partition.held(partition.start + at)?.id.clone()))
                .collect(),
        };
        let key_text: Vec<String> = key
            .iter()
            .map(|key| {
                key.value()
                    .map(|value| value.to_string())
                    .unwrap_or_default()
            })
            .collect();
        let key_text = key_text.join("\u{1f}");
        let row_text = row.map(|row| row.to_string()).unwrap_or_default();
        Some(Output {
            rule: self.name.clone(),
            id: MatchId::of(&[&self.name, &key_text, &first.id, &row_text]),
            key: match key {
                [] => None,
                [only] => only.value(),
                _ => Some(key_text.replace('\u{1f}', ", ").as_str().into()),
            },
            first: Timestamp::from_millis(if row.is_some() { shown.at } else { first.at }),
            last: Timestamp::from_millis(if row.is_some() { shown.at } else { last.at }),
            found: Found::Row(Record { events, columns }),
        })
    }
}

/// Columns by their place.
struct Named<'a>(&'a [(Arc<str>, Option<Value>)]);

impl Values for Named<'_> {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Field(field) => self.0.get(field)?.1.clone(),
            Place::Slot(_) => None,
        }
    }
}
