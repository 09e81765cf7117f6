"""The flip ledger: which samples two variants decide differently, and who was right; reckoned, never measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import numpy as np

from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.flips import Flip, FlipLedger
from eyerace_parity.measure.measurer import Derivation
from eyerace_parity.stats.classification import decisions, flips

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array, Provenance
    from eyerace_parity.evidence.source import Source
    from eyerace_parity.stats.classification import Indices


MOST_ROWS: Final = 1000
"""Flips that a ledger lists: beyond them a record would grow, and nobody reads on."""

_FLAT: Final = 2

Kind = Literal["harmed", "mended", "moved", "unlabelled"]


def compute_flips(
    contract: Contract,
    golden: GoldenFacts,
    columns: Mapping[str, Sequence[str]],
    candidate: Outputs,
    other: Outputs,
    *,
    source: Provenance,
) -> FlipLedger:
    """Compare two variants' decisions.

    Args:
        contract: Names the scores and the classes.
        golden: The samples, in the order of both outputs.
        columns: Further columns of the table of labels, one text a sample.
        candidate: What the judged variant answered; scores [n, classes].
        other: What it is compared to.
        source: Where the ledger is said to come from.

    Returns:
        The ledger; where decisions cannot be compared, with the reason and nothing else.
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
            capture={column: cells[at] for column, cells in columns.items()},
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
    if ours.ndim != _FLAT or ours.shape != theirs.shape or len(ours) != samples or not ours.size:
        return f"the scores have the shapes {list(ours.shape)} and {list(theirs.shape)} for {samples} samples"
    if not (np.isfinite(ours.astype(np.float64)).all() and np.isfinite(theirs.astype(np.float64)).all()):
        return "some scores are not finite"
    return ""


def _inputs(need: Need[FlipLedger]) -> tuple[Need[GoldenFacts], Need[Outputs], Need[Outputs]]:
    ours = Need(Outputs, need.variant, need.target)
    return Need(GoldenFacts), ours, Need(Outputs, need.versus, need.target, baseline=need.baseline)


def _derive(
    contract: Contract, need: Need[FlipLedger], source: Source, columns: Mapping[str, Sequence[str]]
) -> FlipLedger:
    """The flips of a variant against another's answers, or the release's."""
    golden_facts, our_need, their_need = _inputs(need)
    golden, ours, theirs = source.obtain(golden_facts), source.obtain(our_need), source.obtain(their_need)
    settings = ours.provenance.settings | {"versus": need.versus, "versus_evidence": source.key(their_need)}
    stated = ours.provenance.model_copy(update={"settings": settings, "cached": False})
    return compute_flips(contract, golden, columns, ours, theirs, source=stated)


FLIPS: Final = Derivation(_inputs, _derive)
