//! Rules as text; the grammar is in `LANGUAGE.md`.

mod condition;
mod lexer;
mod parser;
mod pattern;
mod window;

use std::time::Duration;

use crate::error::{Error, Result};
use crate::rule::Rule;
use crate::standardize::Over;
#[cfg(feature = "sql")]
use lexer::Statement;
use lexer::{Kind, statements, tokens};
use parser::Parser;

pub use parser::DEPTH_MAX;

/// The longest text, in bytes.
pub const TEXT_BYTES_MAX: usize = 1 << 20;

/// What a text says.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Program {
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// What is derived from the source before the rules see it.
    pub standardize: Vec<Standardize>,
    /// What is added to sources from tables.
    pub enrich: Vec<Enrich>,
}

/// Fields that rules also see in standard deviations, under their name with `_z` behind it: see
/// [`Standardizer`](crate::Standardizer).
#[derive(Clone, Debug, PartialEq)]
pub struct Standardize {
    /// The fields.
    pub fields: Vec<String>,
    /// From what their usual values are learnt.
    pub over: Over,
}

/// A source whose events get the fields of a table's row: see
/// [`EngineBuilder::enrich`](crate::EngineBuilder::enrich).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrich {
    /// The source.
    pub source: String,
    /// The table.
    pub table: String,
    /// The source's field that is the key of the table's row.
    pub on: String,
}

/// The rules of a text. Patterns without `FROM` are over `source`; a rule without a name is called `rule1`,
/// `rule2`, … by its place. Linear in the text.
///
/// # Errors
/// [`Error::Syntax`] with line and column, also for a text over [`TEXT_BYTES_MAX`] or nested deeper than
/// [`DEPTH_MAX`], and for `STANDARDIZE` and `ENRICH`, which only [`parse_program`] takes.
pub fn parse_rules(text: &str, source: &str) -> Result<Vec<Rule>> {
    let program = parse_program(text, source, None)?;
    if program.standardize.is_empty() && program.enrich.is_empty() {
        return Ok(program.rules);
    }
    Err(Error::Syntax {
        line: 1,
        column: 1,
        cause: "STANDARDIZE and ENRICH derive fields, which only a whole program can".to_owned(),
    })
}

/// All that a text says; rules without a key of their own are told apart by the field `key`.
///
/// # Errors
/// As [`parse_rules`], but `STANDARDIZE` and `ENRICH` are taken.
pub fn parse_program(text: &str, source: &str, key: Option<&str>) -> Result<Program> {
    if text.len() > TEXT_BYTES_MAX {
        return Err(Error::Syntax {
            line: 1,
            column: 1,
            cause: format!("{} bytes, at most {TEXT_BYTES_MAX} are read", text.len()),
        });
    }
    let mut program = Program::default();
    for statement in statements(text) {
        let default = format!("rule{}", program.rules.len() + 1);
        #[cfg(feature = "sql")]
        if crate::sql::is_row_pattern(statement.text) {
            program.rules.push(row_pattern(statement, &default)?);
            continue;
        }
        let mut parser = Parser::new(tokens(statement)?, source, key);
        if *parser.peek() == Kind::End {
            continue;
        }
        parser.statement(&default, &mut program)?;
        if *parser.peek() != Kind::End {
            return parser.wrong("`;` is expected here");
        }
    }
    Ok(program)
}

/// `[RULE name:] SELECT … MATCH_RECOGNIZE …`.
#[cfg(feature = "sql")]
fn row_pattern(statement: Statement<'_>, default: &str) -> Result<Rule> {
    let mut name = default.to_owned();
    let mut sql = statement;
    let head = statement.text.find(':').map(|at| Statement {
        text: &statement.text[..at],
        ..statement
    });
    if let Some(head) = head
        && let Ok(words) = tokens(head)
        && let [first, second, _] = words.as_slice()
        && let (Kind::Word(word), Kind::Word(given) | Kind::Name(given)) =
            (&first.kind, &second.kind)
        && word.eq_ignore_ascii_case("RULE")
    {
        name.clone_from(given);
        sql.text = &statement.text[head.text.len() + 1..];
        sql.line += head.text.matches('\n').count();
        let last = head.text.rsplit('\n').next().unwrap_or_default();
        let before = if head.text.contains('\n') {
            1
        } else {
            statement.column
        };
        sql.column = before + last.chars().count() + 1;
    }
    crate::sql::parse_at(sql.text, &name, (sql.line, sql.column)).map(Rule::from)
}

impl Parser {
    fn statement(&mut self, default: &str, program: &mut Program) -> Result<()> {
        if self.word("STANDARDIZE") {
            let statement = self.standardize()?;
            program.standardize.push(statement);
            return Ok(());
        }
        if self.word("ENRICH") {
            let source = self.name("the source")?;
            self.one_of(&["FROM"])?;
            let table = self.name("the table")?;
            self.one_of(&["ON"])?;
            let on = self.name("the field that is the table's key")?;
            program.enrich.push(Enrich { source, table, on });
            return Ok(());
        }
        let mut name = default.to_owned();
        if self.word("RULE") {
            name = self.name("the rule's name")?;
            self.need_sign(":")?;
        }
        let rule = match self.one_of(&["PATTERN", "FROM", "SELECT", "CORRELATE"])? {
            0 => self.pattern(&name),
            1 => self.statement_from(&name, Vec::new()),
            2 => self.select_statement(&name),
            _ => self.correlate(&name, Vec::new()),
        };
        program.rules.push(rule?);
        Ok(())
    }

    fn standardize(&mut self) -> Result<Standardize> {
        let mut fields = vec![self.name("a field")?];
        while self.sign(",") {
            fields.push(self.name("a field")?);
        }
        self.one_of(&["OVER"])?;
        let over: fn(Duration) -> Over = match self.one_of(&["FIRST", "LAST"])? {
            0 => Over::First,
            _ => Over::Last,
        };
        Ok(Standardize {
            fields,
            over: over(self.duration()?),
        })
    }
}
