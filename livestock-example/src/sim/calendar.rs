//! Who is booked when, so that staged things never overlap.

use std::collections::HashMap;
use std::ops::Range;

use super::Millis;

/// What can be booked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Resource {
    /// The ground that one camera sees: people, dogs, lights.
    Ground(usize),
    /// The trough that one camera sees.
    Trough(usize),
    /// One animal.
    Animal(usize),
}

/// Bookings by resource.
#[derive(Debug, Default)]
pub(super) struct Calendar {
    booked: HashMap<Resource, Vec<Range<Millis>>>,
}

/// Random starts to try before the window is searched from the left.
const TRIES: usize = 64;

impl Calendar {
    /// Whether nothing is booked in `span`.
    pub fn is_free(&self, resource: Resource, span: &Range<Millis>) -> bool {
        self.booked.get(&resource).is_none_or(|spans| {
            spans
                .iter()
                .all(|s| s.end <= span.start || span.end <= s.start)
        })
    }

    /// Books `span`, free or not.
    pub fn book(&mut self, resource: Resource, span: Range<Millis>) {
        self.booked.entry(resource).or_default().push(span);
    }

    /// A start in `window` for something `length` long with `gap` free before and after it: random where
    /// there is room, else the first that fits.
    pub fn find(
        &self,
        resource: Resource,
        window: &Range<Millis>,
        length: Millis,
        gap: Millis,
        rng: &mut fastrand::Rng,
    ) -> Option<Millis> {
        let last = window.end - length;
        if last < window.start {
            return None;
        }
        let fits = |start: &Millis| self.is_free(resource, &(start - gap..start + length + gap));
        if let Some(start) = (0..TRIES)
            .map(|_| rng.i64(window.start..=last))
            .find(|start| fits(start))
        {
            return Some(start);
        }
        let after = self.booked.get(&resource).into_iter().flatten();
        after
            .map(|span| span.end + gap)
            .chain([window.start])
            .filter(|start| (window.start..=last).contains(start))
            .filter(fits)
            .min()
    }
}
