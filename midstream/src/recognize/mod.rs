//! Row patterns as SQL has them (`MATCH_RECOGNIZE`, ISO/IEC 9075-2:2016): regular expressions over the rows of a
//! partition in their order, of which the preferred match is found.
//!
//! The patterns of [`crate::Pattern`] tell every way in which events fit; these tell the one way that the order of
//! alternatives and the greed of quantifiers prefer, and rows that fit nothing are never passed over.

mod matcher;
mod navigate;
mod partition;
mod plan;
mod program;
mod tell;

use std::time::Duration;

pub(crate) use matcher::Recognizer;
pub(crate) use navigate::{Navigation, Pick, Reach, Semantics};
pub(crate) use program::Regex;

use crate::expression::Term;
use crate::predicate::Node;
use crate::rule::Rule;

/// A variable of a row pattern, by its place.
pub(crate) type Variable = u16;

/// A row pattern, as [`parse_sql`](crate::parse_sql) reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecognizeRule {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) partition: Vec<String>,
    pub(crate) variables: Vec<String>,
    pub(crate) regex: Regex,
    /// By variable; those without one fit every row.
    pub(crate) define: Vec<Option<Node<Navigation>>>,
    pub(crate) measures: Vec<(String, Term<Navigation>)>,
    /// What is told, of the measures and the columns; all of them where nothing is named.
    pub(crate) select: Option<Vec<(String, Term<String>)>>,
    /// Which rows are told.
    pub(crate) filter: Option<Node<String>>,
    pub(crate) rows: RowsPerMatch,
    pub(crate) skip: Skip,
    pub(crate) within: Option<Duration>,
}

/// What is told of a match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowsPerMatch {
    One,
    /// Each row; also where nothing was matched.
    All {
        empty: bool,
        unmatched: bool,
    },
}

/// Where matching goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Skip {
    PastLast,
    ToNext,
    ToFirst(Vec<Variable>),
    ToLast(Vec<Variable>),
}

impl RecognizeRule {
    /// The rule's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The source that it reads.
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl From<RecognizeRule> for Rule {
    fn from(rule: RecognizeRule) -> Self {
        Self::Recognize(rule)
    }
}
