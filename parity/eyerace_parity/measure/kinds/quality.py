"""Computes quality, slices, noise, shown samples and mixtures from outputs and labels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.evidence.quality import (
    ClassF1,
    DecidedSample,
    DecisionSamples,
    Mixture,
    MixturePoint,
    NoiseLevel,
    OutputNoise,
    Quality,
    Slice,
    Slices,
)
from eyerace_parity.stats import differences, measures
from eyerace_parity.stats.bootstrap import bound, enough_draws
from eyerace_parity.stats.classification import accuracy, confusion, decisions, f1_by_class, flips, macro_f1
from eyerace_parity.stats.decisions import Labelled, Rules, clusters_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.sections import Statistics
    from eyerace_parity.evidence.answers import GoldenFacts, Outputs
    from eyerace_parity.evidence.base import Array, Provenance
    from eyerace_parity.evidence.quality import ChangeOfDecision
    from eyerace_parity.stats.binomial import Bounds
    from eyerace_parity.stats.classification import Indices
    from eyerace_parity.stats.measures import BootstrapMeasure

    Floats = NDArray[np.float64]

PARTS: Final = 5
"""Slices of a column, each with about the same number of samples."""

MOST_COLUMNS: Final = 6
"""Columns of the table of labels that are sliced."""

MOST_ROWS: Final = 2000
"""Samples that a comparison shows: flips, the largest changes of probability, and a seeded choice of the rest."""

MOST_MOVED: Final = 12
"""Samples named for the largest changes of probability without a flip."""

_MOVED: Final = 0.01
_CURVE: Final = 21
_DIGITS: Final = 6
_SCORES_NDIM: Final = 2
_FEWEST_CLASSES: Final = 2


@dataclass(frozen=True, slots=True, eq=False)
class LabelledDecisions:
    """Labels and one variant's decisions.

    Attributes:
        labels: int64 [n].
        decided: int64 [n].
        classes: Names of the classes.
        clusters: One text a sample, equal for samples that belong together, or ``None``.
    """

    labels: Indices
    decided: Indices
    classes: tuple[str, ...]
    clusters: tuple[str, ...] | None


def scores_of(contract: Contract, golden: GoldenFacts, outputs: Outputs) -> Array:
    """A variant's scores, [n, classes].

    Raises:
        MeasurementError: It has none for every sample, or some are not finite.
    """
    scores = outputs.arrays.get(contract.scores_output)
    variant = outputs.provenance.variant
    if scores is None or scores.ndim != _SCORES_NDIM or len(scores) != len(golden.ids) or not scores.size:
        raise MeasurementError(f"{variant} has no scores for every sample", next_step="name the output of scores")
    if golden.classes and scores.shape[1] != len(golden.classes):
        reason = f"{variant} scores {scores.shape[1]} classes, the golden set has {len(golden.classes)}"
        raise MeasurementError(reason, next_step="name the classes in the order of the scores")
    if not np.isfinite(scores.astype(np.float64)).all():
        raise MeasurementError(f"some scores of {variant} are not finite", next_step="see why the variant answers so")
    return scores


def probabilities_of(contract: Contract, scores: Array) -> Floats:
    """Scores [n, classes] as probabilities: by a softmax, unless the contract says that they are probabilities."""
    stated = contract.hybrid
    if stated is not None and stated.scores == "probabilities":
        return np.exp(differences.log_probabilities(scores))
    return np.exp(differences.log_softmax(scores))


def labelled(contract: Contract, golden: GoldenFacts, outputs: Outputs) -> LabelledDecisions:
    """Return the labels with the decisions.

    Raises:
        MeasurementError: The set has no labels, or the variant no scores.
    """
    if golden.labels is None or not golden.classes:
        raise MeasurementError("the golden set has no labels", next_step="label the golden set")
    decided = decisions(scores_of(contract, golden, outputs))
    return LabelledDecisions(golden.labels, decided, golden.classes, golden.clusters)


def compute_quality(contract: Contract, outputs: Outputs, golden: GoldenFacts, source: Provenance) -> Quality:
    """Count right and wrong decisions, and bound the F1 of every class.

    Args:
        contract: Names the scores, says how sure a bound must be, and what it demands of each class.
        outputs: What the variant answered.
        golden: The labels.
        source: Provenance of the evidence; names the judged variant.

    Raises:
        MeasurementError: The set has no labels, or the variant no scores.
    """
    known = labelled(contract, golden, outputs)
    counts = confusion(known.labels, known.decided, len(known.classes))
    whole, demanded = macro_f1(counts), floors_of(contract, source.variant)
    by_class = tuple(
        _class_f1(known, index, float(value), contract.statistics, demanded.get(known.classes[index]))
        for index, value in enumerate(f1_by_class(counts))
    )
    return Quality(
        provenance=source,
        samples=len(known.labels),
        confidence=contract.statistics.confidence,
        confusion=tuple(tuple(row) for row in counts.tolist()),
        macro_f1=whole if math.isfinite(whole) else None,
        accuracy=accuracy(counts),
        by_class=by_class,
    )


def _class_f1(
    known: LabelledDecisions, index: int, value: float, stated: Statistics, demanded: float | None
) -> ClassF1:
    name = known.classes[index]
    if not math.isfinite(value):
        return ClassF1(name=name, demanded=demanded)
    found = _bounds(known, measures.class_f1(len(known.classes), index), stated)
    low, high = (None, None) if found is None else (found.lower, found.upper)
    return ClassF1(name=name, value=value, low=low, high=high, demanded=demanded)


def _bounds(known: LabelledDecisions, measure: BootstrapMeasure, stated: Statistics) -> Bounds | None:
    """One-sided bounds by the bootstrap that clauses use; ``None`` for fewer than two classes, which allow no error."""
    if measure.classes < _FEWEST_CLASSES:
        return None
    rules = Rules(stratified=stated.sampling == "stratified")
    samples = Labelled(known.labels, known.decided[:, None], clusters=known.clusters)
    measure, kinds = clusters_of(measure, samples, known.decided[None], rules)
    risk = 1.0 - stated.confidence
    draws = enough_draws(stated.draws, risk)
    return bound(kinds, measure.value, (1,), draws=draws, seed=stated.seed, below=risk, above=risk)


def compute_slices(contract: Contract, outputs: Outputs, golden: GoldenFacts, source: Provenance) -> Slices:
    """F1 of each part of each column of numbers, with bounds.

    Args:
        contract: Names the scores, and says how sure a bound must be.
        outputs: What the variant answered.
        golden: The labels, and the further columns of their table.
        source: Provenance of the evidence.

    Raises:
        MeasurementError: The set has no labels or other columns, or the variant no scores.
    """
    known = labelled(contract, golden, outputs)
    if any(len(cells) != len(known.labels) for cells in golden.columns.values()):
        raise MeasurementError("the table of labels is of another set", next_step="restore the table that was judged")
    found: list[Slice] = []
    looked_at = 0
    for column, cells in golden.columns.items():
        numbers = _numbers(cells)
        if numbers is None or looked_at == MOST_COLUMNS:
            continue
        looked_at += 1
        found += _slices(known, column, numbers, contract.statistics)
    return Slices(provenance=source, confidence=contract.statistics.confidence, slices=tuple(found))


def _numbers(cells: Sequence[str]) -> Floats | None:
    """A column of numbers that differ enough to be split; ``None`` for texts, codes and constants."""
    try:
        found = np.array([float(cell) for cell in cells])
    except ValueError:
        return None
    telling = len(np.unique(found)) > 2 * PARTS and bool(np.isfinite(found).all())
    return found if telling else None


def _slices(known: LabelledDecisions, column: str, numbers: Floats, stated: Statistics) -> list[Slice]:
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, PARTS + 1)))
    place = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, max(len(edges) - 2, 0))
    found = []
    for part in np.unique(place).tolist():
        inside = np.flatnonzero(place == part)
        # A class that does not occur in a part has no F1 there: the mean is over those that do.
        present, renumbered = np.unique(
            np.concatenate([known.labels[inside], known.decided[inside]]), return_inverse=True
        )
        labels, decided = renumbered[: len(inside)], renumbered[len(inside) :]
        together = None if known.clusters is None else tuple(known.clusters[i] for i in inside.tolist())
        names = tuple(known.classes[i] for i in present.tolist())
        own = LabelledDecisions(labels, decided, names, together)
        bounds = _bounds(own, measures.macro_f1(len(names)), stated)
        found.append(
            Slice(
                column=column,
                part=part,
                middle=float(np.median(numbers[inside])),
                samples=len(inside),
                f1=macro_f1(confusion(labels, decided, len(names))),
                low=None if bounds is None else bounds.lower,
                high=None if bounds is None else bounds.upper,
            )
        )
    return found


def compute_noise(_contract: Contract, ours: Outputs, theirs: Outputs, source: Provenance) -> OutputNoise:
    """Compute the signal-to-noise ratio of every output that both have in the same shape."""
    levels = [
        NoiseLevel(output=name, sqnr_db=differences.sqnr_db(array, theirs.arrays[name]))
        for name, array in ours.arrays.items()
        if name in theirs.arrays and _comparable(array, theirs.arrays[name])
    ]
    return OutputNoise(provenance=source, levels=tuple(levels))


def _comparable(ours: Array, theirs: Array) -> bool:
    if ours.shape != theirs.shape or not ours.size or ours.dtype.kind not in "fiu" or theirs.dtype.kind not in "fiu":
        return False
    return bool(np.isfinite(ours).all() and np.isfinite(theirs).all())


def compute_samples(
    contract: Contract, ours: Outputs, golden: GoldenFacts, theirs: Outputs, source: Provenance
) -> DecisionSamples:
    """Choose the samples that a report shows of a comparison, with both decisions and their probabilities.

    Args:
        contract: Names the scores and says what they are.
        ours: What the candidate answered.
        golden: The samples.
        theirs: What the variant answered that it is compared to.
        source: Provenance of the evidence.

    Raises:
        MeasurementError: One of them has no scores for every sample, or not of the same classes.
    """
    scores = scores_of(contract, golden, ours), scores_of(contract, golden, theirs)
    if scores[0].shape != scores[1].shape:
        raise MeasurementError("the variants score other classes", next_step="compare variants of the same classes")
    mine, its = decisions(scores[0]), decisions(scores[1])
    candidate, other = (probabilities_of(contract, each) for each in scores)
    moved = np.abs(candidate - other).max(axis=1)
    kinds = _kinds(golden, mine, its)

    def called(index: int) -> str:
        return golden.classes[index] if index < len(golden.classes) else f"class {index}"

    def row(at: int) -> DecidedSample:
        return DecidedSample(
            index=at,
            id=golden.ids[at],
            label="" if golden.labels is None else called(int(golden.labels[at])),
            kind=kinds[at],
            decision=called(int(mine[at])),
            other=called(int(its[at])),
            p=round(float(candidate[at, mine[at]]), _DIGITS),
            other_p=round(float(other[at, its[at]]), _DIGITS),
            p_of_other=round(float(candidate[at, its[at]]), _DIGITS),
        )

    order = np.argsort(-moved, kind="stable")
    furthest = order[((mine == its) & (moved > _MOVED))[order]][:MOST_MOVED]
    return DecisionSamples(
        provenance=source,
        total=len(mine),
        differ=int((mine != its).sum()),
        rows=tuple(row(at) for at in _shown(mine != its, order)),
        moved=tuple(row(at) for at in furthest.tolist()),
    )


def _shown(differs: NDArray[np.bool_], order: NDArray[np.intp]) -> list[int]:
    """Places of the samples shown, ascending; ``order`` has those first whose probabilities moved the most."""
    total = len(differs)
    if total <= MOST_ROWS:
        return list(range(total))
    drawn = np.random.default_rng(0).permutation(total)
    first = np.concatenate([np.flatnonzero(differs)[: MOST_ROWS // 2], order[: MOST_ROWS // 4], drawn])
    return sorted(list(dict.fromkeys(first.tolist()))[:MOST_ROWS])


def _kinds(golden: GoldenFacts, mine: Indices, its: Indices) -> list[ChangeOfDecision]:
    """Return the relation of the two decisions about each sample."""
    if golden.labels is None:
        return ["unlabelled" if differs else "same" for differs in mine != its]
    found = flips(golden.labels, mine, its)
    kinds = np.full(len(mine), "same", object)
    kinds[found.harmed], kinds[found.mended], kinds[found.moved] = "harmed", "mended", "moved"
    return kinds.tolist()


def compute_mixture(
    contract: Contract, device: Outputs, golden: GoldenFacts, cloud: Outputs, source: Provenance
) -> Mixture:
    """Macro-F1 by the share of answers that the device gives.

    Raises:
        MeasurementError: The contract mixes nothing, the set has no labels, or F1 is not defined for it.
    """
    if contract.hybrid is None:
        raise MeasurementError("the contract mixes no variants", next_step="state [hybrid] in the contract")
    tables = [
        confusion(known.labels, known.decided, len(known.classes))
        for known in (labelled(contract, golden, one) for one in (device, cloud))
    ]

    def at(share: float) -> MixturePoint:
        return MixturePoint(share=share, f1=macro_f1(share * tables[0] + (1 - share) * tables[1]))

    curve = tuple(at(float(share)) for share in np.linspace(0, 1, _CURVE))
    if not all(math.isfinite(point.f1) for point in curve):
        raise MeasurementError("a class has neither a label nor a decision", next_step="add samples of every class")
    return Mixture(provenance=source, curve=curve, expected=at(contract.hybrid.offline_share))


def floors_of(contract: Contract, variant: str) -> Mapping[str, float]:
    """The F1 that the contract demands of a variant's classes, by name."""
    stated = getattr(contract.variants[variant].limits.get("quality"), "f1_per_class", None)
    if isinstance(stated, dict):
        return stated
    return {} if stated is None else dict.fromkeys(contract.classes, stated)
