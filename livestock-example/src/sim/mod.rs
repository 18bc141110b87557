//! A simulated farm: rendered cameras, leg sensors and staged incidents, all from one seed.
//!
//! [`Farm`] is a [`Source`](crate::source::Source): it yields frames and leg samples in order of time, as
//! real cameras and sensors would. Beside the stream it keeps the truth: which incidents were staged
//! ([`Farm::truth`]) and what can be seen in each picture ([`Farm::visible`]). A gateway is given the
//! stream, the zones, the time of nightfall and the [`Limits`] of the [`Tempo`]; the truth is for the
//! score alone.
//!
//! What a camera sees: a yard behind a fence, a pen with straw, a trough with six feeding places, black
//! or brown and white cattle that walk, graze, feed and lie, people and dogs; daylight that drifts,
//! dusk, then the grey and noisy picture of an infra-red camera. Things that look like incidents and are
//! none are staged as well: people in the pen by day, people in the yard and dogs in the pen at night,
//! moving shadows and headlights, crowds that are short or one animal too small, animals that lie long
//! but move.
//!
//! What it is not: a physical model. Cattle are always seen from the side, nothing is between the camera
//! and the pen, and the farm has no weather.
//!
//! ```
//! use std::time::Duration;
//! use livestock::sim::{Farm, FarmOptions};
//! use livestock::source::{Input, Source};
//!
//! let mut farm = Farm::new(FarmOptions { duration: Duration::from_secs(10), ..FarmOptions::default() })?;
//! let mut frames = 0;
//! while let Some(input) = farm.next_input() {
//!     frames += usize::from(matches!(input?, Input::Frame(_)));
//! }
//! assert_eq!(frames, 10 * 5 * 2);
//! assert!(!farm.truth().is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod backdrop;
mod calendar;
mod farm;
mod herd;
mod layout;
mod leg;
mod light;
mod options;
mod render;
mod script;
mod sprite;
mod tempo;
mod truth;
mod visitor;

pub use farm::Farm;
pub use options::{FarmError, FarmOptions};
pub use tempo::{Limits, Tempo};
pub use truth::{IncidentKind, StagedIncident, Visible};

/// Milliseconds since the farm's start: the simulator's inner clock.
type Millis = i64;

/// A generator for one purpose (`stream`), independent of those for other purposes of the same seed.
fn rng(seed: u64, stream: u64) -> fastrand::Rng {
    // The finaliser of SplitMix64 (Steele, Lea and Flood, 2014) separates neighbouring streams.
    let mut z = seed ^ stream.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    fastrand::Rng::with_seed(z ^ (z >> 31))
}

/// A number in `low..high`.
fn between(rng: &mut fastrand::Rng, low: f32, high: f32) -> f32 {
    low + rng.f32() * (high - low)
}
