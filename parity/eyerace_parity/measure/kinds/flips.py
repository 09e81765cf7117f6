"""Computes the flip ledger: the samples that two variants decide differently, and which variant is right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from eyerace_parity.evidence.answers import SCORES_NDIM
from eyerace_parity.evidence.flips import Flip, FlipLedger
from eyerace_parity.stats.classification import decisions, flips

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.answers import GoldenFacts, Outputs
    from eyerace_parity.evidence.base import Array, Provenance
    from eyerace_parity.stats.classification import Indices


MOST_ROWS: Final = 1000
"""Flips that a ledger lists: more would only make the record larger."""


Kind = Literal["harmed", "mended", "moved", "unlabelled"]


def compute_flips(
    contract: Contract, candidate: Outputs, golden: GoldenFacts, other: Outputs, source: Provenance
) -> FlipLedger:
    """Compare two variants' decisions.

    Args:
        contract: Names the scores and the classes.
        candidate: Outputs of the judged variant; scores [n, classes].
        golden: The samples, in the order of both outputs.
        other: Outputs of the variant that it is compared with.
        source: Provenance of the ledger.

    Returns:
        The ledger; only with a reason if decisions cannot be compared.
    """
    name = contract.scores_output
    ours, theirs = candidate.arrays.get(name), other.arrays.get(name)
    if (failure := _failure(ours, theirs, golden)) or ours is None or theirs is None:
        return FlipLedger(provenance=source, failure=failure)
    decided, before = decisions(ours), decisions(theirs)
    rows: list[tuple[Kind, Indices]] = []
    if golden.labels is None:
        rows.append(("unlabelled", np.flatnonzero(decided != before)))
    else:
        found = flips(golden.labels, decided, before)
        rows += [("harmed", found.harmed), ("mended", found.mended), ("moved", found.moved)]
    classes = contract.classes

    def called(index: int) -> str:
        return classes[index] if index < len(classes) else f"class {index}"

    def row(kind: Kind, at: int) -> Flip:
        mine, its = int(decided[at]), int(before[at])
        return Flip(
            id=golden.ids[at],
            label="" if golden.labels is None else called(int(golden.labels[at])),
            decision=called(mine),
            other=called(its),
            kind=kind,
            margin=float(ours[at, mine]) - float(ours[at, its]),
            other_margin=float(theirs[at, its]) - float(theirs[at, mine]),
            capture={column: cells[at] for column, cells in golden.columns.items()},
        )

    counts: dict[str, int] = {kind: len(where) for kind, where in rows}
    listed = [(kind, int(at)) for kind, where in rows for at in where]
    return FlipLedger(
        provenance=source,
        samples=len(decided),
        total=len(listed),
        harmed=counts.get("harmed", 0),
        mended=counts.get("mended", 0),
        moved=counts.get("moved", 0),
        rows=tuple(row(kind, at) for kind, at in listed[:MOST_ROWS]),
    )


def _failure(ours: Array | None, theirs: Array | None, golden: GoldenFacts) -> str:
    """Say why decisions cannot be compared, or nothing."""
    if ours is None or theirs is None:
        return "the output of scores is missing"
    samples = len(golden.ids)
    if ours.ndim != SCORES_NDIM or ours.shape != theirs.shape or len(ours) != samples or not ours.size:
        return f"the scores have the shapes {list(ours.shape)} and {list(theirs.shape)} for {samples} samples"
    if not (np.isfinite(ours.astype(np.float64)).all() and np.isfinite(theirs.astype(np.float64)).all()):
        return "some scores are not finite"
    return ""
