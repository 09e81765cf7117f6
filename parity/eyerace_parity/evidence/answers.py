"""Answers sample by sample, and what is known of the samples: arrays, stored as ``.npz``."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the codec reads the annotations of all that holds arrays
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - as above
from pydantic import BaseModel, ConfigDict

from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.evidence.base import Array, Provenance  # noqa: TC001 - as above


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What a variant answered to the golden set.

    Attributes:
        provenance: Where it came from.
        arrays: Output by name, samples on the first axis, in the golden set's order.
        expected: Samples that were fed; every array must have as many.
    """

    provenance: Provenance
    arrays: Mapping[str, Array]
    expected: int


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """A few golden samples run again, and once more as one batch.

    Attributes:
        provenance: Where it came from.
        samples: Indices of the samples in the golden set.
        first: Output by name, one sample at a time, samples on the first axis.
        again: The same, run a second time in the same session.
        batched: The same, run as one batch; empty where the batch axis is not dynamic.
        batch_refused: Why the batch could not be run, or an empty string.
    """

    provenance: Provenance
    samples: tuple[int, ...]
    first: Mapping[str, Array]
    again: Mapping[str, Array]
    batched: Mapping[str, Array]
    batch_refused: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Execution:
    """What a variant answered on a target, to golden samples that were chosen for it.

    Attributes:
        provenance: Where it came from.
        near: Indices of the samples whose decision on the host is nearest to another, ascending.
        drawn: Indices of those that were drawn by lot, ascending; all samples where all were run.
        arrays: Output by name, one row for each of :attr:`samples`; fewer where the execution failed on the way.
        failure: Why the file could not be loaded or run there, or an empty string.
        signal: Signal that ended the process, where one did.
        next_step: What to do about the failure.
    """

    provenance: Provenance
    near: tuple[int, ...]
    drawn: tuple[int, ...]
    arrays: Mapping[str, Array]
    failure: str = ""
    signal: int | None = None
    next_step: str = ""

    @property
    def samples(self) -> tuple[int, ...]:
        """Indices of all samples, in the order of the rows."""
        return tuple(sorted(self.near + self.drawn))


@dataclass(frozen=True, slots=True, eq=False)
class GoldenFacts:
    """What is known of the golden set without a model.

    Attributes:
        digest: Digest of the whole set.
        ids: One name a sample, in order.
        classes: Names of the classes.
        labels: int64 [n] index into ``classes``, or ``None`` for an unlabelled set.
        clusters: One text a sample, equal for samples that belong together, or ``None``.
    """

    digest: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64] | None = None
    clusters: tuple[str, ...] | None = None


_TABLE: Final = 2
"""Axes of an output that decides: samples, and one score a class."""


class ArrayDigest(BaseModel):
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


def answers_of(outputs: Outputs) -> tuple[ArrayDigest, ...]:
    """Say of each output what two runs are compared by."""
    return tuple(
        ArrayDigest(
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
