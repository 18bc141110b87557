//! Product quantisation (Jégou, Douze and Schmid, 2011): each of `m` parts of a vector becomes the
//! number of the nearest of 256 trained parts, one byte.
//!
//! A query is compared through a table of its distances to all trained parts: `256 * dim` products
//! once, then `m` additions a row. Parts lie transposed, component by component, so that the loops
//! over the 256 become vector instructions.

use crate::arena::Arena;
use crate::kernel::prefetch;
use crate::metric::Metric;
use crate::random::Random;
use crate::space::{Probe, Space};

use super::{TRAIN_ROWS_MAX, sample};

/// Trained parts of each subspace.
pub(crate) const PARTS: usize = 256;
/// Rounds of a training; later ones change little.
const ROUNDS: usize = 8;

/// The trained parts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Book {
    dim: usize,
    subspaces: usize,
    /// For each component its values in the 256 parts: `dim` rows of 256.
    pub values: Vec<f32>,
}

/// The codes of all slots.
pub(crate) struct Products {
    dim: usize,
    subspaces: usize,
    /// None before the training.
    pub book: Option<Book>,
    pub rows: Arena<u8>,
    /// Rows at the last training.
    pub trained: usize,
}

/// The components of a subspace.
fn span(dim: usize, subspaces: usize, part: usize) -> std::ops::Range<usize> {
    part * dim / subspaces..(part + 1) * dim / subspaces
}

/// Adds to each of 256 sums what a component has to say.
#[inline(always)]
fn add(sums: &mut [f32; PARTS], values: &[f32], x: f32, metric: Metric) {
    match metric {
        Metric::Cosine | Metric::Dot => {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum -= x * value;
            }
        }
        Metric::L2 | Metric::Hamming => {
            for (sum, value) in sums.iter_mut().zip(values) {
                *sum += (x - value) * (x - value);
            }
        }
    }
}

fn nearest(sums: &[f32; PARTS]) -> u8 {
    let mut best = 0;
    for (at, sum) in sums.iter().enumerate() {
        if *sum < sums[best] {
            best = at;
        }
    }
    best as u8
}

impl Book {
    fn of(&self, component: usize) -> &[f32] {
        &self.values[component * PARTS..][..PARTS]
    }

    fn train(originals: &Arena<f32>, dim: usize, subspaces: usize, seed: u64) -> Self {
        let mut book = Self {
            dim,
            subspaces,
            values: vec![0.0; dim * PARTS],
        };
        let slots: Vec<u32> = sample(originals.rows(), TRAIN_ROWS_MAX).collect();
        let mut random = Random::new(seed);
        for part in 0..subspaces {
            book.train_part(originals, &slots, part, &mut random);
        }
        book
    }

    /// Lloyd's algorithm from rows taken at random; a part that nobody chose moves to a row at random.
    fn train_part(
        &mut self,
        originals: &Arena<f32>,
        slots: &[u32],
        part: usize,
        random: &mut Random,
    ) {
        let span = span(self.dim, self.subspaces, part);
        let place = |values: &mut [f32], at: usize, slot: u32| {
            for component in span.clone() {
                values[component * PARTS + at] = originals.row(slot)[component];
            }
        };
        for at in 0..PARTS {
            place(&mut self.values, at, slots[random.below(slots.len())]);
        }
        let width = span.len();
        for _ in 0..ROUNDS {
            let mut sums = vec![0.0_f64; width * PARTS];
            let mut counts = [0_u32; PARTS];
            for slot in slots {
                let row = &originals.row(*slot)[span.clone()];
                let chosen = usize::from(self.code(row, part));
                counts[chosen] += 1;
                for (sum, x) in sums[chosen * width..].iter_mut().zip(row) {
                    *sum += f64::from(*x);
                }
            }
            for (at, count) in counts.iter().enumerate() {
                if *count == 0 {
                    place(&mut self.values, at, slots[random.below(slots.len())]);
                    continue;
                }
                for (offset, component) in span.clone().enumerate() {
                    let mean = sums[at * width + offset] / f64::from(*count);
                    self.values[component * PARTS + at] = mean as f32;
                }
            }
        }
    }

    /// The nearest part by squared distance, whatever the metric: it is what keeps the error small.
    fn code(&self, row: &[f32], part: usize) -> u8 {
        let span = span(self.dim, self.subspaces, part);
        let mut sums = [0.0; PARTS];
        for (x, component) in row.iter().zip(span) {
            add(&mut sums, self.of(component), *x, Metric::L2);
        }
        nearest(&sums)
    }

    fn encode(&self, vector: &[f32]) -> Vec<u8> {
        (0..self.subspaces)
            .map(|part| self.code(&vector[span(self.dim, self.subspaces, part)], part))
            .collect()
    }
}

impl Products {
    pub fn new(dim: usize, subspaces: usize) -> Self {
        Self {
            dim,
            subspaces,
            book: None,
            rows: Arena::new(subspaces),
            trained: 0,
        }
    }

    pub fn push(&mut self, vector: &[f32]) {
        if let Some(book) = &self.book {
            self.rows.push(&book.encode(vector));
        }
    }

    pub fn trained(&self, originals: &Arena<f32>, seed: u64) -> Self {
        let book = Book::train(originals, self.dim, self.subspaces, seed);
        let mut fresh = Self::new(self.dim, self.subspaces);
        fresh.book = Some(book);
        fresh.trained = originals.rows();
        for slot in 0..originals.rows() as u32 {
            fresh.push(&originals.row(slot)[..self.dim]);
        }
        fresh
    }

    /// A book for these rows from its values, if they are those of one.
    pub fn book_of(&self, values: Vec<f32>) -> Option<Book> {
        let fits = values.len() == self.dim * PARTS && values.iter().all(|x| x.is_finite());
        fits.then_some(Book {
            dim: self.dim,
            subspaces: self.subspaces,
            values,
        })
    }

    pub fn book_bytes(&self) -> usize {
        self.book.as_ref().map_or(0, |book| book.values.len() * 4)
    }
}

/// Distances between a query in `f32` and the codes.
pub(crate) struct ProductSpace<'a> {
    rows: &'a Arena<u8>,
    book: &'a Book,
    metric: Metric,
}

impl<'a> ProductSpace<'a> {
    pub fn new(rows: &'a Arena<u8>, book: &'a Book, metric: Metric) -> Self {
        Self { rows, book, metric }
    }
}

impl Space for ProductSpace<'_> {
    fn derive(&self, probe: &mut Probe) {
        let Book { dim, subspaces, .. } = *self.book;
        probe.table.clear();
        probe.table.resize(subspaces, [0.0; PARTS]);
        for (part, sums) in probe.table.iter_mut().enumerate() {
            for component in span(dim, subspaces, part) {
                add(
                    sums,
                    self.book.of(component),
                    probe.full[component],
                    self.metric,
                );
            }
        }
    }

    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        let codes = self.rows.row(slot);
        let terms = probe.table.iter().zip(codes);
        terms.map(|(sums, code)| sums[usize::from(*code)]).sum()
    }

    #[inline(always)]
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4] {
        let [a, b, c, d] = slots.map(|slot| self.rows.row(slot));
        let mut sums = [0.0; 4];
        let rows = a.iter().zip(b).zip(c).zip(d);
        for (row, (((a, b), c), d)) in probe.table.iter().zip(rows) {
            sums[0] += row[usize::from(*a)];
            sums[1] += row[usize::from(*b)];
            sums[2] += row[usize::from(*c)];
            sums[3] += row[usize::from(*d)];
        }
        sums
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.rows.row(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::padded;

    #[test]
    fn parts_that_occur_are_found_exactly() {
        // Eight values a component: 256 parts hold them all.
        let dim = 10;
        let mut originals: Arena<f32> = Arena::new(padded::<f32>(dim));
        let mut random = Random::new(3);
        for _ in 0..3000 {
            let row: Vec<f32> = (0..dim).map(|_| random.below(3) as f32).collect();
            originals.push(&row);
        }
        let products = Products::new(dim, 4).trained(&originals, 7);
        let book = products.book.as_ref().unwrap();
        let mut probe = Probe::default();
        probe.set(&crate::vector::Vector::Floats(
            originals.row(17)[..dim].into(),
        ));
        for metric in [Metric::L2, Metric::Dot] {
            let space = ProductSpace::new(&products.rows, book, metric);
            space.derive(&mut probe);
            for slot in 0..200 {
                let pairs = originals.row(slot).iter().zip(&probe.full);
                let exact: f32 = match metric {
                    Metric::L2 => pairs.map(|(x, y)| (x - y) * (x - y)).sum(),
                    _ => -pairs.map(|(x, y)| x * y).sum::<f32>(),
                };
                let found = space.one(&probe, slot);
                assert!((found - exact).abs() < 1e-3, "{found} {exact}");
                assert_eq!(space.four(&probe, [slot; 4]), [found; 4]);
            }
        }
    }
}
