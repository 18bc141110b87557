//! A row pattern as a program whose branches are in order of preference (K. Thompson, 1968; the order is that of
//! R. Pike's simulation, see R. Cox, *Regular Expression Matching: the Virtual Machine Approach*, 2009).

use serde::{Deserialize, Serialize};

use super::Variable;

/// The most instructions of a program: counts and `PERMUTE` are written out.
const PROGRAM_MAX: usize = 10_000;

/// A row pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Regex {
    Empty,
    Variable(Variable),
    Sequence(Vec<Regex>),
    /// The first is preferred.
    Alternation(Vec<Regex>),
    Repeat {
        of: Box<Regex>,
        min: u32,
        max: Option<u32>,
        greedy: bool,
    },
    /// All, in any order; the order of writing is preferred.
    Permutation(Vec<Regex>),
    /// Its rows are matched and not told.
    Excluded(Box<Regex>),
    /// `^`: before the first row of the partition.
    Begin,
    /// `$`: behind its last row.
    End,
}

impl Regex {
    /// Whether any part is excluded from what is told.
    pub fn excludes(&self) -> bool {
        match self {
            Self::Excluded(_) => true,
            Self::Sequence(parts) | Self::Alternation(parts) | Self::Permutation(parts) => {
                parts.iter().any(Self::excludes)
            }
            Self::Repeat { of, .. } => of.excludes(),
            Self::Empty | Self::Variable(_) | Self::Begin | Self::End => false,
        }
    }
}

/// Whether a row that was matched is told, where all rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Told {
    Yes,
    /// It stands in `{- … -}`.
    No,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Instruction {
    /// Takes a row as this variable.
    Take(Variable, Told),
    /// Goes on before the first row of a partition only.
    Begin,
    /// Goes on when no row comes any more.
    End,
    /// Goes on at both; the first is preferred.
    Fork(usize, usize),
    Jump(usize),
    Match,
}

/// The program of a pattern; none where it is too long.
pub(crate) fn compile(regex: &Regex) -> Option<Vec<Instruction>> {
    let mut program = Vec::new();
    add(regex, Told::Yes, &mut program)?;
    program.push(Instruction::Match);
    Some(program)
}

fn push(program: &mut Vec<Instruction>, instruction: Instruction) -> Option<usize> {
    if program.len() >= PROGRAM_MAX {
        return None;
    }
    program.push(instruction);
    Some(program.len() - 1)
}

fn fork(greedy: bool, inside: usize, outside: usize) -> Instruction {
    if greedy {
        Instruction::Fork(inside, outside)
    } else {
        Instruction::Fork(outside, inside)
    }
}

fn add(regex: &Regex, told: Told, program: &mut Vec<Instruction>) -> Option<()> {
    match regex {
        Regex::Empty => {}
        Regex::Variable(variable) => {
            push(program, Instruction::Take(*variable, told))?;
        }
        Regex::Excluded(of) => add(of, Told::No, program)?,
        Regex::Begin => {
            push(program, Instruction::Begin)?;
        }
        Regex::End => {
            push(program, Instruction::End)?;
        }
        Regex::Sequence(parts) => {
            for part in parts {
                add(part, told, program)?;
            }
        }
        Regex::Alternation(branches) => {
            alternation(branches, program, |branch, program| {
                add(branch, told, program)
            })?;
        }
        Regex::Permutation(members) => {
            let orders = orders(members.len())?;
            alternation(&orders, program, |order, program| {
                for place in order {
                    add(&members[*place], told, program)?;
                }
                Some(())
            })?;
        }
        Regex::Repeat {
            of,
            min,
            max,
            greedy,
        } => {
            for _ in 0..*min {
                add(of, told, program)?;
            }
            let Some(max) = max else {
                let begin = push(program, Instruction::Jump(0))?;
                add(of, told, program)?;
                push(program, Instruction::Jump(begin))?;
                program[begin] = fork(*greedy, begin + 1, program.len());
                return Some(());
            };
            let mut forks = Vec::new();
            for _ in *min..*max {
                forks.push(push(program, Instruction::Jump(0))?);
                add(of, told, program)?;
            }
            let end = program.len();
            for at in forks {
                program[at] = fork(*greedy, at + 1, end);
            }
        }
    }
    Some(())
}

fn alternation<T>(
    branches: &[T],
    program: &mut Vec<Instruction>,
    mut branch: impl FnMut(&T, &mut Vec<Instruction>) -> Option<()>,
) -> Option<()> {
    let mut ends = Vec::new();
    for (place, one) in branches.iter().enumerate() {
        let last = place + 1 == branches.len();
        let at = if last {
            None
        } else {
            Some(push(program, Instruction::Jump(0))?)
        };
        branch(one, program)?;
        if let Some(at) = at {
            ends.push(push(program, Instruction::Jump(0))?);
            program[at] = Instruction::Fork(at + 1, program.len());
        }
    }
    let end = program.len();
    for at in ends {
        program[at] = Instruction::Jump(end);
    }
    Some(())
}

/// All orders of so many things, in lexical order; none for more than six.
fn orders(count: usize) -> Option<Vec<Vec<usize>>> {
    if count > 6 {
        return None;
    }
    let mut all = vec![Vec::new()];
    for _ in 0..count {
        let mut longer = Vec::new();
        for order in &all {
            for place in (0..count).filter(|place| !order.contains(place)) {
                let mut next: Vec<usize> = order.clone();
                next.push(place);
                longer.push(next);
            }
        }
        all = longer;
    }
    Some(all)
}
