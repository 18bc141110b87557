//! Offline-first CRDT state store with delta sync.
