//! The order of the steps in a block.

use super::Step;
use super::compile::Compiler;
use super::names::BlockNames;
use crate::definition::StepDef;
use crate::error::Result;

impl Compiler<'_> {
    /// Turns `needs` (or the order of the text) into edges, and finds cycles. Returns the first steps.
    pub(super) fn connect(
        &self,
        path: &str,
        defs: &[StepDef],
        steps: &mut [Step],
        names: &BlockNames<'_>,
    ) -> Result<Vec<u32>> {
        let mut next: Vec<Vec<u32>> = vec![Vec::new(); steps.len()];
        let mut entry = Vec::new();
        for (index, step) in defs.iter().enumerate() {
            let here = u32::try_from(index).unwrap_or(u32::MAX);
            let site = self.site(path, step);
            let mut before = Vec::new();
            match &step.needs {
                None if index > 0 => before.push(here - 1),
                None => {}
                Some(needs) => {
                    for need in needs {
                        let Some(found) = names.steps.get(need) else {
                            return Err(
                                site.invalid(format!("needs `{need}`, which is no step beside it"))
                            );
                        };
                        if !before.contains(&u32::from(*found)) {
                            before.push(u32::from(*found));
                        }
                    }
                }
            }
            for from in &before {
                let from = &defs[*from as usize];
                let stops = from.fail.is_some() && from.condition.is_none();
                if stops && from.catch.is_none() && from.fallback.is_none() {
                    return Err(site.invalid(format!(
                        "can never run: `{}` before it always fails",
                        from.id
                    )));
                }
            }
            if before.is_empty() {
                entry.push(here);
            }
            steps[index].needs = u16::try_from(before.len()).unwrap_or(u16::MAX);
            for from in before {
                next[from as usize].push(here);
            }
        }
        // Kahn's algorithm: what is left over stands in a cycle or behind one.
        let mut open: Vec<u16> = steps.iter().map(|step| step.needs).collect();
        let mut ready = entry.clone();
        let mut reached = 0;
        while let Some(step) = ready.pop() {
            reached += 1;
            for follower in &next[step as usize] {
                open[*follower as usize] -= 1;
                if open[*follower as usize] == 0 {
                    ready.push(*follower);
                }
            }
        }
        if reached < steps.len() {
            let stuck: Vec<&StepDef> = open
                .iter()
                .zip(defs)
                .filter(|(left, _)| **left > 0)
                .map(|(_, step)| step)
                .collect();
            let ids: Vec<&str> = stuck.iter().map(|step| step.id.as_str()).collect();
            return Err(self
                .site(path, stuck[0])
                .invalid(format!("`needs` form a cycle through {}", ids.join(", "))));
        }
        for (step, next) in steps.iter_mut().zip(next) {
            step.next = next.into();
        }
        Ok(entry)
    }
}
