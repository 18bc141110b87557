//! How much may wait, and what goes first.

use std::time::Duration;

use super::tally::Tally;
use crate::event::Priority;

/// How much may wait for a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The most events.
    pub events_max: u64,
    /// The most bytes of their payloads.
    pub bytes_max: u64,
    /// The oldest event that is kept; the safety-critical are kept whatever their age.
    pub age_max: Duration,
}

impl Default for Policy {
    /// 10,000 events, 64 MiB, 72 hours.
    fn default() -> Self {
        Self {
            events_max: 10_000,
            bytes_max: 64 << 20,
            age_max: Duration::from_secs(72 * 60 * 60),
        }
    }
}

impl Policy {
    /// Everything is kept.
    pub fn unbounded() -> Self {
        Self {
            events_max: u64::MAX,
            bytes_max: u64::MAX,
            age_max: Duration::MAX,
        }
    }

    /// The lane to thin now, and how many events and bytes are too many; none when all is within bounds.
    pub(crate) fn excess(&self, tally: &Tally) -> Option<(Priority, u64, u64)> {
        let lanes = [
            Priority::Telemetry,
            Priority::Normal,
            Priority::SafetyCritical,
        ];
        let (mut events, mut bytes) = (0, 0);
        for lane in lanes {
            events += tally.lane(lane).held;
            bytes += tally.lane(lane).held_bytes;
        }
        let over = (
            events.saturating_sub(self.events_max),
            bytes.saturating_sub(self.bytes_max),
        );
        let lane = lanes.into_iter().find(|lane| tally.lane(*lane).held > 0)?;
        (over != (0, 0)).then_some((lane, over.0, over.1))
    }
}

/// Of a lane that is too long this part goes at least: an overflow that lasts costs one record for many
/// events, not one for each.
const THINNED_PART: usize = 32;

/// Which of a lane's events go, given the sizes of them: evenly over the whole lane, so that what is left
/// still covers the whole time; as many as it takes, and all when even that is too little.
pub(crate) fn thin(sizes: &[u64], events: u64, bytes: u64) -> Vec<usize> {
    let all = sizes.len();
    let least = usize::try_from(events).unwrap_or(usize::MAX);
    let mut count = least.max(all.div_ceil(THINNED_PART)).min(all);
    loop {
        let going: Vec<usize> = (0..count).map(|place| place * all / count).collect();
        let freed: u64 = going.iter().map(|place| sizes[*place]).sum();
        if freed >= bytes || count == all {
            return going;
        }
        count = (count * 2).min(all);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::thin;

    proptest! {
        #[test]
        fn a_thinning_frees_enough_where_there_is_enough(
            sizes in prop::collection::vec(1..100_u64, 0..400),
            events in 0..400_u64,
            bytes in 0..20_000_u64,
        ) {
            let going = thin(&sizes, events, bytes);
            prop_assert!(going.windows(2).all(|pair| pair[0] < pair[1]));
            let freed: u64 = going.iter().map(|place| sizes[*place]).sum();
            let all = going.len() == sizes.len();
            prop_assert!(all || (going.len() as u64 >= events && freed >= bytes));
        }
    }

    #[test]
    fn what_goes_is_spread_over_the_whole_lane() {
        let going = thin(&[10; 1_000], 100, 0);
        assert_eq!(going, (0..1_000).step_by(10).collect::<Vec<_>>());
    }
}
