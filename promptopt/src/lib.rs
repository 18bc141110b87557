//! Prompt optimiser and run-time prompt selector for small models.
