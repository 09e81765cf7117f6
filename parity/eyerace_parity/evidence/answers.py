"""Evidence with arrays: a variant's outputs per sample, and the golden set's labels. Stored as ``.npz``."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - the codec reads the annotations of all that holds arrays
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray  # noqa: TC002 - as above
from pydantic import BaseModel, ConfigDict

from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.evidence.base import Array, Provenance  # noqa: TC001 - as above

SCORES_NDIM: Final = 2
"""Number of axes of an output that decides: samples and classes."""


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """Outputs of a variant for the golden set.

    Attributes:
        provenance: Origin of the measurement.
        arrays: Outputs by name, [n, ...], in the golden set's order.
        expected: Number of samples that were run. Each array must have as many rows.
    """

    provenance: Provenance
    arrays: Mapping[str, Array]
    expected: int


@dataclass(frozen=True, slots=True, eq=False)
class Repeats:
    """Outputs for a few golden samples: run twice one by one, and once as a batch.

    Attributes:
        provenance: Origin of the measurement.
        samples: Indices of the samples in the golden set.
        first: Outputs by name, [n, ...], run one sample at a time.
        again: Outputs of a second pass in the same session.
        batched: Outputs of one batch; empty if the batch axis is not dynamic.
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
    """Outputs of a variant on a target, for selected golden samples.

    Attributes:
        provenance: Origin of the measurement.
        near: Indices of the samples with the narrowest decisions on the host, ascending.
        drawn: Indices of the samples drawn at random, ascending; all samples if all were run.
        arrays: Outputs by name, one row per index in :attr:`samples`; fewer rows if the execution failed midway.
        failure: Why the file could not be loaded or run there, or an empty string.
        signal: Number of the signal that ended the process, or ``None``.
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
        """Indices of all samples, in row order."""
        return tuple(sorted(self.near + self.drawn))


@dataclass(frozen=True, slots=True, eq=False)
class GoldenFacts:
    """Facts of the golden set that need no model.

    Attributes:
        digest: Digest of the whole set.
        ids: Name of each sample, in order.
        classes: Names of the classes.
        labels: int64 [n], indices into ``classes``; ``None`` for an unlabelled set.
        clusters: Cluster name of each sample; ``None`` if the contract names no clusters.
        columns: Other columns of the label table, one text per sample; empty for tensors. The digest does not cover
            them, because no verdict depends on them.
    """

    digest: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]
    labels: NDArray[np.int64] | None = None
    clusters: tuple[str, ...] | None = None
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class ArrayDigest(BaseModel):
    """Digest of one output of a variant for the golden set.

    Attributes:
        output: Name of the output.
        dtype: Element type, in numpy's spelling.
        shape: Extents, samples first.
        digest: Digest of all values in little-endian order. Equal digests mean equal bits.
        decisions: For scores [n, classes], the index of the highest score per sample, separated by spaces; ``-`` if a
            score is not finite. Empty for other outputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    output: str
    dtype: str
    shape: tuple[int, ...]
    digest: str
    decisions: str = ""


def answers_of(outputs: Outputs) -> tuple[ArrayDigest, ...]:
    """Digest each output, so that records of two runs can be compared without the arrays."""
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
    if array.ndim != SCORES_NDIM or array.shape[1] <= 1 or array.dtype.kind not in "iuf":
        return ""
    scores = np.asarray(array, np.float64)
    best = np.where(np.isfinite(scores).all(axis=1), scores.argmax(axis=1), -1)
    return " ".join(map(str, best.tolist())).replace("-1", "-")
