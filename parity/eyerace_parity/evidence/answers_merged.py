"""What a record keeps of arrays: enough to compare two runs by, wherever their stores are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from pydantic import BaseModel, ConfigDict

from eyerace_parity.core.digests import bytes_digest

if TYPE_CHECKING:
    from eyerace_parity.evidence.answers import Outputs
    from eyerace_parity.evidence.base import Array

_TABLE: Final = 2
"""Axes of an output that decides: samples, and one score a class."""


class Answer(BaseModel):
    """One output of a variant over the golden set.

    Attributes:
        output: Name of the output.
        dtype: Element type, as numpy spells it.
        shape: Extents, samples first.
        digest: Digest of all values, little-endian; equal only where every bit is.
        decisions: For a table of scores, the place of the best one, one number a sample, separated by blanks; else
            empty. Where a score is no number, ``-``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: str
    dtype: str
    shape: tuple[int, ...]
    digest: str
    decisions: str = ""


def answers_of(outputs: Outputs) -> tuple[Answer, ...]:
    """Say of each output what two runs are compared by."""
    return tuple(
        Answer(
            output=name,
            dtype=array.dtype.name,
            shape=array.shape,
            digest=bytes_digest(np.ascontiguousarray(array, array.dtype.newbyteorder("<")).tobytes()),
            decisions=_decisions(array),
        )
        for name, array in outputs.arrays.items()
    )


def _decisions(array: Array) -> str:
    if array.ndim != _TABLE or array.shape[1] < _TABLE or array.dtype.kind not in "iuf":
        return ""
    scores = np.asarray(array, np.float64)
    best = np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), -1)
    return " ".join("-" if place < 0 else str(place) for place in best.tolist())
