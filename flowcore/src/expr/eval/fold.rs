//! Macros: a test over each element of a list or map.

use super::{Evaluated, Evaluation, no_overload};
use crate::expr::EvalError;
use crate::expr::program::{Fold, FoldKind};
use crate::expr::value::Val;

impl<'a> Evaluation<'a, '_> {
    pub(super) fn fold(&mut self, fold: &'a Fold) -> Evaluated<'a> {
        let range = self.run(&fold.range)?;
        let pairs = iteration(&range, fold.second.is_some())?;
        let mut collected = Vec::new();
        let mut entries: Vec<(Val<'a>, Val<'a>)> = Vec::new();
        let mut matches = 0_usize;
        let mut pending: Option<EvalError> = None;
        for (first, second) in pairs {
            let element = if fold.kind == FoldKind::Filter {
                Some(first.clone())
            } else {
                None
            };
            let key = first.clone();
            self.set_local(fold.first, first);
            if let Some(local) = fold.second {
                self.set_local(local, second);
            }
            let passed = match self.run(&fold.test) {
                Ok(Val::Bool(flag)) => flag,
                outcome => {
                    let error = match outcome {
                        Ok(other) => no_overload("macro predicate", &[&other]),
                        Err(error) => error,
                    };
                    // all() and exists() absorb an error when another element decides.
                    if matches!(fold.kind, FoldKind::All | FoldKind::Exists) && !error.is_budget() {
                        pending.get_or_insert(error);
                        continue;
                    }
                    return Err(error);
                }
            };
            match fold.kind {
                FoldKind::All if !passed => return Ok(Val::Bool(false)),
                FoldKind::Exists if passed => return Ok(Val::Bool(true)),
                FoldKind::All | FoldKind::Exists => {}
                FoldKind::ExistsOne => matches += usize::from(passed),
                FoldKind::Filter => collected.extend(element.filter(|_| passed)),
                FoldKind::Map | FoldKind::TransformMap | FoldKind::TransformMapEntry => {
                    if let (true, Some(result)) = (passed, &fold.result) {
                        let value = self.run(result)?;
                        match fold.kind {
                            FoldKind::Map => collected.push(value),
                            FoldKind::TransformMap => entries.push((key, value)),
                            _ => merge_entries(&mut entries, &value)?,
                        }
                    }
                }
            }
        }
        if let Some(error) = pending {
            return Err(error);
        }
        Ok(match fold.kind {
            FoldKind::All => Val::Bool(true),
            FoldKind::Exists => Val::Bool(false),
            FoldKind::ExistsOne => Val::Bool(matches == 1),
            FoldKind::Filter | FoldKind::Map => Val::list(collected),
            FoldKind::TransformMap | FoldKind::TransformMapEntry => Val::map(entries),
        })
    }
}

fn merge_entries<'a>(
    entries: &mut Vec<(Val<'a>, Val<'a>)>,
    value: &Val<'a>,
) -> Result<(), EvalError> {
    let Val::Map(map) = value else {
        return Err(no_overload("transformMapEntry", &[value]));
    };
    for (key, value) in map.entries() {
        if entries.iter().any(|(found, _)| found.equals(&key)) {
            return Err(EvalError::new(format!(
                "transformMapEntry gives the key {} twice",
                key.display()
            )));
        }
        entries.push((key, value));
    }
    Ok(())
}

/// What a macro walks: elements (or keys) alone, or index/key with value.
fn iteration<'a>(range: &Val<'a>, both: bool) -> Result<Vec<(Val<'a>, Val<'a>)>, EvalError> {
    match range {
        Val::List(list) if both => Ok(list
            .iter()
            .enumerate()
            .map(|(index, item)| (Val::Int(index as i64), item))
            .collect()),
        Val::List(list) => Ok(list.iter().map(|item| (item, Val::Null)).collect()),
        Val::Map(map) => Ok(map.entries()),
        other => Err(EvalError::new(format!(
            "a macro walks lists and maps, not a {}",
            other.type_name()
        ))),
    }
}
