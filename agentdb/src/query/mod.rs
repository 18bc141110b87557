//! Queries over the documents of a schema.

mod condition;
pub(crate) mod key;
mod parse;
pub(crate) mod run;

use crate::db::{Agent, AgentDb};
use crate::error::Result;
use condition::Node;
use run::Plan;

pub(crate) use condition::Condition;
pub use parse::QUERY_BYTES_MAX;

/// Which way documents are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// The smallest first.
    #[default]
    Ascending,
    /// The largest first.
    Descending,
}

/// A query: `db.find("robot", "battery < 20 && task != 'done'")?.order_by("battery").limit(50).run()`.
///
/// ```text
/// query      = and *( "||" and )
/// and        = not *( "&&" not )
/// not        = "!" not / "(" query ")" / comparison
/// comparison = field ( "==" / "!=" / "<" / "<=" / ">" / ">=" ) literal
///            / field "in" "[" [ literal *( "," literal ) ] "]"
/// field      = name *( "." name )
/// literal    = number / 'text' / "text" / true / false
/// ```
/// Numbers are compared with numbers, texts with texts (by their bytes); `true` and `false` know only `==`
/// and `!=`. A document without the field, or with a value of another type there, satisfies no comparison of
/// it but `!=`.
#[derive(Clone)]
pub struct Query<'db> {
    db: &'db AgentDb,
    plan: Plan,
}

impl<'db> Query<'db> {
    pub(crate) fn new(db: &'db AgentDb, schema: &str, text: &str) -> Result<Self> {
        Ok(Self::over(db, schema, Condition::parse(text)?))
    }

    pub(crate) fn all(db: &'db AgentDb, schema: &str) -> Self {
        Self::over(db, schema, Condition(Node::Every))
    }

    fn over(db: &'db AgentDb, schema: &str, condition: Condition) -> Self {
        let plan = Plan::new(schema, db.schema(schema), condition);
        Self { db, plan }
    }

    /// Orders by a field, the smallest first: truth values, numbers, texts, then documents without such a
    /// value; those that are equal by id. Without this the order is by id.
    #[must_use]
    pub fn order_by(self, field: &str) -> Self {
        self.ordered(field, Direction::Ascending)
    }

    /// Orders by a field in a direction; documents without a value come last in both.
    #[must_use]
    pub fn ordered(mut self, field: &str, direction: Direction) -> Self {
        let path = field.split('.').map(str::to_owned).collect();
        self.plan.order = Some((path, direction));
        self
    }

    /// Finds at most so many.
    #[must_use]
    pub fn limit(mut self, limit: usize) -> Self {
        self.plan.limit = limit;
        self
    }

    /// The documents.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), [`Error::Damaged`](crate::Error::Damaged).
    pub fn run(&self) -> Result<Vec<Agent>> {
        self.db.run(&self.plan)
    }

    /// How many there are.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn count(&self) -> Result<usize> {
        self.db.count(&self.plan)
    }

    /// How the documents are found, for people: `index battery (1 ranges), filter, order battery by index,
    /// first 50`.
    pub fn explain(&self) -> String {
        self.plan.to_string()
    }
}
