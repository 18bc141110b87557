//! Makes outputs of complete matches, in order, and lets go what they make void.

use std::sync::Arc;

use crate::event::Value;
use crate::key::Key;
use crate::output::{Found, MatchId, MatchedStep, Output};
use crate::pattern::automaton::{Automaton, ConditionId};
use crate::pattern::buffer::{Buffer, NodeId};
use crate::pattern::plan::{AfterMatch, PatternRule};
use crate::pattern::runs::{Complete, KeyRuns, Run};
use crate::time::Timestamp;

/// How a match is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// A list of events.
    Sequence,
    /// Events by step.
    Pattern,
}

#[derive(Debug)]
pub(crate) struct Teller {
    rule: Arc<str>,
    /// The step's name of each condition.
    names: Vec<Arc<str>>,
    pub form: Form,
    /// A match shares its first event with no other, so that event names it.
    first_is_enough: bool,
}

impl Teller {
    pub fn new(rule: &PatternRule, automaton: &Automaton) -> Self {
        Self {
            rule: rule.name.as_str().into(),
            names: automaton
                .conditions
                .iter()
                .map(|condition| condition.name.clone())
                .collect(),
            form: Form::Pattern,
            first_is_enough: matches!(
                rule.after_match,
                AfterMatch::SkipPastLast | AfterMatch::SkipToNext
            ),
        }
    }

    /// The rule's name.
    pub fn rule(&self) -> &str {
        &self.rule
    }

    /// Tells a key's complete matches in the order in which they began, then in which they were complete,
    /// then the one that took events earlier first. Under a skip strategy a match waits for older partial matches,
    /// for they would come first and might make it void. Gives how many partial matches were let go.
    pub fn tell(
        &self,
        name: &Key,
        key: &mut KeyRuns,
        strategy: &AfterMatch,
        waiting_max: usize,
        buffer: &mut Buffer,
        out: &mut Vec<Output>,
    ) -> usize {
        if key.complete.len() > 1 {
            // The earliest is taken from the end.
            key.complete.sort_by(|a, b| {
                (b.start, b.turn)
                    .cmp(&(a.start, a.turn))
                    .then_with(|| buffer.chain(b.node).cmp(&buffer.chain(a.node)))
            });
        }
        let mut gone = 0;
        while let Some(complete) = key.complete.last().copied() {
            if *strategy != AfterMatch::NoSkip
                && key.complete.len() <= waiting_max
                && key.oldest().is_some_and(|start| start < complete.start)
            {
                break;
            }
            key.complete.pop();
            out.push(self.output(name, &complete, buffer));
            let before = self.void_before(strategy, &complete, buffer);
            buffer.release(complete.node);
            while let Some(run) = key.pop_before(before) {
                buffer.release(run.node);
                gone += 1;
            }
            key.complete.retain(|other| {
                let void = other.start < before;
                if void {
                    buffer.release(other.node);
                }
                !void
            });
        }
        gone
    }

    /// What began before this place in the order of events is void after the match.
    fn void_before(&self, strategy: &AfterMatch, complete: &Complete, buffer: &Buffer) -> u64 {
        let mut nodes = buffer.path(Some(complete.node));
        let named =
            |condition: ConditionId, name: &str| *self.names[usize::from(condition)] == *name;
        let found = match strategy {
            AfterMatch::NoSkip => return 0,
            AfterMatch::SkipToNext => return complete.start + 1,
            AfterMatch::SkipPastLast => {
                return nodes
                    .next()
                    .map_or(0, |node| buffer.event(node).sequence + 1);
            }
            AfterMatch::SkipToFirst(name) => {
                nodes.filter(|node| named(node.condition, name)).last()
            }
            AfterMatch::SkipToLast(name) => nodes.find(|node| named(node.condition, name)),
        };
        found.map_or(0, |node| buffer.event(node).sequence)
    }

    fn output(&self, key: &Key, complete: &Complete, buffer: &Buffer) -> Output {
        let ids = ids(complete.node, buffer);
        let told = if self.first_is_enough { 1 } else { ids.len() };
        let id = self.id(key, &ids[..told]);
        let found = match self.form {
            Form::Sequence => Found::Sequence(ids),
            Form::Pattern => Found::Pattern(self.steps(complete.node, &ids, buffer)),
        };
        Output {
            rule: self.rule.clone(),
            id,
            key: key.value(),
            first: Timestamp::from_millis(complete.start_at),
            last: Timestamp::from_millis(complete.end_at),
            found,
        }
    }

    /// Tells partial matches whose time was over, each list of events once.
    pub fn tell_timeouts(
        &self,
        key: &Key,
        over: &mut [Run],
        within: i64,
        buffer: &Buffer,
        out: &mut Vec<Output>,
    ) {
        over.sort_by_cached_key(|run| (run.start, buffer.chain(run.node)));
        let mut before = None;
        for run in over {
            let chain = buffer.chain(run.node);
            if before.as_ref() == Some(&chain) {
                continue;
            }
            before = Some(chain);
            let ids = ids(run.node, buffer);
            out.push(Output {
                rule: self.rule.clone(),
                id: self.id(key, &ids),
                key: key.value(),
                first: Timestamp::from_millis(run.start_at),
                last: Timestamp::from_millis(run.start_at.saturating_add(within)),
                found: Found::Timeout(self.steps(run.node, &ids, buffer)),
            });
        }
    }

    fn id(&self, key: &Key, ids: &[Arc<str>]) -> MatchId {
        let rule = MatchId::begin().with(&self.rule);
        let keyed = match key {
            Key::Text(text) => rule.with(text),
            other => rule.with(
                &other
                    .value()
                    .as_ref()
                    .map(Value::to_string)
                    .unwrap_or_default(),
            ),
        };
        ids.iter().fold(keyed, |id, event| id.with(event))
    }

    /// The ids of a chain by step.
    fn steps(&self, node: NodeId, ids: &[Arc<str>], buffer: &Buffer) -> Vec<MatchedStep> {
        let mut nodes: Vec<_> = buffer.path(Some(node)).collect();
        nodes.reverse();
        let mut steps: Vec<MatchedStep> = Vec::new();
        for (node, id) in nodes.into_iter().zip(ids) {
            let name = &self.names[usize::from(node.condition)];
            let id = id.clone();
            match steps.iter_mut().find(|step| step.name == *name) {
                Some(step) => step.events.push(id),
                None => steps.push(MatchedStep {
                    name: name.clone(),
                    events: vec![id],
                }),
            }
        }
        steps
    }
}

fn ids(node: NodeId, buffer: &Buffer) -> Vec<Arc<str>> {
    let path = || buffer.path(Some(node));
    let mut ids = Vec::with_capacity(path().count());
    let mut text = String::new();
    ids.extend(path().map(|node| buffer.event(node).id.text_by(&mut text)));
    ids.reverse();
    ids
}
