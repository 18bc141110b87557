//! New versions beside running ones: assignment, evidence, hard limits, bundles.

use std::time::Duration;

use promptopt::{
    Arm, Bundle, Context, Error, ExperimentEnd, ExperimentOptions, Feedback, HardLimits, Outcome,
    PromptSet, RollbackCause, SequentialTest, Share, Tier, Timestamp, Version,
};
use proptest::prelude::*;

use crate::selection::{prompt, set};

/// A small generator for simulated outcomes.
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn record(set: &PromptSet, key: u64, feedback: Feedback, millis: u64) -> Version {
    let choice = set.select_keyed(&Context::default(), &key.to_le_bytes());
    let version = choice.prompt.version();
    set.record(Outcome {
        choice,
        output: String::new(),
        latency: Duration::from_millis(millis),
        feedback,
        at: Timestamp::from_millis(0),
    });
    version
}

#[test]
fn a_key_keeps_its_version_and_the_shares_are_as_said() {
    let set = set();
    let options = ExperimentOptions {
        share: Share::Fixed(0.2),
        ..ExperimentOptions::default()
    };
    set.start_experiment(prompt(Tier::Fast, 2, "New {text}"), options)
        .unwrap();
    let mut new = 0;
    for key in 0..10_000u64 {
        let choice = set.select_keyed(&Context::default(), &key.to_le_bytes());
        let again = set.select_keyed(&Context::default(), &key.to_le_bytes());
        assert_eq!(choice.prompt.version(), again.prompt.version());
        let is_new = choice.prompt.version() == Version::new(2);
        new += u32::from(is_new);
        let expected: f64 = if is_new { 0.2 } else { 0.8 };
        assert!((choice.propensity - expected).abs() < 1e-12);
    }
    assert!((1850..2150).contains(&new), "{new}");
    let without_key = set.select(&Context::default());
    assert_eq!(
        (without_key.prompt.version(), without_key.propensity),
        (Version::new(1), 1.0)
    );
}

#[test]
fn a_worse_version_is_taken_back_and_nobody_gets_it_any_more() {
    let set = set();
    set.start_experiment(
        prompt(Tier::Fast, 2, "Bad {text}"),
        ExperimentOptions::default(),
    )
    .unwrap();
    let mut draws = Draws(1);
    let mut taken_back_after = None;
    for key in 0..20_000 {
        let version = set
            .select_keyed(&Context::default(), &u64::to_le_bytes(key))
            .prompt
            .version();
        let right_share = if version == Version::new(2) { 0.6 } else { 0.8 };
        let feedback = if draws.next() < right_share {
            Feedback::Right
        } else {
            Feedback::Wrong
        };
        record(&set, key, feedback, 5);
        if set.experiment(Tier::Fast).unwrap().rollback.is_some() {
            taken_back_after = Some(key);
            break;
        }
    }
    assert!(
        taken_back_after.is_some_and(|after| after < 2000),
        "{taken_back_after:?}"
    );
    let status = set.experiment(Tier::Fast).unwrap();
    assert!(matches!(status.rollback, Some(RollbackCause::Worse { evidence }) if evidence >= 20.0));
    assert_eq!(status.share, 0.0);
    for key in 0..1000u64 {
        let choice = set.select_keyed(&Context::default(), &key.to_le_bytes());
        assert_eq!(
            (choice.prompt.version(), choice.propensity),
            (Version::new(1), 1.0)
        );
    }
    assert_eq!(
        set.end_experiment(Tier::Fast, ExperimentEnd::Promote),
        Version::new(1)
    );
}

#[test]
fn unreadable_or_slow_answers_take_a_version_back_at_once() {
    let limits = HardLimits {
        unreadable_max: 0.1,
        latency_p95_max: Duration::from_millis(100),
        outcomes_min: 20,
    };
    let options = ExperimentOptions {
        limits,
        share: Share::Fixed(1.0),
        ..ExperimentOptions::default()
    };
    for (feedback, millis, slow) in [
        (Feedback::Unreadable, 5, false),
        (Feedback::Right, 300, true),
    ] {
        let set = set();
        set.start_experiment(prompt(Tier::Fast, 2, "New {text}"), options)
            .unwrap();
        for key in 0..20 {
            assert!(
                set.experiment(Tier::Fast).unwrap().rollback.is_none(),
                "{key}"
            );
            assert_eq!(record(&set, key, feedback, millis), Version::new(2));
        }
        let cause = set.experiment(Tier::Fast).unwrap().rollback.unwrap();
        match cause {
            RollbackCause::Slow { latency_p95 } => {
                assert!(
                    slow && latency_p95 > Duration::from_millis(200),
                    "{latency_p95:?}"
                );
            }
            RollbackCause::Unreadable { share } => assert!(!slow && share == 1.0),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_better_version_gets_more_calls_within_the_floor_and_is_promoted() {
    let set = set();
    let options = ExperimentOptions {
        share: Share::Thompson { floor: 0.05 },
        ..ExperimentOptions::default()
    };
    set.start_experiment(prompt(Tier::Fast, 2, "Good {text}"), options)
        .unwrap();
    let mut draws = Draws(7);
    for key in 0..3000 {
        let version = set
            .select_keyed(&Context::default(), &u64::to_le_bytes(key))
            .prompt
            .version();
        let right_share = if version == Version::new(2) {
            0.85
        } else {
            0.7
        };
        let feedback = if draws.next() < right_share {
            Feedback::Right
        } else {
            Feedback::Wrong
        };
        record(&set, key, feedback, 5);
    }
    let status = set.experiment(Tier::Fast).unwrap();
    assert_eq!(status.share, 0.95, "{status:?}");
    assert!(status.rollback.is_none());
    assert_eq!(
        set.end_experiment(Tier::Fast, ExperimentEnd::Promote),
        Version::new(2)
    );
    assert!(set.experiment(Tier::Fast).is_none());
    assert_eq!(set.rollback(Tier::Fast).unwrap(), Version::new(1));
}

#[test]
fn options_outside_their_ranges_are_refused() {
    let set = set();
    let base = ExperimentOptions::default();
    for options in [
        ExperimentOptions {
            share: Share::Fixed(1.5),
            ..base
        },
        ExperimentOptions {
            share: Share::Thompson { floor: 0.0 },
            ..base
        },
        ExperimentOptions { alpha: 0.0, ..base },
        ExperimentOptions {
            alpha: f64::NAN,
            ..base
        },
        ExperimentOptions {
            tolerated_share: 0.3,
            ..base
        },
    ] {
        let refused = set.start_experiment(prompt(Tier::Fast, 2, "{text}"), options);
        assert!(
            matches!(refused, Err(Error::OutOfRange { .. })),
            "{options:?}"
        );
    }
    let stale = set.start_experiment(prompt(Tier::Fast, 1, "{text}"), base);
    assert!(matches!(stale, Err(Error::StaleVersion { .. })));
}

/// Whether the test ever finds the candidate worse in so many pairs.
fn ever_rejected(seed: u64, running: f64, candidate: f64, pairs: u32) -> bool {
    let mut draws = Draws(seed.wrapping_mul(0x1234_5678_9abc_def1));
    let mut test = SequentialTest::new(0.5);
    (0..pairs).any(|_| {
        test.push(Arm::Running, draws.next() < running);
        test.push(Arm::Candidate, draws.next() < candidate);
        test.evidence() >= 20.0
    })
}

/// The larger simulation is in the benches; this one is small and exact enough to catch a wrong test.
#[test]
fn looking_after_every_pair_errs_no_more_than_alpha() {
    let runs = 300;
    let rejected = (0..runs)
        .filter(|seed| ever_rejected(*seed, 0.8, 0.8, 800))
        .count();
    // 5 % of 300 is 15; 26 is three deviations above.
    assert!(rejected <= 26, "{rejected} of {runs}");
    let found = (0..60)
        .filter(|seed| ever_rejected(*seed, 0.8, 0.65, 800))
        .count();
    assert!(found >= 57, "{found} of 60");
}

fn bundle() -> Bundle {
    Bundle::new(vec![
        prompt(Tier::Fast, 2, "F2 {text}"),
        prompt(Tier::Ultra, 3, "U3 {text}"),
    ])
    .unwrap()
}

#[test]
fn a_bundle_goes_in_whole_or_not_at_all() {
    let set = set();
    let opened = Bundle::open(&bundle().pack().unwrap()).unwrap();
    assert_eq!(opened, bundle());
    set.import(&opened).unwrap();
    assert_eq!(set.running(Tier::Ultra).version(), Version::new(3));
    assert_eq!(set.running(Tier::Fast).version(), Version::new(2));
    assert_eq!(set.running(Tier::Quality).version(), Version::new(1));

    let mixed = Bundle::new(vec![
        prompt(Tier::Ultra, 9, "U9 {text}"),
        prompt(Tier::Fast, 2, "{text}"),
    ])
    .unwrap();
    assert!(matches!(
        set.import(&mixed),
        Err(Error::StaleVersion { .. })
    ));
    assert_eq!(
        set.running(Tier::Ultra).version(),
        Version::new(3),
        "nothing of it went in"
    );

    assert!(Bundle::new(Vec::new()).is_err());
    let twice = Bundle::new(vec![
        prompt(Tier::Fast, 2, "{text}"),
        prompt(Tier::Fast, 3, "{text}"),
    ]);
    assert!(matches!(
        twice,
        Err(Error::DuplicateTier { tier: Tier::Fast })
    ));
}

proptest! {
    #[test]
    fn a_bundle_with_any_byte_changed_is_refused(at in any::<prop::sample::Index>(), flip in 1u8..) {
        let mut bytes = bundle().pack().unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        match Bundle::open(&bytes) {
            // Hexadecimal digits and white space have more than one way of writing in JSON.
            Ok(opened) => prop_assert_eq!(opened, bundle()),
            Err(error) => prop_assert!(!error.to_string().is_empty()),
        }
    }

    #[test]
    fn any_bytes_are_a_bundle_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Bundle::open(&bytes).is_err());
    }
}

#[cfg(feature = "signed")]
#[test]
fn only_the_trusted_key_signs() {
    let (secret, other) = ([7u8; 32], [8u8; 32]);
    let public = |secret: &[u8; 32]| {
        ed25519_dalek::SigningKey::from_bytes(secret)
            .verifying_key()
            .to_bytes()
    };
    let bytes = bundle().pack_signed(&secret).unwrap();
    assert_eq!(
        Bundle::open_signed(&bytes, &public(&secret)).unwrap(),
        bundle()
    );
    assert!(matches!(
        Bundle::open_signed(&bytes, &public(&other)),
        Err(Error::Untrusted { .. })
    ));
    let unsigned = bundle().pack().unwrap();
    assert!(matches!(
        Bundle::open_signed(&unsigned, &public(&secret)),
        Err(Error::Untrusted { .. })
    ));
    assert_eq!(
        Bundle::open(&bytes).unwrap(),
        bundle(),
        "the hash alone holds too"
    );
}
