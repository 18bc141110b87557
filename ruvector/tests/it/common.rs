//! Data and oracles that several contracts use.

use std::path::PathBuf;

/// SIFT descriptors; none, with a word on stderr, where they are absent.
pub fn sift() -> Option<Vec<Vec<f32>>> {
    let root = std::env::var_os("EDGEWEAVE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join("vectors/sift-5k-128.tsv");
    let Ok(text) = std::fs::read_to_string(&path) else {
        eprintln!("skipped: {} is absent (set EDGEWEAVE_DATA)", path.display());
        return None;
    };
    let row = |line: &str| {
        line.split('\t')
            .take(128)
            .map(|x| x.trim().parse().unwrap())
            .collect()
    };
    Some(
        text.lines()
            .filter(|line| !line.is_empty())
            .map(row)
            .collect(),
    )
}

/// Random numbers that are the same in every run (SplitMix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// In -1..1.
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Vectors around a few dozen centres, as real ones are.
    pub fn clustered(&mut self, count: usize, dim: usize) -> Vec<Vec<f32>> {
        let centres: Vec<Vec<f32>> = (0..32)
            .map(|_| (0..dim).map(|_| self.unit()).collect())
            .collect();
        (0..count)
            .map(|_| {
                let centre = &centres[(self.next() % 32) as usize];
                centre.iter().map(|x| x + 0.4 * self.unit()).collect()
            })
            .collect()
    }
}

/// The ids that both lists hold, over the length of `wanted`.
pub fn overlap(found: &[u64], wanted: &[u64]) -> f64 {
    let both = wanted.iter().filter(|id| found.contains(id)).count();
    both as f64 / wanted.len().max(1) as f64
}

/// The `k` nearest by squared distance among `(id, row)`.
pub fn nearest<'r>(
    rows: impl Iterator<Item = (u64, &'r [f32])>,
    query: &[f32],
    k: usize,
) -> Vec<u64> {
    let mut all: Vec<(f32, u64)> = rows
        .map(|(id, row)| {
            let distance = row.iter().zip(query).map(|(a, b)| (a - b) * (a - b)).sum();
            (distance, id)
        })
        .collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    all.truncate(k);
    all.into_iter().map(|(_, id)| id).collect()
}
