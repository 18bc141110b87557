//! A row pattern by place: its program, and what conditions and measures ask for.

use std::sync::Arc;

use super::navigate::{Held, Sight, Slot};
use super::partition::Partition;
use super::program::{Instruction, compile};
use super::{Navigation, RecognizeRule, RowsPerMatch, Skip, Variable};
use crate::error::{Error, Result};
use crate::event::Schema;
use crate::expression::{Place, Term};
use crate::predicate::Compiled;
use crate::time::millis;

#[derive(Debug)]
pub(super) struct Plan {
    pub name: Arc<str>,
    pub source: Arc<str>,
    pub partition: Vec<usize>,
    pub variables: Vec<Arc<str>>,
    pub program: Vec<Instruction>,
    pub define: Vec<Option<Compiled>>,
    pub slots: Vec<Slot>,
    pub measures: Vec<(Arc<str>, Term<Place>)>,
    /// The columns told beside the measures.
    pub columns: Vec<(Arc<str>, usize)>,
    /// What is told, where it is not all columns and measures.
    pub select: Option<Vec<(Arc<str>, Term<Place>)>>,
    /// Which rows are told: a condition on all columns and measures.
    pub filter: Option<Compiled>,
    pub rows: RowsPerMatch,
    pub skip: Skip,
    pub within: Option<i64>,
    /// How many rows before and after the row in hand are asked for.
    pub back: i64,
    pub ahead: i64,
    /// No condition asks what was taken before.
    pub forgetful: bool,
}

impl Plan {
    /// The plan of a rule.
    pub fn new(rule: &RecognizeRule, schemas: &[Schema]) -> Result<Self> {
        let bad = |cause| Error::Rule {
            rule: rule.name.clone(),
            cause,
        };
        let schema = crate::engine::schema(schemas, &rule.source)?;
        let program = compile(&rule.regex).ok_or_else(|| {
            bad("the pattern is too long; make its counts and its PERMUTE smaller")
        })?;
        let mut slots = SlotBook {
            schema,
            slots: Vec::new(),
            forgetful: true,
            back: 0,
            ahead: 0,
        };
        let mut define = Vec::new();
        for (variable, condition) in rule.define.iter().enumerate() {
            let condition = condition.as_ref().map(|condition| {
                condition.map(&mut |leaf| slots.place(leaf, Some(variable as Variable)))
            });
            define.push(condition.transpose()?.map(Compiled));
        }
        let mut measures = Vec::new();
        for (name, value) in &rule.measures {
            let term = value.map(&mut |leaf| slots.place(leaf, None))?;
            measures.push((Arc::from(name.as_str()), term));
        }
        let partition: Vec<usize> = rule
            .partition
            .iter()
            .map(|name| schema.index(name))
            .collect::<Result<_>>()?;
        let all = schema.fields().enumerate();
        let columns: Vec<(Arc<str>, usize)> = match rule.rows {
            RowsPerMatch::One => all
                .filter(|(at, _)| partition.contains(at))
                .collect::<Vec<_>>(),
            RowsPerMatch::All { .. } => all.collect(),
        }
        .into_iter()
        .map(|(at, (name, _))| (Arc::from(name), at))
        .collect();
        let names: Vec<&Arc<str>> = columns
            .iter()
            .map(|(name, _)| name)
            .chain(measures.iter().map(|(name, _)| name))
            .collect();
        let known = |name: &String| {
            let place = names.iter().position(|known| ***known == **name);
            place.map(Place::Field).ok_or_else(|| Error::UnknownField {
                source_name: rule.name.clone(),
                field: name.clone(),
                known: names
                    .iter()
                    .map(|name| &***name)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
        };
        let filter = rule.filter.as_ref();
        let filter = filter.map(|filter| filter.map(&mut |leaf| known(leaf)));
        let filter = filter.transpose()?.map(Compiled);
        let select = rule.select.as_ref().map(|select| {
            select
                .iter()
                .map(|(name, term)| {
                    Ok((Arc::from(name.as_str()), term.map(&mut |leaf| known(leaf))?))
                })
                .collect::<Result<Vec<_>>>()
        });
        let select = select.transpose()?;
        Ok(Self {
            name: rule.name.as_str().into(),
            source: schema.shared_name().clone(),
            partition,
            variables: rule
                .variables
                .iter()
                .map(|name| name.as_str().into())
                .collect(),
            program,
            define,
            measures,
            columns,
            select,
            filter,
            rows: rule.rows,
            skip: rule.skip.clone(),
            within: rule.within.map(millis),
            back: slots.back,
            ahead: slots.ahead,
            forgetful: slots.forgetful,
            slots: slots.slots,
        })
    }

    /// What a condition or a measure sees.
    pub fn sight<'a>(
        &'a self,
        partition: &'a Partition,
        taken: &'a [Variable],
        current: usize,
    ) -> Sight<'a, impl Fn(i64) -> Option<&'a Held>> {
        Sight {
            slots: &self.slots,
            row: |place| partition.held(place),
            start: partition.start,
            taken,
            current,
            names: &self.variables,
            number: partition.number,
        }
    }
}

/// Collects what conditions and measures ask for.
struct SlotBook<'a> {
    schema: &'a Schema,
    slots: Vec<Slot>,
    forgetful: bool,
    back: i64,
    ahead: i64,
}

impl SlotBook<'_> {
    /// The place of a value; `own` is the variable whose condition asks.
    fn place(&mut self, leaf: &Navigation, own: Option<Variable>) -> Result<Place> {
        let schema = self.schema;
        let slot = match leaf {
            Navigation::Pick(pick) => {
                self.reach(pick, own);
                Slot::Pick(pick.clone(), Some(schema.index(&pick.column)?))
            }
            Navigation::Classifier(pick) => {
                self.reach(pick, own);
                self.forgetful &= own.is_none() || pick.offset == 0;
                Slot::Classifier(pick.clone())
            }
            Navigation::MatchNumber => Slot::MatchNumber,
            Navigation::RowTime => Slot::RowTime,
            Navigation::Aggregate {
                kind,
                variables,
                of,
                semantics,
            } => {
                self.forgetful &= own.is_none();
                let of = of.as_ref().map(|of| {
                    of.map(&mut |column: &String| Ok(Place::Field(schema.index(column)?)))
                });
                Slot::Aggregate {
                    kind: *kind,
                    variables: variables.clone(),
                    of: of.transpose()?,
                    semantics: *semantics,
                }
            }
        };
        self.slots.push(slot);
        Ok(Place::Slot(self.slots.len() - 1))
    }

    fn reach(&mut self, pick: &super::Pick, own: Option<Variable>) {
        self.back = self.back.max(-pick.offset);
        self.ahead = self.ahead.max(pick.offset);
        // The row in hand is the last one of its own variable, and of all.
        let current = pick.reach == super::Reach::Last(0)
            && own.is_none_or(|own| pick.variables.is_empty() || pick.variables.contains(&own));
        self.forgetful &= own.is_none() || current;
    }
}
