//! Whether a copy from elsewhere is one that its schema and a well-behaved replica could have made.

use std::collections::BTreeSet;

use super::{Document, FIELD_BYTES_MAX};
use crate::causal::{Context, Dot, ReplicaId};
use crate::leaf::Leaf;
use crate::leaf::register;
use crate::schema::{Field, Schema};

impl Document {
    /// What is wrong with it, where anything is.
    pub(crate) fn check(&self, schema: &Schema) -> Result<(), String> {
        let mut dots = BTreeSet::new();
        let mut twice = None;
        self.live(&mut |dot: Dot| {
            if !dots.insert(dot) {
                twice = Some(dot);
            }
        });
        if let Some(dot) = twice {
            return Err(format!("two of its fields hold the write {dot}"));
        }
        for (name, leaf) in &self.fields {
            let declared = schema
                .get(name)
                .ok_or_else(|| format!("schema `{}` has no field `{name}`", schema.name()))?;
            check(name, leaf, declared, &self.context)?;
        }
        Ok(())
    }
}

fn check(path: &str, leaf: &Leaf, field: &Field, context: &Context) -> Result<(), String> {
    let mut unseen = false;
    leaf.live(&mut |dot| unseen |= !context.contains(dot));
    if unseen {
        return Err(format!(
            "field `{path}` holds a write that its clock has not seen"
        ));
    }
    match (leaf, field) {
        (Leaf::Register(siblings), field) => {
            for sibling in siblings.values() {
                if !register::fits(&sibling.value, field) {
                    return Err(other(path, field));
                }
                let found = sibling.value.to_string().len();
                if found > FIELD_BYTES_MAX {
                    return Err(format!(
                        "field `{path}` is {found} bytes, at most {FIELD_BYTES_MAX} are allowed"
                    ));
                }
            }
            Ok(())
        }
        (Leaf::Counter(counter), Field::PnCounter) => {
            let replicas: BTreeSet<ReplicaId> =
                counter.tallies.iter().map(|(dot, _)| dot.replica).collect();
            if replicas.len() < counter.tallies.len() {
                return Err(format!("field `{path}` has two tallies of one replica"));
            }
            Ok(())
        }
        (Leaf::Set(set), Field::OrSet(_)) => {
            for member in set.0.keys() {
                let value: serde_json::Value = serde_json::from_str(member)
                    .map_err(|_| format!("field `{path}` has a member that is no JSON"))?;
                let plain =
                    value.is_string() || value.is_boolean() || value.is_i64() || value.is_u64();
                let text = value.to_string();
                if !plain || text != *member {
                    return Err(format!("field `{path}` has a member that no set has"));
                }
            }
            Ok(())
        }
        (Leaf::Map(map), Field::OrMap(value, _)) => map
            .leaves
            .iter()
            .try_for_each(|(key, leaf)| check(&crate::path::join(path, key), leaf, value, context)),
        (Leaf::Text(text), Field::List) => text
            .check()
            .map_err(|cause| format!("field `{path}`: {cause}")),
        _ => Err(other(path, field)),
    }
}

fn other(path: &str, field: &Field) -> String {
    format!("field `{path}` does not hold what {} holds", field.name())
}
