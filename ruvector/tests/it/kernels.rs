//! Whatever instructions the machine has, the promises hold, and the same calls give the same file.
//!
//! Other instruction sets than the fastest run in processes of their own: the choice is made once.

use std::process::Command;

use ruvector::{Index, IndexKind, Metric, Quantization};
use serde_json::json;

use crate::common::Random;

/// Instruction sets by how fast they are; a machine has a part of them.
const SETS: [&str; 5] = ["scalar", "avx2", "avx512", "neon", "neon-dotprod"];
const NAME: &str = "RUVECTOR_KERNELS";
const FILE: &str = "RUVECTOR_TEST_FILE";

fn run(set: &str, tests: &[&str], file: &std::path::Path) -> (bool, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(tests)
        .args(["--nocapture", "--include-ignored"])
        .env(NAME, set)
        .env(FILE, file)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    (output.status.success(), told)
}

/// A part of the tests below: writes an index with whatever instructions were named.
#[test]
#[ignore = "run by another test, in a process of its own"]
fn write_an_index() {
    let Some(file) = std::env::var_os(FILE) else {
        return;
    };
    let index = Index::builder(40)
        .metric(Metric::Cosine)
        .kind(IndexKind::Hnsw)
        .quantization(Quantization::Int8)
        .build()
        .unwrap();
    let rows = Random(11).clustered(1500, 40);
    let ids: Vec<u64> = (0..1500).collect();
    let payloads = ids.iter().map(|id| json!({"place": id % 90})).collect();
    index.upsert_batch(&ids, &rows.concat(), payloads).unwrap();
    index.compact().unwrap();
    index.save(file).unwrap();
    println!("kernels: {}", index.stats().kernels);
}

#[test]
fn every_instruction_set_keeps_the_promises_and_writes_the_same_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut files = Vec::new();
    for set in SETS {
        let file = folder.path().join(set);
        let (written, told) = run(set, &["kernels::write_an_index"], &file);
        assert!(written, "{set}: {told}");
        if !told.contains(&format!("kernels: {set}\n")) {
            continue;
        }
        eprintln!("instruction set: {set}");
        files.push((set, std::fs::read(&file).unwrap()));
        let (kept, told) = run(set, &["search::", "recall::", "bits::"], &file);
        assert!(kept && told.contains("test result: ok"), "{set}: {told}");
    }
    assert_eq!(files[0].0, "scalar");
    for (set, bytes) in &files {
        assert!(*bytes == files[0].1, "{set} builds another graph");
    }
    let fastest = Index::builder(1).build().unwrap().stats().kernels;
    assert!(std::env::var_os(NAME).is_some() || files.last().unwrap().0 == fastest);
}
