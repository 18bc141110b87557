"""The run-time prompt selector."""

from ._native import Choice, PromptSet

__all__ = ["Choice", "PromptSet"]
