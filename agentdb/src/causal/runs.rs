//! A set of counts as runs.

/// Counts in runs of neighbours: sorted, apart from one another by at least one count that is not in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Runs(Vec<(u64, u64)>);

impl Runs {
    /// First and last of each run, upwards.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.0.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The highest count; 0 without any.
    pub(crate) fn last(&self) -> u64 {
        self.0.last().map_or(0, |run| run.1)
    }

    /// Up to which count all are in.
    pub(crate) fn prefix(&self) -> u64 {
        match self.0.first() {
            Some((1, last)) => *last,
            _ => 0,
        }
    }

    /// The index of the first run that does not end before `count`.
    fn at(&self, count: u64) -> usize {
        self.0.partition_point(|run| run.1 < count)
    }

    /// O(log runs).
    pub(crate) fn contains(&self, count: u64) -> bool {
        self.0.get(self.at(count)).is_some_and(|run| run.0 <= count)
    }

    /// Adds a run, which may overlap others. O(runs), O(log runs) at the end.
    pub(crate) fn add(&mut self, first: u64, last: u64) {
        let from = self.at(first.saturating_sub(1));
        let touched = self.0[from..]
            .iter()
            .take_while(|run| run.0 <= last.saturating_add(1))
            .count();
        if touched == 0 {
            self.0.insert(from, (first, last));
            return;
        }
        let to = from + touched - 1;
        let joined = (first.min(self.0[from].0), last.max(self.0[to].1));
        self.0[from] = joined;
        self.0.drain(from + 1..=to);
    }

    pub(crate) fn join(&mut self, other: &Self) {
        // One linear pass where both have many runs, so that a long list of holes costs no square.
        if self.0.len() < 8 || other.0.len() < 8 {
            for (first, last) in other.iter() {
                self.add(first, last);
            }
            return;
        }
        let mut all = [self.0.as_slice(), &other.0].concat();
        all.sort_unstable();
        self.0.clear();
        for (first, last) in all {
            match self.0.last_mut() {
                Some(run) if first <= run.1.saturating_add(1) => run.1 = run.1.max(last),
                _ => self.0.push((first, last)),
            }
        }
    }

    /// What is in this one and not in the other. O(runs of both).
    pub(crate) fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut holes = other.0.iter().copied().peekable();
        for (mut first, last) in self.iter() {
            while holes.next_if(|hole| hole.1 < first).is_some() {}
            while let Some((hole_first, hole_last)) = holes.peek().copied() {
                if hole_first > last {
                    break;
                }
                if hole_first > first {
                    left.push((first, hole_first - 1));
                }
                first = hole_last.saturating_add(1);
                if hole_last >= last {
                    break;
                }
                holes.next();
            }
            if first <= last {
                left.push((first, last));
            }
        }
        Self(left)
    }

    /// Whether all of the other are in. O(runs of the other · log runs).
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.iter().all(|(first, last)| {
            self.0
                .get(self.at(first))
                .is_some_and(|run| run.0 <= first && run.1 >= last)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::Runs;

    fn runs(pairs: &[(u64, u64)]) -> (Runs, BTreeSet<u64>) {
        let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
        for (first, len) in pairs {
            runs.add(*first, first + len);
            set.extend(*first..=first + len);
        }
        (runs, set)
    }

    fn all(runs: &Runs) -> Vec<u64> {
        runs.iter().flat_map(|(first, last)| first..=last).collect()
    }

    proptest! {
        #[test]
        fn runs_are_a_set_of_counts(
            a in vec((1..80_u64, 0..6_u64), 0..24),
            b in vec((1..80_u64, 0..6_u64), 0..24),
        ) {
            let ((a, set_a), (b, set_b)) = (runs(&a), runs(&b));
            prop_assert_eq!(all(&a), set_a.iter().copied().collect::<Vec<_>>());
            prop_assert!(a.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            let mut joined = a.clone();
            joined.join(&b);
            prop_assert_eq!(all(&joined), set_a.union(&set_b).copied().collect::<Vec<_>>());
            prop_assert!(joined.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0));
            prop_assert_eq!(all(&a.without(&b)), set_a.difference(&set_b).copied().collect::<Vec<_>>());
            prop_assert_eq!(a.covers(&b), set_a.is_superset(&set_b));
            for count in 0..90 {
                prop_assert_eq!(a.contains(count), set_a.contains(&count));
            }
        }
    }
}
