//! What the benches share: pinning to a core, percentiles, peak memory.
