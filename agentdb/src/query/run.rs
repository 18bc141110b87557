//! How a query finds its documents: by an index where a part of the condition allows that, else by reading
//! all documents of the schema. What an index finds is compared again.

use std::cmp::Ordering;
use std::fmt;

use serde_json::Value;

use super::condition::{Condition, Node, Operator, at, compare};
use super::{Direction, key};
use crate::error::{Error, Result};
use crate::schema::Schema;
use crate::storage::{DocumentRow, Rows};

/// Rows of one step.
const PAGE: usize = 256;

/// Keys from one to another, both included.
type Range = (Vec<u8>, Vec<u8>);

/// Where documents are looked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Access {
    /// Among all of the schema.
    All,
    /// Where an index has one of these keys.
    Index { field: String, ranges: Vec<Range> },
}

/// What is done for a query.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) schema: String,
    pub(crate) access: Access,
    pub(crate) condition: Condition,
    pub(crate) order: Option<(Vec<String>, Direction)>,
    pub(crate) limit: usize,
}

impl Plan {
    /// The plan for a condition; without a schema no index is known.
    pub(crate) fn new(name: &str, schema: Option<&Schema>, condition: Condition) -> Self {
        let indexes: Vec<&str> = schema.map_or(Vec::new(), |schema| schema.indexes().collect());
        let access = access(&condition.0, &indexes).map_or(Access::All, |(_, access)| access);
        Self {
            schema: name.to_owned(),
            access,
            condition,
            order: None,
            limit: usize::MAX,
        }
    }

    /// Whether the index has the documents in the order that was asked for.
    fn is_ordered(&self) -> bool {
        match (&self.access, &self.order) {
            (Access::Index { field, .. }, Some((path, Direction::Ascending))) => {
                path.len() == 1 && path[0] == *field
            }
            _ => false,
        }
    }
}

/// How good an access is, and it; none where no index helps.
fn access(node: &Node, indexes: &[&str]) -> Option<(u8, Access)> {
    let index = |path: &[String], ranges: Vec<Range>| {
        let [field] = path else { return None };
        let known = indexes.contains(&field.as_str());
        known.then(|| Access::Index {
            field: field.clone(),
            ranges,
        })
    };
    let exact = |literal: &Value| key::of(literal).map(|key| (key.clone(), key));
    match node {
        Node::Compare(path, operator, literal) => {
            let key = key::of(literal)?;
            let (low, high) = key::type_range(literal)?;
            let (cost, range) = match operator {
                Operator::Equal => (0, (key.clone(), key)),
                Operator::Less | Operator::AtMost => (2, (low, key)),
                Operator::Greater | Operator::AtLeast => (2, (key, high)),
                Operator::Unequal => return None,
            };
            Some((cost, index(path, vec![range])?))
        }
        Node::In(path, literals) => {
            let mut ranges: Vec<Range> = literals.iter().filter_map(exact).collect();
            ranges.sort();
            ranges.dedup();
            Some((1, index(path, ranges)?))
        }
        Node::And(nodes) => {
            let both = nodes.iter().filter_map(|node| access(node, indexes));
            both.min_by_key(|(cost, _)| *cost)
        }
        Node::Every | Node::Not(_) | Node::Or(_) => None,
    }
}

/// `index battery (1 range), filter, order battery by index, first 50`
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.access {
            Access::All => write!(f, "all documents of {}", self.schema)?,
            Access::Index { field, ranges } => {
                write!(f, "index {field} ({} ranges)", ranges.len())?
            }
        }
        if self.condition.0 != Node::Every {
            write!(f, ", filter")?;
        }
        if let Some((path, direction)) = &self.order {
            let by = if self.is_ordered() {
                "by index"
            } else {
                "by sorting"
            };
            let way = match direction {
                Direction::Ascending => "",
                Direction::Descending => " descending",
            };
            write!(f, ", order {}{way} {by}", path.join("."))?;
        }
        if self.limit < usize::MAX {
            write!(f, ", first {}", self.limit)?;
        }
        Ok(())
    }
}

/// The documents that a plan finds.
pub(crate) fn rows(rows: &dyn Rows, plan: &Plan) -> Result<Vec<DocumentRow>> {
    let mut found = Found {
        plan,
        // An order by sorting is known once everything is read.
        enough: match &plan.order {
            Some(_) if !plan.is_ordered() => usize::MAX,
            _ => plan.limit,
        },
        rows: Vec::new(),
    };
    if plan.limit == 0 {
        return Ok(Vec::new());
    }
    match &plan.access {
        Access::All => {
            let mut after: Option<String> = None;
            loop {
                let page = rows.documents(Some(&plan.schema), after.as_deref(), PAGE)?;
                let Some(last) = page.last() else { break };
                after = Some(last.id.clone());
                if found.take(page)? {
                    break;
                }
            }
        }
        Access::Index { field, ranges } if plan.is_ordered() => {
            'ranges: for (from, to) in ranges {
                let mut after: Option<(Vec<u8>, String)> = None;
                loop {
                    let after_key = after.as_ref().map(|(key, id)| (&**key, &**id));
                    let limit = found
                        .enough
                        .saturating_sub(found.rows.len())
                        .clamp(16, PAGE);
                    let page = rows.index(&plan.schema, field, from, to, after_key, limit)?;
                    let Some(last) = page.last() else { break };
                    after = Some(last.clone());
                    for (_, id) in page {
                        let row = rows.document(&id)?;
                        if found.take(row)? {
                            break 'ranges;
                        }
                    }
                }
            }
        }
        Access::Index { field, ranges } => {
            let mut ids = Vec::new();
            for (from, to) in ranges {
                let entries = rows.index(&plan.schema, field, from, to, None, usize::MAX)?;
                ids.extend(entries.into_iter().map(|(_, id)| id));
            }
            ids.sort_unstable();
            for id in ids {
                if found.take(rows.document(&id)?)? {
                    break;
                }
            }
        }
    }
    Ok(found.sorted())
}

struct Found<'p> {
    plan: &'p Plan,
    enough: usize,
    /// With the value that orders, where there is an order by sorting.
    rows: Vec<(Option<Value>, DocumentRow)>,
}

impl Found<'_> {
    /// Takes those that satisfy the condition; whether there are enough.
    fn take(&mut self, rows: impl IntoIterator<Item = DocumentRow>) -> Result<bool> {
        for row in rows {
            let state: Value =
                serde_json::from_str(&row.state).map_err(|cause| Error::Damaged {
                    agent: row.id.clone(),
                    cause: cause.to_string(),
                })?;
            if row.schema != self.plan.schema || !self.plan.condition.holds(&state) {
                continue;
            }
            let path = self.plan.order.as_ref().map(|(path, _)| path);
            let value = path.and_then(|path| at(&state, path)).cloned();
            self.rows.push((value, row));
            if self.rows.len() >= self.enough {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sorted(mut self) -> Vec<DocumentRow> {
        if let Some((_, direction)) = &self.plan.order
            && !self.plan.is_ordered()
        {
            self.rows.sort_by(|(a, row_a), (b, row_b)| {
                values(a.as_ref(), b.as_ref(), *direction).then_with(|| row_a.id.cmp(&row_b.id))
            });
            self.rows.truncate(self.plan.limit);
        }
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// Truth values, numbers, texts, then documents without such a value, whichever the direction.
fn values(a: Option<&Value>, b: Option<&Value>, direction: Direction) -> Ordering {
    let rank = |value: Option<&Value>| match value {
        Some(Value::Bool(_)) => 0,
        Some(Value::Number(_)) => 1,
        Some(Value::String(_)) => 2,
        _ => 3,
    };
    let order = rank(a).cmp(&rank(b));
    let order = order.then_with(|| match (a, b) {
        (Some(a), Some(b)) => compare(a, b).unwrap_or(Ordering::Equal),
        _ => Ordering::Equal,
    });
    match direction {
        Direction::Descending if rank(a) < 3 && rank(b) < 3 => order.reverse(),
        _ => order,
    }
}
