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

/// What Cargo prints, without asking a registry.
fn cargo(args: &str) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args.split(' '))
        .arg("--offline")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn none_of_the_five_crates_depends_on_another() {
    let metadata: Value =
        serde_json::from_str(&cargo("metadata --format-version 1 --no-deps")).unwrap();
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
        let tree = cargo(&format!(
            "tree -p {name} -e normal --prefix none --format {{p}}"
        ));
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
