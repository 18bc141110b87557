//! The five crates know nothing of one another, and their default features stay light.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

const CRATES: [&str; 5] = [
    "edgeweave-ruvector",
    "edgeweave-agentdb",
    "edgeweave-flowcore",
    "edgeweave-promptopt",
    "edgeweave-midstream",
];

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--no-deps",
            "--offline",
        ])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn none_of_the_five_crates_depends_on_another() {
    let metadata = metadata();
    let mut seen = BTreeSet::new();
    for package in metadata["packages"].as_array().unwrap() {
        let name = package["name"].as_str().unwrap();
        if !CRATES.contains(&name) {
            continue;
        }
        seen.insert(name.to_owned());
        for dependency in package["dependencies"].as_array().unwrap() {
            let wanted = dependency["name"].as_str().unwrap();
            assert!(!CRATES.contains(&wanted), "{name} depends on {wanted}");
        }
    }
    assert_eq!(
        seen.len(),
        CRATES.len(),
        "only {seen:?} are in the workspace"
    );
}

#[test]
fn default_features_bring_no_async_runtime_and_no_network() {
    for name in CRATES {
        let output = Command::new(env!("CARGO"))
            .args([
                "tree",
                "--offline",
                "-p",
                name,
                "-e",
                "normal",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let tree = String::from_utf8(output.stdout).unwrap();
        let names: BTreeMap<&str, &str> = tree
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        for heavy in [
            "tokio",
            "async-std",
            "smol",
            "hyper",
            "reqwest",
            "rustls",
            "openssl",
            "rumqttc",
            "cxx",
        ] {
            assert!(
                !names.contains_key(heavy),
                "{name} brings {heavy} by default"
            );
        }
    }
}
