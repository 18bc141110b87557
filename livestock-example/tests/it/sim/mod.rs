//! The simulated farm: the same for the same seed, and its truth agrees with its pictures and samples.

mod legs;
mod pictures;
mod stage;
mod stream;

use std::time::Duration;

use livestock::frame::Frame;
use livestock::sim::{Farm, FarmOptions};
use livestock::source::{Input, LegSample, Source};

/// A minute at two pens in small pictures: as much life as the usual farm for a quarter of the pixels.
fn small(seed: u64) -> FarmOptions {
    FarmOptions {
        seed,
        width: 160,
        height: 120,
        ..FarmOptions::default()
    }
}

fn seconds(seed: u64, seconds: u64) -> FarmOptions {
    FarmOptions {
        duration: Duration::from_secs(seconds),
        ..small(seed)
    }
}

fn frames(farm: &mut Farm) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some(input) = farm.next_input() {
        if let Input::Frame(frame) = input.unwrap() {
            frames.push(frame);
        }
    }
    frames
}

fn leg_samples(farm: &mut Farm) -> Vec<LegSample> {
    let mut samples = Vec::new();
    while let Some(input) = farm.next_input() {
        if let Input::Leg(sample) = input.unwrap() {
            samples.push(sample);
        }
    }
    samples
}
