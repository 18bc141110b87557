//! Options of an index.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use crate::arena::padded;
use crate::error::{Error, Result};
use crate::graph::Shape;
use crate::index::Index;
use crate::metric::Metric;
use crate::vector::words;

/// Most components of a vector.
pub const DIM_MAX: usize = 65_536;
/// Most rows (live and deleted) that an index can number.
pub const ROWS_MAX: usize = (1 << 31) - 1;

/// Bytes of rows (as the search reads them) up to which [`IndexKind::Auto`] scans.
pub const AUTO_SCAN_BYTES: usize = 1 << 20;

/// Where an index lives.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Storage {
    /// In memory only; [`Index::save`] writes a file on demand.
    #[default]
    Memory,
    /// In one file: opened if it exists, created otherwise. Changes are appended to it.
    File(PathBuf),
}

/// How neighbours are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IndexKind {
    /// A scan while that is faster, a graph from [`AUTO_SCAN_BYTES`] of rows on. The change happens
    /// in the call that crosses the line; searches go on meanwhile.
    #[default]
    Auto,
    /// A scan of all rows.
    Exact,
    /// A graph from the first vector on.
    Hnsw,
    /// Inverted lists: a tenth of a graph's memory, slower at the same recall. A scan below 1,024
    /// vectors; then centres are trained, and again whenever there are four times as many vectors.
    Ivf,
    /// Inverted lists of product-quantised rows, which is what takes the least memory. Sets
    /// [`Quantization::Pq`] with a subspace for every four components if another was asked for.
    IvfPq,
}

/// How rows are kept for the search. The originals are kept too and rank the final candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Quantization {
    /// `f32` only.
    None,
    /// Two bytes a component, nearly without loss between 6e-5 and 65,504; what is larger is refused, what is
    /// smaller loses digits.
    F16,
    /// One byte a component, with a scale for each vector; costs about a point of recall, which
    /// ranking by the originals gives back.
    #[default]
    Int8,
    /// Product quantisation: one byte a subspace, of which there are 1 to `dim`. With four components
    /// a subspace a sixteenth of the originals; the nearest are found, but their order needs many
    /// candidates to be ranked by the originals. The codebook is trained on the first 1,024 vectors,
    /// and again whenever there are four times as many; until then the originals are compared.
    Pq {
        /// Parts that a vector is cut into.
        subspaces: u16,
    },
    /// One bit a component, a 32nd of the originals: whether it is above the component's median, which
    /// is trained like [`Quantization::Pq`]. Coarser still. Under [`Metric::Hamming`] vectors are bits
    /// already: every index has this quantization there, whatever was asked for, and it is exact.
    Binary,
}

impl IndexKind {
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Auto => 0,
            Self::Exact => 1,
            Self::Hnsw => 2,
            Self::Ivf => 3,
            Self::IvfPq => 4,
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Auto,
            1 => Self::Exact,
            2 => Self::Hnsw,
            3 => Self::Ivf,
            4 => Self::IvfPq,
            _ => return None,
        })
    }
}

impl Quantization {
    /// How a file says it: a code and a parameter.
    pub(crate) fn code(self) -> (u8, u16) {
        match self {
            Self::None => (0, 0),
            Self::Int8 => (1, 0),
            Self::F16 => (2, 0),
            Self::Pq { subspaces } => (3, subspaces),
            Self::Binary => (4, 0),
        }
    }

    pub(crate) fn from_code(code: u8, subspaces: u16) -> Option<Self> {
        Some(match code {
            0 => Self::None,
            1 => Self::Int8,
            2 => Self::F16,
            3 => Self::Pq { subspaces },
            4 => Self::Binary,
            _ => return None,
        })
    }

    /// The name in messages and statistics.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::F16 => "f16",
            Self::Int8 => "int8",
            Self::Pq { .. } => "pq",
            Self::Binary => "binary",
        }
    }

    /// How many candidates of a scan are ranked by the originals when nothing is said.
    pub(crate) fn rerank(self, k: usize) -> usize {
        match self {
            Self::None => k,
            Self::F16 => (k + 2).max(12),
            Self::Int8 => (2 * k).max(32),
            Self::Pq { .. } => (10 * k).max(100),
            Self::Binary => (30 * k).max(300),
        }
    }

    /// How many candidates of a walk or of lists: with coarse codes more effort ranks more. Of eight-bit codes
    /// those are ranked that may be among the `k` nearest.
    pub(crate) fn rerank_walked(self, k: usize, effort: usize) -> usize {
        match self {
            Self::None | Self::F16 => self.rerank(k),
            Self::Int8 => effort.max(k),
            Self::Pq { .. } | Self::Binary => effort.max(self.rerank(k)),
        }
    }
}

/// Allowed links of a node.
pub(crate) const LINKS: RangeInclusive<usize> = 4..=64;
/// Allowed effort of a build.
pub(crate) const EFFORT: RangeInclusive<usize> = 8..=4096;

/// What an index is; the part that a file remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Config {
    pub dim: usize,
    pub metric: Metric,
    pub kind: IndexKind,
    pub quantization: Quantization,
    pub shape: Shape,
}

impl Config {
    /// Components that are kept beside the codes.
    pub fn original_dim(&self) -> usize {
        match self.metric {
            Metric::Hamming => 0,
            Metric::Cosine | Metric::Dot | Metric::L2 => self.dim,
        }
    }

    /// Whether the options go together.
    pub fn is_sound(&self) -> bool {
        self.metric != Metric::Hamming
            || (self.quantization == Quantization::Binary && !self.wants_lists())
    }

    /// Whether `rows` rows are searched through a graph.
    pub fn wants_graph(&self, rows: usize) -> bool {
        let row_bytes = match self.quantization {
            Quantization::None => padded::<f32>(self.dim) * 4,
            Quantization::F16 => padded::<u16>(self.dim) * 2,
            Quantization::Int8 => padded::<i8>(self.dim),
            Quantization::Pq { subspaces } => subspaces.into(),
            Quantization::Binary => words(self.dim) * 8,
        };
        match self.kind {
            IndexKind::Exact | IndexKind::Ivf | IndexKind::IvfPq => false,
            IndexKind::Hnsw => true,
            IndexKind::Auto => rows * row_bytes > AUTO_SCAN_BYTES,
        }
    }

    /// Whether rows lie in inverted lists.
    pub fn wants_lists(&self) -> bool {
        matches!(self.kind, IndexKind::Ivf | IndexKind::IvfPq)
    }
}

/// Bounds of one open index; not remembered by the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    pub vectors_max: usize,
    pub bytes_max: usize,
    pub log_bytes_max: u64,
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            vectors_max: ROWS_MAX,
            bytes_max: usize::MAX,
            log_bytes_max: 256 << 20,
            threads: 1,
        }
    }
}

/// Options of an index, validated once by [`IndexBuilder::build`].
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct IndexBuilder {
    config: Config,
    limits: Limits,
    storage: Storage,
}

impl IndexBuilder {
    pub(crate) fn new(dim: usize) -> Self {
        Self {
            config: Config {
                dim,
                metric: Metric::default(),
                kind: IndexKind::default(),
                quantization: Quantization::default(),
                shape: Shape::default(),
            },
            limits: Limits::default(),
            storage: Storage::default(),
        }
    }

    /// How near is measured. Default: cosine.
    pub fn metric(mut self, metric: Metric) -> Self {
        self.config.metric = metric;
        self
    }

    /// Where the index lives. Default: memory.
    pub fn storage(mut self, storage: Storage) -> Self {
        self.storage = storage;
        self
    }

    /// Shorthand for [`Storage::File`].
    pub fn file(self, path: impl AsRef<Path>) -> Self {
        self.storage(Storage::File(path.as_ref().to_owned()))
    }

    /// How neighbours are found. Default: automatic.
    pub fn kind(mut self, kind: IndexKind) -> Self {
        self.config.kind = kind;
        self
    }

    /// How rows are kept for the search. Default: int8.
    pub fn quantization(mut self, quantization: Quantization) -> Self {
        self.config.quantization = quantization;
        self
    }

    /// Links of a new node in each layer of the graph, 4 to 64. Default: 16, and twice as many in
    /// the lowest layer. More links, more recall and more memory.
    pub fn links(mut self, m: usize) -> Self {
        self.config.shape.m = m;
        self
    }

    /// Candidates that are looked at when a vector is linked, 8 to 4096. Default: 128. More
    /// candidates, more recall and slower changes.
    pub fn build_effort(mut self, candidates: usize) -> Self {
        self.config.shape.ef_construction = candidates;
        self
    }

    /// Decides the random levels of the graph: the same calls with the same seed give the same
    /// graph, whatever the number of threads.
    pub fn seed(mut self, seed: u64) -> Self {
        self.config.shape.seed = seed;
        self
    }

    /// Threads that [`Index::upsert_batch`] and [`Index::compact`] may use, 1 to 256. Default: 1.
    pub fn threads(mut self, threads: usize) -> Self {
        self.limits.threads = threads;
        self
    }

    /// Most vectors, deleted ones that were not compacted away included.
    pub fn max_vectors(mut self, vectors: usize) -> Self {
        self.limits.vectors_max = vectors;
        self
    }

    /// Most bytes of memory (mapped pages of the file are not counted).
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.limits.bytes_max = bytes;
        self
    }

    /// Length of the file's log at which [`Index::flush`] replaces the file by a snapshot.
    /// Default: 256 MiB.
    pub fn max_log_bytes(mut self, bytes: u64) -> Self {
        self.limits.log_bytes_max = bytes;
        self
    }

    /// Builds the index, or opens its file.
    ///
    /// # Errors
    /// [`Error::Option`] for a value outside its range; with a file also all of [`Index::open`],
    /// and [`Error::Mismatch`] if the file was built with other options.
    pub fn build(self) -> Result<Index> {
        let Self {
            mut config,
            limits,
            storage,
        } = self;
        let within = |option, got: usize, range: RangeInclusive<usize>, allowed| {
            if range.contains(&got) {
                return Ok(());
            }
            Err(Error::Option {
                option,
                got: got as u64,
                allowed,
            })
        };
        within("dim", config.dim, 1..=DIM_MAX, "1..=65536")?;
        if config.metric == Metric::Hamming {
            config.quantization = Quantization::Binary;
        } else if config.kind == IndexKind::IvfPq
            && !matches!(config.quantization, Quantization::Pq { .. })
        {
            let subspaces = config.dim.div_ceil(4) as u16;
            config.quantization = Quantization::Pq { subspaces };
        }
        if let Quantization::Pq { subspaces } = config.quantization {
            let subspaces = usize::from(subspaces);
            within(
                "subspaces",
                subspaces,
                1..=config.dim,
                "1 to the number of components",
            )?;
        }
        within(
            "max_vectors",
            limits.vectors_max,
            0..=ROWS_MAX,
            "up to 2147483647",
        )?;
        within("links", config.shape.m, LINKS, "4..=64")?;
        within(
            "build_effort",
            config.shape.ef_construction,
            EFFORT,
            "8..=4096",
        )?;
        within("threads", limits.threads, 1..=256, "1..=256")?;
        if !config.is_sound() {
            return Err(Error::Unsupported(
                "inverted lists have no centres of bits: use IndexKind::Auto, Exact or Hnsw with Metric::Hamming",
            ));
        }
        match storage {
            Storage::Memory => Ok(Index::in_memory(config, limits)),
            Storage::File(path) => Index::open_or_create(&path, config, limits),
        }
    }
}
