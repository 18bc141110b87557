//! A definition as a picture: Mermaid or DOT text, coloured by where the steps of a run stand.
//!
//! ```
//! use flowcore::{Graph, Workflow};
//!
//! let workflow = Workflow::from_json(r#"{"workflow": {"name": "two", "steps": [
//!     {"id": "a", "action": "work"}, {"id": "b", "set": 1, "condition": "a.ok"}]}}"#)?;
//! let text = Graph::of(&workflow).to_mermaid();
//! assert!(text.starts_with("flowchart TD"));
//! # Ok::<(), flowcore::Error>(())
//! ```

mod dot;
mod mermaid;

use std::collections::HashMap;

use crate::definition::StepDef;
use crate::plan::Workflow;
use crate::run::{StepInfo, StepStatus};

/// Steps and what follows what.
#[derive(Debug, Clone)]
pub struct Graph {
    name: String,
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    clusters: Vec<Cluster>,
}

#[derive(Debug, Clone)]
struct Node {
    /// Ids around and its own, as in [`StepInfo::path`] without iterations.
    path: String,
    label: String,
    /// Chooses what comes next.
    decides: bool,
    cluster: Option<usize>,
    status: Option<StepStatus>,
}

#[derive(Debug, Clone)]
struct Edge {
    from: usize,
    to: usize,
    label: String,
    /// Goes back in a loop, or away from a failure.
    aside: bool,
}

#[derive(Debug, Clone)]
struct Cluster {
    label: String,
    parent: Option<usize>,
}

/// The ends of a piece: where it begins, and what the next one follows.
struct Piece {
    entries: Vec<usize>,
    exits: Vec<usize>,
}

impl Graph {
    /// The picture of a definition. Linear in its steps.
    pub fn of(workflow: &Workflow) -> Self {
        let definition = workflow.definition();
        let mut graph = Graph {
            name: definition.name.clone(),
            nodes: Vec::new(),
            edges: Vec::new(),
            clusters: Vec::new(),
        };
        graph.block("", &definition.steps, None);
        graph
    }

    /// Colours each step as it stands in a run; of several iterations the one that matters most
    /// (failed, then under way, then ended) gives the colour.
    #[must_use]
    pub fn with_steps<'s>(mut self, steps: impl IntoIterator<Item = &'s StepInfo>) -> Self {
        let mut found: HashMap<String, StepStatus> = HashMap::new();
        for step in steps {
            let status = found
                .entry(without_iterations(&step.path))
                .or_insert(step.status);
            if weight(step.status) > weight(*status) {
                *status = step.status;
            }
        }
        for node in &mut self.nodes {
            node.status = found.get(&node.path).copied();
        }
        self
    }

    fn node(&mut self, path: String, step: &StepDef, cluster: Option<usize>) -> usize {
        let (what, decides) = describe(step);
        let mut label = step.id.clone();
        if !what.is_empty() {
            label.push('\n');
            label.push_str(&what);
        }
        if let Some(condition) = &step.condition {
            label.push_str("\nwhen ");
            label.push_str(condition);
        }
        self.nodes.push(Node {
            path,
            label,
            decides,
            cluster,
            status: None,
        });
        self.nodes.len() - 1
    }

    fn edge(&mut self, from: usize, to: usize, label: &str, aside: bool) {
        self.edges.push(Edge {
            from,
            to,
            label: label.to_owned(),
            aside,
        });
    }

    fn block(&mut self, path: &str, steps: &[StepDef], cluster: Option<usize>) -> Piece {
        let pieces: Vec<Piece> = steps
            .iter()
            .map(|step| self.step(path, step, cluster))
            .collect();
        let mut followed = vec![false; steps.len()];
        let mut entries = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            let before: Vec<usize> = match &step.needs {
                None => index.checked_sub(1).into_iter().collect(),
                Some(needs) => needs
                    .iter()
                    .filter_map(|need| steps.iter().position(|step| step.id == *need))
                    .collect(),
            };
            if before.is_empty() {
                entries.extend(&pieces[index].entries);
            }
            for from in before {
                followed[from] = true;
                for exit in pieces[from].exits.clone() {
                    for entry in pieces[index].entries.clone() {
                        self.edge(exit, entry, "", false);
                    }
                }
            }
        }
        let last = pieces
            .iter()
            .zip(followed)
            .filter(|(_, followed)| !followed);
        Piece {
            entries,
            exits: last.flat_map(|(piece, _)| piece.exits.clone()).collect(),
        }
    }

    fn step(&mut self, path: &str, step: &StepDef, cluster: Option<usize>) -> Piece {
        let own = format!("{path}{}", step.id);
        let head = self.node(own.clone(), step, cluster);
        let mut exits = Vec::new();
        let parts = parts(step);
        let loops = step.for_.is_some() || step.while_.is_some() || step.for_each.is_some();
        if !parts.is_empty() {
            self.clusters.push(Cluster {
                label: step.id.clone(),
                parent: cluster,
            });
            let inside = self.clusters.len() - 1;
            for (label, part, body) in &parts {
                let around = match part {
                    Some(part) => format!("{own}/{part}/"),
                    None => format!("{own}/"),
                };
                let piece = self.block(&around, body, Some(inside));
                for entry in piece.entries {
                    self.edge(head, entry, label, false);
                }
                if loops {
                    for exit in piece.exits {
                        self.edge(exit, head, "next", true);
                    }
                } else {
                    exits.extend(piece.exits);
                }
            }
        }
        let skips = step.if_.is_some() && step.else_.is_none()
            || step.switch.is_some() && step.default.is_none();
        let fails = step.fail.is_some() && step.catch.is_none() && step.fallback.is_none();
        if !fails && (parts.is_empty() || loops || skips) {
            exits.push(head);
        }
        for catch in step.catch.iter().flatten() {
            let label = match &catch.on {
                Some(names) => format!("on {}", names.join(", ")),
                None => "on error".to_owned(),
            };
            let piece = self.block(&format!("{own}/catch/"), &catch.steps, cluster);
            for entry in piece.entries {
                self.edge(head, entry, &label, true);
            }
            exits.extend(piece.exits);
        }
        Piece {
            entries: vec![head],
            exits,
        }
    }
}

type Part<'s> = (String, Option<&'s str>, &'s [StepDef]);

/// The blocks of a step: the label of the way in, the part of the path, the steps.
fn parts(step: &StepDef) -> Vec<Part<'_>> {
    let mut parts: Vec<Part<'_>> = Vec::new();
    for (label, body) in [("then", &step.then), ("else", &step.else_)] {
        if let Some(body) = body {
            parts.push((label.to_owned(), None, body));
        }
    }
    for case in step.cases.iter().flatten() {
        let label = match (&case.is, &case.when) {
            (Some(value), _) => value.to_string(),
            (None, Some(when)) => when.clone(),
            (None, None) => String::new(),
        };
        parts.push((label, None, &case.steps));
    }
    if let Some(body) = &step.default {
        parts.push(("default".to_owned(), None, body));
    }
    for branch in step.parallel.iter().flatten() {
        parts.push((String::new(), Some(&branch.id), &branch.steps));
    }
    if let Some(body) = &step.steps {
        parts.push(("each".to_owned(), None, body));
    }
    if let Some(linked) = &step.linked {
        parts.push((String::new(), None, &linked.steps));
    }
    parts
}

/// What a step does in a few words, and whether it decides what comes next.
fn describe(step: &StepDef) -> (String, bool) {
    if let Some(action) = &step.action {
        (action.clone(), false)
    } else if let Some(test) = &step.if_ {
        (format!("if {test}"), true)
    } else if let Some(subject) = &step.switch {
        (format!("switch {subject}"), true)
    } else if let Some(test) = &step.while_ {
        (format!("while {test}"), true)
    } else if step.for_.is_some() {
        ("for".to_owned(), true)
    } else if let Some(items) = &step.for_each {
        (format!("for each of {items}"), true)
    } else if let Some(wait) = &step.wait {
        let what = match (&wait.span, &wait.event) {
            (Some(span), _) => format!("wait {span}"),
            (None, Some(event)) => format!("wait for {event}"),
            (None, None) => "wait".to_owned(),
        };
        (what, false)
    } else if step.approval.is_some() {
        ("approval".to_owned(), false)
    } else if let Some(workflow) = &step.workflow {
        (format!("workflow {workflow}"), false)
    } else if let Some(fail) = &step.fail {
        (format!("fail {}", fail.error), false)
    } else if step.parallel.is_some() {
        ("parallel".to_owned(), false)
    } else {
        ("set".to_owned(), false)
    }
}

/// `pens[3]/feed` is the step `pens/feed` of the definition.
fn without_iterations(path: &str) -> String {
    let mut bare = String::new();
    let mut depth = 0_u32;
    for c in path.chars() {
        match c {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => bare.push(c),
            _ => {}
        }
    }
    bare
}

fn weight(status: StepStatus) -> u8 {
    match status {
        StepStatus::Failed => 7,
        StepStatus::Running => 6,
        StepStatus::Retrying => 5,
        StepStatus::Waiting => 4,
        StepStatus::Succeeded => 3,
        StepStatus::Cancelled => 2,
        StepStatus::Skipped => 1,
        StepStatus::Blocked => 0,
    }
}

/// Name and fill colour of a status.
fn colour(status: StepStatus) -> (&'static str, &'static str) {
    match status {
        StepStatus::Blocked => ("blocked", "#eeeeee"),
        StepStatus::Running => ("running", "#90caf9"),
        StepStatus::Retrying => ("retrying", "#ffcc80"),
        StepStatus::Waiting => ("waiting", "#fff59d"),
        StepStatus::Succeeded => ("succeeded", "#a5d6a7"),
        StepStatus::Skipped => ("skipped", "#cfd8dc"),
        StepStatus::Failed => ("failed", "#ef9a9a"),
        StepStatus::Cancelled => ("cancelled", "#bcaaa4"),
    }
}
