//! A camera gateway on a livestock farm: the five edgeweave crates in one process.
