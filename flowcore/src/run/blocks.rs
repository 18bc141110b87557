//! Steps that run other steps: branches, loops, parallel branches, sub-workflows, `catch`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::launch::expression_failure;
use super::machine::Launched;
use super::{Agenda, Aux, Deadline, Failure, Inner, Parent, Place, Run, StepStatus};
use crate::definition::Collect;
use crate::expr::EvalError;
use crate::plan::{Kind, Plan, Step};

/// Most outputs that `for_each` collects.
pub(crate) const COLLECT_MAX: u64 = 10_000;

/// A block that is about to run for a step.
struct Child<'p> {
    block: u32,
    item: Option<Value>,
    index: u64,
    /// Its name among its siblings, where they are told apart by names.
    part: &'p str,
}

impl Run {
    /// Begins an attempt of a step with a block of its own.
    pub(super) fn open_block(&mut self, plan: &Plan, step: &Step, at: Place) -> Launched {
        let aux = match &step.kind {
            Kind::Branch { arms } => {
                for (arm, index) in arms.iter().zip(0..) {
                    let chosen = match &arm.test {
                        Some(test) => self.test(test, at.frame)?,
                        None => true,
                    };
                    if chosen {
                        self.set_aux(at, Aux::default());
                        self.open_child(
                            plan,
                            at,
                            step,
                            Child {
                                block: arm.block,
                                item: None,
                                index,
                                part: "",
                            },
                        );
                        return Ok(());
                    }
                }
                self.succeed(plan, at, Value::Null);
                return Ok(());
            }
            Kind::Sub {
                input,
                linked: Some((block, _)),
                ..
            } => {
                let input = self.fill(input, at.frame)?;
                self.set_aux(at, Aux::default());
                self.open_child(
                    plan,
                    at,
                    step,
                    Child {
                        block: *block,
                        item: Some(input),
                        index: 0,
                        part: "",
                    },
                );
                return Ok(());
            }
            Kind::Parallel { branches } => {
                self.set_aux(
                    at,
                    Aux {
                        total: branches.len() as u64,
                        ..Aux::default()
                    },
                );
                for ((id, block), index) in branches.iter().zip(0..) {
                    self.open_child(
                        plan,
                        at,
                        step,
                        Child {
                            block: *block,
                            item: None,
                            index,
                            part: id,
                        },
                    );
                }
                return Ok(());
            }
            Kind::While { iterations_max, .. } => Aux {
                total: *iterations_max,
                last: json!({}),
                ..Aux::default()
            },
            Kind::For {
                from,
                to,
                by,
                iterations_max,
                ..
            } => {
                let from = self.integer(&self.fill(from, at.frame)?)?;
                let to = self.integer(&self.fill(to, at.frame)?)?;
                let by = self.integer(&self.fill(by, at.frame)?)?;
                let wrong = |message: String| expression_failure(&EvalError::new(message));
                if by == 0 {
                    return Err(wrong("for.by is 0".to_owned()));
                }
                let distance = i128::from(to) - i128::from(from);
                let (distance, stride) = if by > 0 {
                    (distance, i128::from(by))
                } else {
                    (-distance, -i128::from(by))
                };
                let count = if distance <= 0 {
                    0
                } else {
                    (distance + stride - 1) / stride
                };
                if count > i128::from(*iterations_max) {
                    return Err(too_many(*iterations_max));
                }
                Aux {
                    total: u64::try_from(count).unwrap_or(0),
                    from,
                    by,
                    ..Aux::default()
                }
            }
            Kind::Each { items, collect, .. } => {
                let items = self.evaluate(items, at.frame)?;
                let total = match &items {
                    Value::Array(list) => list.len() as u64,
                    Value::Number(count) if count.is_u64() => count.as_u64().unwrap_or(0),
                    other => {
                        let message =
                            format!("for_each walks a list or counts to an integer, not {other}");
                        return Err(expression_failure(&EvalError::new(message)));
                    }
                };
                if *collect == Collect::List && total > COLLECT_MAX {
                    let message = format!(
                        "{total} outputs are over the limit of {COLLECT_MAX}; say `collect: count`"
                    );
                    return Err(Failure::new("Limit", message));
                }
                Aux {
                    total,
                    items,
                    ..Aux::default()
                }
            }
            _ => {
                let message = "the workflow behind this step is not linked".to_owned();
                return Err(Failure::new("Unlinked", message));
            }
        };
        self.set_aux(at, aux);
        self.worklist().push_back(Agenda::Advance(at));
        Ok(())
    }

    fn integer(&self, value: &Value) -> Result<i64, Failure> {
        value
            .as_i64()
            .ok_or_else(|| expression_failure(&EvalError::new(format!("{value} is no integer"))))
    }

    fn set_aux(&mut self, at: Place, aux: Aux) {
        if let Some(cell) = self.cell_mut(at) {
            cell.aux = Some(Box::new(aux));
        }
    }

    fn open_child(&mut self, plan: &Plan, at: Place, step: &Step, child: Child<'_>) -> u32 {
        let Child {
            block,
            item,
            index,
            part,
        } = child;
        let around = self.frame(at.frame).map_or("", |frame| frame.path());
        let looping = matches!(
            step.kind,
            Kind::While { .. } | Kind::For { .. } | Kind::Each { .. }
        );
        let path = match (looping, part) {
            (true, "") => format!("{around}{}[{index}]/", step.id),
            (_, "") => format!("{around}{}/", step.id),
            (_, part) => format!("{around}{}/{part}/", step.id),
        };
        let inner = Inner {
            parent: Parent::of(at.frame, at.step),
            index,
            item: item.unwrap_or_default(),
            path: path.into(),
        };
        self.enter(plan, block, Some(inner))
    }

    /// Hands a failed step to its `catch`: the step goes on, and ends with what the steps there give.
    pub(super) fn catch(
        &mut self,
        plan: &Plan,
        at: Place,
        step: &Step,
        block: u32,
        failure: &Failure,
    ) {
        if let Some(cell) = self.cell_mut(at) {
            cell.status = StepStatus::Running;
            cell.deadline = Deadline::NONE;
            cell.aux = Some(Box::new(Aux {
                catching: true,
                ..Aux::default()
            }));
        }
        let error = json!({"name": failure.name, "message": failure.message, "step": failure.step});
        self.open_child(
            plan,
            at,
            step,
            Child {
                block,
                item: Some(error),
                index: 0,
                part: "catch",
            },
        );
    }

    /// A child frame of a step ended well.
    pub(super) fn child_done(
        &mut self,
        plan: &Plan,
        at: Place,
        index: u64,
        output: Value,
    ) -> Launched {
        let Some(step) = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return Ok(());
        };
        let Some(aux) = self.cell_mut(at).and_then(|cell| cell.aux.as_mut()) else {
            return Ok(());
        };
        if aux.catching {
            self.succeed(plan, at, output);
            return Ok(());
        }
        match &step.kind {
            Kind::Parallel { branches } => {
                aux.results.insert(index, output);
                if aux.results.len() == branches.len() {
                    let results = std::mem::take(&mut aux.results);
                    let ids = branches.iter().map(|(id, _)| id.to_string());
                    self.succeed(plan, at, ids.zip(results.into_values()).collect());
                }
            }
            Kind::While { .. } | Kind::For { .. } => {
                aux.last = output;
                aux.active = 0;
                self.worklist().push_back(Agenda::Advance(at));
            }
            Kind::Each { collect, .. } => {
                aux.active = aux.active.saturating_sub(1);
                aux.done += 1;
                if *collect == Collect::List {
                    aux.results.insert(index, output);
                }
                self.worklist().push_back(Agenda::Advance(at));
            }
            _ => self.succeed(plan, at, output),
        }
        Ok(())
    }

    /// Starts the next iterations of a loop, or ends it.
    pub(super) fn advance(&mut self, plan: &Plan, at: Place) -> Launched {
        let Some(step) = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return Ok(());
        };
        let Some(cell) = self.cell_mut(at) else {
            return Ok(());
        };
        if cell.status != StepStatus::Running || cell.attempt != at.attempt {
            return Ok(());
        }
        let Some(aux) = cell.aux.as_mut() else {
            return Ok(());
        };
        match &step.kind {
            Kind::While {
                test,
                block,
                iterations_max,
            } => {
                let (index, last) = (aux.next, aux.last.clone());
                aux.next += 1;
                // The condition sees what the body would see.
                let before = self.worklist().len();
                let child = self.open_child(
                    plan,
                    at,
                    step,
                    Child {
                        block: *block,
                        item: Some(last),
                        index,
                        part: "",
                    },
                );
                let wanted = self.test(test, child);
                if matches!(wanted, Ok(true)) && index < *iterations_max {
                    return Ok(());
                }
                self.worklist().truncate(before);
                self.frames.retain(|frame| frame.serial != child);
                if wanted? {
                    return Err(too_many(*iterations_max));
                }
                let last = self
                    .cell_mut(at)
                    .and_then(|cell| cell.aux.as_mut())
                    .map(|aux| std::mem::take(&mut aux.last));
                self.succeed(plan, at, last.filter(|_| index > 0).unwrap_or_default());
            }
            Kind::For { block, .. } => {
                if aux.next >= aux.total {
                    let last = std::mem::take(&mut aux.last);
                    self.succeed(plan, at, last);
                    return Ok(());
                }
                let index = aux.next;
                aux.next += 1;
                let offset = i64::try_from(index)
                    .unwrap_or(i64::MAX)
                    .wrapping_mul(aux.by);
                let number = aux.from.wrapping_add(offset);
                let item = Some(Value::from(number));
                self.open_child(
                    plan,
                    at,
                    step,
                    Child {
                        block: *block,
                        item,
                        index,
                        part: "",
                    },
                );
            }
            Kind::Each {
                block,
                limit,
                collect,
                ..
            } => {
                if aux.done == aux.total {
                    let results: BTreeMap<u64, Value> = std::mem::take(&mut aux.results);
                    let output = match collect {
                        Collect::List => Value::Array(results.into_values().collect()),
                        Collect::Count => json!({"count": aux.total}),
                    };
                    self.succeed(plan, at, output);
                    return Ok(());
                }
                let mut opened = Vec::new();
                while aux.active < *limit && aux.next < aux.total {
                    let item = match &mut aux.items {
                        Value::Array(items) => usize::try_from(aux.next)
                            .ok()
                            .and_then(|next| items.get_mut(next))
                            .map(Value::take),
                        _ => Some(Value::from(aux.next)),
                    };
                    opened.push((aux.next, item.unwrap_or_default()));
                    aux.next += 1;
                    aux.active += 1;
                }
                for (index, item) in opened {
                    self.open_child(
                        plan,
                        at,
                        step,
                        Child {
                            block: *block,
                            item: Some(item),
                            index,
                            part: "",
                        },
                    );
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn too_many(iterations_max: u64) -> Failure {
    let message = format!("the loop wants more than its {iterations_max} iterations");
    Failure::new("MaxIterations", message)
}
