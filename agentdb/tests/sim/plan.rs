//! What happens in a run.

use agentdb::{Durability, Priority};
use fastrand::Rng;

use super::world::Mutant;

/// How many documents a fleet shares.
pub const DOCUMENTS: usize = 3;

/// One thing that happens. Sites are numbered from 0; the last is the aggregator, which writes nothing.
#[derive(Clone, Debug)]
pub enum Op {
    /// A site writes.
    Write {
        site: usize,
        document: usize,
        change: Change,
    },
    /// A site appends an event.
    Event { site: usize, lane: Priority },
    /// The process of a site dies, and is started again after so many milliseconds.
    Crash { site: usize, down: u32 },
    /// The power of a site fails: what was not on the disk is lost, in part.
    PowerCut { site: usize, down: u32 },
    /// Two sites cannot hear one another for so long.
    Partition { a: usize, b: usize, millis: u32 },
    /// The next sync of a site's disk fails.
    SyncFails { site: usize },
    /// A site's disk takes no more for so long.
    DiskFull { site: usize, millis: u32 },
    /// Nothing happens for so long.
    Wait { millis: u32 },
}

/// A write.
#[derive(Clone, Debug)]
pub enum Change {
    /// A value that no other write has.
    Set,
    /// One to one hundred, or as much less.
    Add(i64),
    /// A number.
    Max(u16),
    /// A member that no other write adds.
    Insert,
    /// Removes a member that the site sees.
    Remove(usize),
    /// A key that no other write makes.
    Key,
    /// Removes a key that the site sees.
    RemoveKey(usize),
    /// A member that any site may add and remove.
    Toggle(u8),
    /// Raises or lowers a flag.
    Flag(bool),
}

/// A run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all chance comes from.
    pub seed: u64,
    /// How many sites, the aggregator included.
    pub sites: usize,
    /// Of each site.
    pub durability: Vec<Durability>,
    /// How far each site's clock is ahead, in milliseconds.
    pub clock: Vec<i64>,
    /// Whether devices are linked to one another too, and not to the aggregator alone.
    pub ring: bool,
    /// Of a thousand frames, so many are lost.
    pub loss: u32,
    /// What happens, in order.
    pub ops: Vec<Op>,
    /// A bug that is planted.
    pub mutant: Option<Mutant>,
}

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let sites = rng.usize(3..=5);
        let durability = (0..sites)
            .map(|_| match rng.u8(0..3) {
                0 => Durability::Immediate,
                _ => Durability::Buffered,
            })
            .collect();
        let clock = (0..sites)
            .map(|_| match rng.u8(0..4) {
                0 => rng.i64(-600_000..600_000),
                _ => rng.i64(-50..50),
            })
            .collect();
        let ring = rng.bool();
        let loss = [0, 20, 200][rng.usize(0..3)];
        let count = rng.usize(20..80);
        let ops = (0..count).map(|_| op(&mut rng, sites)).collect();
        Self {
            seed,
            sites,
            durability,
            clock,
            ring,
            loss,
            ops,
            mutant: None,
        }
    }
}

fn op(rng: &mut Rng, sites: usize) -> Op {
    let device = rng.usize(0..sites - 1);
    let site = rng.usize(0..sites);
    match rng.u8(0..100) {
        0..55 => Op::Write {
            site: device,
            document: rng.usize(0..DOCUMENTS),
            change: change(rng),
        },
        55..65 => Op::Event {
            site: device,
            lane: [
                Priority::Telemetry,
                Priority::Normal,
                Priority::SafetyCritical,
            ][rng.usize(0..3)],
        },
        65..70 => Op::Crash {
            site,
            down: rng.u32(0..3_000),
        },
        70..76 => Op::PowerCut {
            site,
            down: rng.u32(0..3_000),
        },
        76..82 => Op::Partition {
            a: site,
            b: rng.usize(0..sites),
            millis: rng.u32(100..20_000),
        },
        82..84 => Op::SyncFails { site },
        84..86 => Op::DiskFull {
            site,
            millis: rng.u32(100..5_000),
        },
        _ => Op::Wait {
            millis: rng.u32(1..3_000),
        },
    }
}

fn change(rng: &mut Rng) -> Change {
    match rng.u8(0..12) {
        0 => Change::Set,
        1 | 2 => Change::Add(rng.i64(-100..=100)),
        3 => Change::Max(rng.u16(..)),
        4 | 5 => Change::Insert,
        6 | 7 => Change::Remove(rng.usize(..)),
        8 => Change::Key,
        9 => Change::RemoveKey(rng.usize(..)),
        10 => Change::Toggle(rng.u8(0..4)),
        _ => Change::Flag(rng.bool()),
    }
}
