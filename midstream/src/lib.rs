//! Windowed complex event processing.
