//! What can go wrong, with the cause and the way out in each message.

use std::path::PathBuf;

use crate::tier::Tier;

/// Every error of the crate.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file could not be read or written.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause that the system gave.
        source: std::io::Error,
    },
    /// A file is larger than the crate reads.
    #[error("{} has {bytes} bytes, more than the limit of {limit}", path.display())]
    FileTooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// The most that is read.
        limit: u64,
    },
    /// A JSON text does not have the expected shape.
    #[error("{what} is not valid: {source}; see promptopt/FORMAT.md")]
    Json {
        /// Which text: a path, or what the bytes were meant to be.
        what: String,
        /// Line, column and cause.
        source: serde_json::Error,
    },
    /// A prompt file names another format than this version reads.
    #[error("{what} has the format `{found}`, this version reads `{expected}`")]
    Format {
        /// Which text.
        what: String,
        /// The format that it names.
        found: String,
        /// The format that is read.
        expected: &'static str,
    },
    /// A prompt's recorded hash is not the hash of its content.
    #[error("{what} says sha256 {recorded}, its content has {actual}: export it again")]
    HashMismatch {
        /// Which text.
        what: String,
        /// The recorded hash, in hexadecimal.
        recorded: String,
        /// The hash of what was read, in hexadecimal.
        actual: String,
    },
    /// A file holds the prompt of another tier than its name says.
    #[error("{what} holds the tier `{found}`, expected `{expected}`")]
    WrongTier {
        /// Which text.
        what: String,
        /// The tier that it names.
        found: Tier,
        /// The tier that was wanted.
        expected: Tier,
    },
    /// A template cannot be parsed.
    #[error(
        "template at byte {at}: {cause}; write `{{name}}` for an input, `{{{{` and `}}}}` for braces"
    )]
    Template {
        /// Byte offset in the template.
        at: usize,
        /// What is wrong there.
        cause: &'static str,
    },
    /// A limit of the crate is exceeded.
    #[error("{what} is {found}, the limit is {limit}")]
    Limit {
        /// What was counted.
        what: &'static str,
        /// The count.
        found: usize,
        /// The most that is allowed.
        limit: usize,
    },
    /// A template names an input that the caller did not give.
    #[error("the prompt needs the input `{name}`, which was not given")]
    MissingInput {
        /// The name in the template.
        name: String,
    },
    /// A new prompt reads other inputs than the one it replaces, so that callers would fail.
    #[error(
        "version {version} of tier `{tier}` reads the inputs [{found}], the running one reads [{expected}]"
    )]
    InputsDiffer {
        /// The tier.
        tier: Tier,
        /// Version of the new prompt.
        version: u32,
        /// Inputs of the new prompt, by commas.
        found: String,
        /// Inputs of the running prompt, by commas.
        expected: String,
    },
    /// A new prompt is not newer than the running one.
    #[error("tier `{tier}` runs version {running}, version {offered} is not newer")]
    StaleVersion {
        /// The tier.
        tier: Tier,
        /// The version that runs.
        running: u32,
        /// The version that was offered.
        offered: u32,
    },
    /// There is no earlier version to go back to.
    #[error("tier `{tier}` has no earlier version in memory to go back to")]
    NoEarlierVersion {
        /// The tier.
        tier: Tier,
    },
    /// Two labels of one prompt have the same name.
    #[error("the label `{name}` is there twice")]
    DuplicateLabel {
        /// The name.
        name: String,
    },
    /// A bundle holds two prompts of one tier.
    #[error("the bundle holds the tier `{tier}` twice")]
    DuplicateTier {
        /// The tier.
        tier: Tier,
    },
    /// A decision got another number of scores or weights than it has options.
    #[error("got {found} scores or weights, the prompt has {expected} options")]
    ScoreCount {
        /// Scores given.
        found: usize,
        /// Options of the prompt.
        expected: usize,
    },
    /// A data file does not hold what was expected.
    #[error("{}: {cause}", path.display())]
    Data {
        /// The file.
        path: PathBuf,
        /// Where and what.
        cause: String,
    },
    /// A signature is not understood.
    #[error("signature: {cause}; write `name: type, ... -> name: type`")]
    Signature {
        /// The part that is not understood.
        cause: String,
    },
    /// A DSPy program has no predictor that fits.
    #[error("the DSPy program has no predictor `{name}` with as many fields")]
    NoPredictor {
        /// Its name.
        name: String,
    },
    /// An answer has too few examples.
    #[error(
        "the answer `{answer}` has {found} examples, at least {needed} are needed: add some or leave it out"
    )]
    TooFewExamples {
        /// The answer.
        answer: String,
        /// Its examples.
        found: usize,
        /// What is needed.
        needed: usize,
    },
    /// The budget of model calls is too small for the task.
    #[error("{calls} model calls are too few: this task needs at least {needed}")]
    Budget {
        /// Calls allowed.
        calls: usize,
        /// The least that works.
        needed: usize,
    },
    /// A model could not be loaded or run.
    #[error("cannot {action}: {cause}")]
    Model {
        /// What was tried.
        action: &'static str,
        /// What the engine said.
        cause: String,
    },
    /// A bundle is not signed by the key that the device trusts.
    #[error("the bundle is not signed by the trusted key: {cause}")]
    Untrusted {
        /// What is wrong with the signature.
        cause: &'static str,
    },
    /// A prompt does not say how it is answered.
    #[error(
        "the prompt of tier `{tier}` has no `decision` and no `written`, so nobody knows how it is answered"
    )]
    NoReply {
        /// The tier.
        tier: Tier,
    },
    /// A retriever failed.
    #[error("cannot find passages: {cause}")]
    Retrieval {
        /// What it said.
        cause: String,
    },
    /// A value is outside its range.
    #[error("{what} is {found}, expected {expected}")]
    OutOfRange {
        /// Which value.
        what: &'static str,
        /// What it was.
        found: f64,
        /// What is allowed.
        expected: &'static str,
    },
}

/// Result with the crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;
