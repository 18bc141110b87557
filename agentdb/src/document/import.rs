//! Changes that come as JSON: a whole state, a merge patch (RFC 7396), a patch (RFC 6902).
//!
//! All are brought to one form: what a field reads now and what it shall read. Each kind of leaf makes of that
//! the change it knows: a counter adds the difference, a set inserts and removes members.

#[cfg(feature = "patch")]
use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::Edit;
use crate::error::{Error, Result};
use crate::path;
use crate::schema::Field;

fn refused<T>(path: &str, cause: impl Into<String>) -> Result<T> {
    Err(Error::Patch {
        path: path.to_owned(),
        cause: cause.into(),
    })
}

impl Edit<'_> {
    /// Takes in a merge patch (RFC 7396): the fields that it names are made to read what it says. `null`
    /// removes a key of a map, and makes a register read `null`.
    ///
    /// # Errors
    /// [`Error::Patch`] for what a field cannot be made to read: a maximum does not get smaller, a status
    /// does not go back. Nothing was changed then.
    pub fn merge_patch(&mut self, patch: &Value) -> Result<&mut Self> {
        let Value::Object(fields) = patch else {
            return refused("", "a merge patch of a document is an object");
        };
        let state = self.document().to_json(self.schema);
        let mut wanted = Vec::new();
        for (name, change) in fields {
            let now = state.get(name);
            let mut to = now.cloned().unwrap_or_default();
            merge(&mut to, change);
            wanted.push((name.clone(), now.cloned(), Some(to)));
        }
        self.make_all(wanted)
    }

    /// Takes in a patch (RFC 6902) of the document's JSON: its operations make another JSON, and the fields
    /// that differ are made to read that.
    ///
    /// # Errors
    /// [`Error::Patch`] as [`merge_patch`](Self::merge_patch), and for a `test` that fails or a path that is
    /// not there. Nothing was changed then.
    #[cfg(feature = "patch")]
    pub fn patch(&mut self, patch: &Value) -> Result<&mut Self> {
        let failed = |cause: String| Error::Patch {
            path: String::new(),
            cause,
        };
        let operations: json_patch::Patch =
            serde_json::from_value(patch.clone()).map_err(|cause| failed(cause.to_string()))?;
        let state = self.document().to_json(self.schema);
        let mut target = state.clone();
        json_patch::patch(&mut target, &operations).map_err(|cause| failed(cause.to_string()))?;
        self.make(&state, &target)
    }

    /// Makes the document read as another JSON.
    #[cfg(feature = "patch")]
    fn make(&mut self, state: &Value, target: &Value) -> Result<&mut Self> {
        let (Value::Object(now), Value::Object(to)) = (state, target) else {
            return refused("", "a document is an object");
        };
        let names: BTreeSet<&String> = now.keys().chain(to.keys()).collect();
        let wanted = names
            .into_iter()
            .map(|name| (name.clone(), now.get(name).cloned(), to.get(name).cloned()));
        let wanted = wanted.collect();
        self.make_all(wanted)
    }

    /// Makes fields read what is wanted, all or none.
    fn make_all(
        &mut self,
        wanted: Vec<(String, Option<Value>, Option<Value>)>,
    ) -> Result<&mut Self> {
        let before = self.document.clone();
        let (tells, gone) = (self.tells.clone(), self.gone.clone());
        for (name, now, to) in wanted {
            if let Err(cause) = self.make_read(&name, now.as_ref(), to.as_ref()) {
                *self.document = before;
                (self.tells, self.gone) = (tells, gone);
                return Err(cause);
            }
        }
        Ok(self)
    }

    fn make_read(&mut self, path: &str, now: Option<&Value>, to: Option<&Value>) -> Result<()> {
        if now == to {
            return Ok(());
        }
        let field = self.field(path)?;
        let Some(to) = to.filter(|to| !to.is_null() || matches!(field, Field::Lww | Field::Mv))
        else {
            return match field {
                Field::Lww | Field::Mv => self.set(path, Value::Null).map(drop),
                Field::OrSet(_) => self.members(path, now, &Value::Array(Vec::new())),
                Field::OrMap(..) => self.keys(path, now, &Map::new()),
                Field::PnCounter => self.reset(path).map(drop),
                Field::List => self.text(path, now, ""),
                _ => refused(path, format!("{} cannot be removed", field.name())),
            };
        };
        let not = |what: &str| refused(path, format!("{to} is no {what}"));
        match field {
            Field::Lww => self.set(path, to.clone()).map(drop),
            Field::Mv => match to {
                Value::Array(values) if values.len() == 1 => {
                    self.set(path, values[0].clone()).map(drop)
                }
                to => self.set(path, to.clone()).map(drop),
            },
            Field::Max | Field::Min => {
                let (Some(number), before) = (to.as_f64(), now.and_then(Value::as_f64)) else {
                    return not("number");
                };
                match field {
                    Field::Max if before.is_some_and(|before| before > number) => {
                        refused(path, "a maximum does not get smaller")
                    }
                    Field::Min if before.is_some_and(|before| before < number) => {
                        refused(path, "a minimum does not get larger")
                    }
                    Field::Max => self.max(path, number).map(drop),
                    _ => self.min(path, number).map(drop),
                }
            }
            Field::Status(_) => {
                let Some(status) = to.as_str() else {
                    return not("status");
                };
                self.status(path, status)?;
                let reads = self.leaf(path).and_then(|leaf| leaf.to_json(field));
                match reads.as_ref() == Some(to) {
                    true => Ok(()),
                    false => refused(path, "a status does not go back"),
                }
            }
            Field::PnCounter => {
                let before = now.and_then(Value::as_i64).unwrap_or(0);
                match to.as_i64().and_then(|to| to.checked_sub(before)) {
                    Some(by) => self.add(path, by).map(drop),
                    None => not("whole number in reach"),
                }
            }
            Field::Flag(_) => match to {
                Value::Bool(true) => self.enable(path).map(drop),
                Value::Bool(false) => self.disable(path).map(drop),
                _ => not("truth value"),
            },
            Field::OrSet(_) => self.members(path, now, to),
            Field::OrMap(..) => match to {
                Value::Object(to) => self.keys(path, now, to),
                _ => not("object"),
            },
            Field::List => match to.as_str() {
                Some(to) => self.text(path, now, to),
                None => not("text"),
            },
        }
    }

    fn members(&mut self, path: &str, now: Option<&Value>, to: &Value) -> Result<()> {
        let Value::Array(to) = to else {
            return refused(path, format!("{to} is no array"));
        };
        let before = now.and_then(Value::as_array).cloned().unwrap_or_default();
        for member in before.iter().filter(|member| !to.contains(member)) {
            self.remove(path, member.clone())?;
        }
        for member in to.iter().filter(|member| !before.contains(member)) {
            self.insert(path, member.clone())?;
        }
        Ok(())
    }

    fn keys(&mut self, path: &str, now: Option<&Value>, to: &Map<String, Value>) -> Result<()> {
        let before = now.and_then(Value::as_object).cloned().unwrap_or_default();
        for key in before.keys().filter(|key| !to.contains_key(*key)) {
            self.remove_key(&path::join(path, key))?;
        }
        for (key, value) in to {
            self.make_read(&path::join(path, key), before.get(key), Some(value))?;
        }
        Ok(())
    }

    /// Replaces what is between the beginning and the end that both texts have.
    fn text(&mut self, path: &str, now: Option<&Value>, to: &str) -> Result<()> {
        let before: Vec<char> = now
            .and_then(Value::as_str)
            .unwrap_or_default()
            .chars()
            .collect();
        let after: Vec<char> = to.chars().collect();
        let pairs = || before.iter().zip(&after);
        let head = pairs().take_while(|(a, b)| a == b).count();
        let rest = before.len().min(after.len()) - head;
        let ends = before.iter().rev().zip(after.iter().rev()).take(rest);
        let tail = ends.take_while(|(a, b)| a == b).count();
        let insert: String = after[head..after.len() - tail].iter().collect();
        let delete = before.len() - tail - head;
        self.splice(path, head, delete, &insert).map(drop)
    }
}

/// RFC 7396, section 2.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}
