"""The run-time prompt selector, its experiments and its bundles."""

from ._native import Choice, PromptSet, open_bundle, pack_bundle

__all__ = ["Choice", "PromptSet", "open_bundle", "pack_bundle"]
