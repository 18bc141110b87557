"""Rules over events: windows, sequences, patterns; one event at a time or whole columns."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ._native import Agent, Standardizer, decode_batch
from ._native import StreamEngine as Engine

__all__ = ["Agent", "Engine", "Standardizer", "decode_batch", "push_frame"]


def push_frame(engine: Engine, source: str, name: str, frame: Any, *, at: str = "at") -> list[dict[str, Any]]:
    """Gives the rows of a pandas or polars frame (or a mapping of arrays) to the rules; what they tell.

    ``at`` names the column of times: milliseconds since the Unix epoch, or datetimes. The other columns are the fields
    of the source. Whole numbers become int64, other numbers float64; texts are taken as they are.
    """
    columns: dict[str, Any] = {}
    names = frame.keys() if isinstance(frame, Mapping) else frame.columns
    for column in names:
        values = np.asarray(frame[column])
        if values.dtype.kind == "M":
            values = values.astype("datetime64[ms]").astype(np.int64)
        elif values.dtype.kind in "iu":
            values = values.astype(np.int64)
        elif values.dtype.kind == "f":
            values = values.astype(np.float64)
        elif values.dtype.kind in "OU":
            values = values.tolist()
        columns[str(column)] = values
    times = columns.pop(at)
    return engine.push_columns(source, name, times, columns)
