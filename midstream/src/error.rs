//! What can be wrong with a plan or an event.

use std::time::Duration;

use crate::event::FieldType;

/// What can be wrong with a plan or an event.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A rule or an event names a source that was not given to the builder.
    #[error("no source is called `{0}`; give its schema to Engine::builder().source(…)")]
    UnknownSource(String),
    /// A rule or an enrichment names a table that was not given to the builder.
    #[error("no table is called `{0}`; give it to Engine::builder().table(…)")]
    UnknownTable(String),
    /// Two sources or two rules have one name.
    #[error("two {what} are called `{name}`; names are unique")]
    Repeated {
        /// `sources`, `rules`, `tables` or `fields`.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// A rule or an event names a field that its source does not have.
    #[error("source `{source_name}` has no field `{field}`; it has {known}")]
    UnknownField {
        /// The source.
        source_name: String,
        /// The field asked for.
        field: String,
        /// The fields that there are.
        known: String,
    },
    /// A value is of another type than its field.
    #[error("field `{field}` is {wanted}, the value is {found}")]
    Type {
        /// The field.
        field: String,
        /// Its type.
        wanted: FieldType,
        /// The value's type.
        found: FieldType,
    },
    /// A rule makes no sense.
    #[error("rule `{rule}`: {cause}")]
    Rule {
        /// The rule.
        rule: String,
        /// What is wrong.
        cause: &'static str,
    },
    /// A rule's condition or value cannot stand where it stands.
    #[error("{0}")]
    Misplaced(&'static str),
    /// A condition refers to a step that the pattern does not have.
    #[error("rule `{rule}`: a condition refers to step `{step}`, which the pattern does not have")]
    UnknownStep {
        /// The rule.
        rule: String,
        /// The step asked for.
        step: String,
    },
    /// A window has too many panes: its size by the greatest time that divides size and slide.
    #[error(
        "rule `{rule}`: a window of {size:?} that slides by {slide:?} has more than {panes_max} panes; take times that share a larger divisor"
    )]
    Slide {
        /// The rule.
        rule: String,
        /// The window's size.
        size: Duration,
        /// Its slide.
        slide: Duration,
        /// The most panes of a window.
        panes_max: i64,
    },
    /// A batch's columns do not fit its source or one another.
    #[error("batch of source `{source_name}`: {cause}")]
    Columns {
        /// The source.
        source_name: String,
        /// What is wanted.
        cause: &'static str,
    },
    /// A text of rules cannot be read.
    #[error("line {line}, column {column}: {cause}")]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong and what would be right.
        cause: String,
    },
    /// An event's id is longer than the limit.
    #[error("an event id of {found} bytes, at most {limit} are allowed")]
    IdTooLong {
        /// Its length.
        found: usize,
        /// The limit.
        limit: usize,
    },
}

/// What the crate's functions return.
pub type Result<T> = std::result::Result<T, Error>;
