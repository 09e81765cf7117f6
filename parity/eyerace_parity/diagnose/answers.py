"""Causes that answers alone show: how they relate to the labels, and to the reference's answers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.numbers import format_number
from eyerace_parity.core.text import join_names
from eyerace_parity.stats.classification import confusion, decisions, dependence, macro_f1
from eyerace_parity.stats.differences import log_softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

_TABLE: Final = 2
_CLOSE: Final = 0.02
"""Root mean square of what is left, as a share of the reference's, below which a relation is taken for true."""
_APART: Final = 0.05
"""The same without the relation, above which there is something to explain."""
_SOFT: Final = 0.2
"""The same for probabilities, which saturate."""
_TOTAL: Final = 0.02
_FEW: Final = 7
"""Classes whose every order is tried."""
_GAIN: Final = 0.2
"""By how much another order of the classes must raise F1."""
_NO_BETTER: Final = 0.1
"""F1 above chance below which answers and labels have nothing to do with each other."""
_BY_CHANCE: Final = 3.0
"""Standard deviates up to which a dependence may be luck."""
_ENOUGH: Final = 50
_SAME: Final = 0.99
_STILL: Final = 1e-6
_SURE: Final = 0.9
_MANY: Final = 10
_SHARE: Final = 0.04
"""Share of samples that sure and joint errors must be before labels are doubted."""
_WITNESS: Final = 0.6
"""Share of all samples that must be decided as labelled before single labels are doubted."""


def causes(variant: str, scores: Array | None, reference: str, theirs: Array | None, golden: GoldenFacts) -> list[str]:
    """Name what the answers show.

    Args:
        variant: Who is judged.
        scores: Its scores, [n, classes].
        reference: Name of its reference; empty for none.
        theirs: The reference's scores, [n, classes].
        golden: The golden set's facts.
    """
    if scores is None or scores.ndim != _TABLE or not np.isfinite(scores.astype(np.float64)).all():
        return []
    ours = scores.astype(np.float64)
    found = []
    if theirs is not None and theirs.shape == scores.shape and np.isfinite(theirs.astype(np.float64)).all():
        found = _relation(variant, ours, reference, theirs.astype(np.float64), golden.classes)
        if not found and golden.labels is not None and _does_better(theirs, ours, golden.labels, len(golden.classes)):
            return []  # the labels fit the reference, so they are not at fault
    if not found and golden.labels is not None and len(golden.labels) == len(ours):
        found = _labels(variant, ours, golden.labels, golden.classes, theirs)
    return found


def _does_better(theirs: Array, ours: Floats, labels: Indices, classes: int) -> bool:
    """Whether the reference's decisions fit the labels clearly better."""
    if classes != ours.shape[1] or len(labels) != len(ours):
        return False
    f1 = [macro_f1(confusion(labels, decisions(scores), classes)) for scores in (theirs, ours)]
    return f1[0] > f1[1] + _NO_BETTER


def unread(variant: str, scores: Array | None) -> list[str]:
    """Say that the answers do not depend on the sample: for where nothing else explains them."""
    if scores is None or not len(scores) or not np.isfinite(scores.astype(np.float64)).all():
        return []
    spread = float(scores.astype(np.float64).std(axis=0).max())
    if spread > _STILL * (float(np.abs(scores.astype(np.float64)).max()) or 1.0):
        return []
    return [f"{variant} answers the same to every sample: it does not read its input, constants were baked in"]


# ---- beside the reference --------------------------------------------------------------------------------------------


def _relation(variant: str, ours: Floats, reference: str, theirs: Floats, classes: Sequence[str]) -> list[str]:
    """What one must do to the reference's scores to get the variant's."""
    if _distance(ours, theirs) < _APART:
        return []
    softened = np.exp(log_softmax(theirs))
    if _adds_up(ours) and not _adds_up(theirs) and _distance(ours, softened) < _SOFT:
        return [f"the scores of {variant} are the softmax of those of {reference}: a softmax was added"]
    if _adds_up(theirs) and not _adds_up(ours):
        centred = np.exp(log_softmax(ours))
        if _distance(centred, theirs) < _SOFT:
            return [f"the scores of {reference} are the softmax of those of {variant}: the softmax was lost"]
    if found := _reordered(variant, ours, reference, theirs, classes):
        return found
    return _moved(variant, ours, reference, theirs, classes)


def _reordered(variant: str, ours: Floats, reference: str, theirs: Floats, classes: Sequence[str]) -> list[str]:
    """The same columns in another order."""
    if ours.shape[1] < _TABLE or min(ours.std(axis=0).min(), theirs.std(axis=0).min()) == 0:
        return []
    count = ours.shape[1]
    alike = np.corrcoef(ours.T, theirs.T)[:count, count:]
    order = alike.argmax(axis=1)
    if sorted(order.tolist()) != list(range(count)) or np.array_equal(order, np.arange(count)):
        return []
    if _distance(ours, theirs[:, order]) > 0.5 * _distance(ours, theirs):
        return []
    names = classes if len(classes) == count else [f"class {number}" for number in range(count)]
    moved = [f"{names[old]} in the place of {names[new]}" for new, old in enumerate(order.tolist()) if new != old]
    return [f"the scores of {variant} are those of {reference} in another order: {join_names(moved, most=6)}"]


def _moved(variant: str, ours: Floats, reference: str, theirs: Floats, classes: Sequence[str]) -> list[str]:
    """One factor for all, or something added to a class."""
    size = float(np.vdot(theirs, theirs)) or 1.0
    factor = float(np.vdot(theirs, ours)) / size
    before = _distance(ours, theirs)
    if abs(factor - 1) > _APART and _distance(ours, factor * theirs) < min(5 * _CLOSE * abs(factor), 0.2 * before):
        told = f"the scores of {variant} are {format_number(factor)} times those of {reference}"
        return [f"{told}: one factor (or temperature) on all"]
    added = (ours - theirs).mean(axis=0)
    if _distance(ours - added, theirs) < 0.3 * before:
        names = classes if len(classes) == len(added) else [f"class {number}" for number in range(len(added))]
        most = int(np.abs(added - np.median(added)).argmax())
        told = f"the scores of {variant} are those of {reference} with {format_number(float(added[most]))} added"
        return [f"{told} to {names[most]}: a shift that no sample changes"]
    return []


def _adds_up(scores: Floats) -> bool:
    """Whether every row is a distribution, as far as eight bits can tell."""
    return bool((scores >= -_TOTAL).all() and np.allclose(scores.sum(axis=1), 1.0, atol=_TOTAL))


def _distance(ours: Floats, theirs: Floats) -> float:
    """Root mean square difference, as a share of the second's root mean square."""
    size = float(np.sqrt(np.mean(np.square(theirs)))) or 1.0
    return float(np.sqrt(np.mean(np.square(ours - theirs)))) / size


# ---- beside the labels -----------------------------------------------------------------------------------------------


def _labels(
    variant: str, scores: Floats, labels: Indices, classes: Sequence[str], reference_scores: Array | None
) -> list[str]:
    """Whether another order of the classes would make the decisions right."""
    count = len(classes)
    if count != scores.shape[1] or count < _TABLE:
        return []
    decided = decisions(scores)
    counts = confusion(labels, decided, count)
    now = macro_f1(counts)
    order = _best_order(counts)
    then = macro_f1(counts[:, order])
    if then >= now + _GAIN:
        return [_order_in_words(variant, order, classes, now, then)]
    chance = 1.0 / count
    shares = np.bincount(decided, minlength=count) / len(decided)
    # Decisions that are wrong in a pattern depend on the labels: it is the samples or the model that changed.
    unrelated = now < chance + _NO_BETTER and dependence(counts) < _BY_CHANCE
    if unrelated and len(labels) >= _ENOUGH and shares.max() < _SAME and _decisive(scores):
        told = f"macro-F1 {format_number(now)}, by chance {format_number(chance)}"
        spread = "although they are spread over the classes: the labels look shuffled against the samples"
        return [f"the decisions of {variant} have nothing to do with the labels ({told}), {spread}"]
    doubt = "" if reference_scores is None else _against_labels(scores, reference_scores, labels)
    return [doubt] if doubt else []


def _against_labels(ours: Floats, theirs: Array, labels: Indices) -> str:
    """Samples that two variants, both sure, decide alike and otherwise than their label says."""
    if theirs.shape != ours.shape:
        return ""
    decided = decisions(ours)
    sure = np.minimum(*(np.exp(log_softmax(scores.astype(np.float64))).max(axis=1) for scores in (ours, theirs)))
    doubtful = np.flatnonzero((decided == decisions(theirs)) & (decided != labels) & (sure > _SURE))
    # Whoever is mostly wrong is no witness against a label.
    if len(doubtful) < max(_MANY, _SHARE * len(labels)) or (decided == labels).mean() < _WITNESS:
        return ""
    return (
        f"{len(doubtful)} of {len(labels)} samples are decided against their label by both variants, each more than"
        f" {format_number(100 * _SURE)} % sure: those labels look wrong"
    )


def _decisive(scores: Floats) -> bool:
    """Whether a model is as sure of itself as one that was trained: it then knows something, if not these labels."""
    best = np.exp(log_softmax(scores)).max(axis=1)
    return bool(np.median(best) > 2.0 / scores.shape[1])


def _best_order(counts: Indices) -> list[int]:
    """For each label the decision that stands for it, so that most are right."""
    count = len(counts)
    if count <= _FEW:
        places = np.arange(count)
        return list(max(itertools.permutations(range(count)), key=lambda order: int(counts[places, list(order)].sum())))
    order, left = [-1] * count, counts.astype(np.float64).copy()
    for _ in range(count):
        label, decision = np.unravel_index(int(left.argmax()), left.shape)
        order[int(label)] = int(decision)
        left[label, :] = left[:, decision] = -1.0
    return order


def _order_in_words(variant: str, order: list[int], classes: Sequence[str], now: float, then: float) -> str:
    gain = f"that would bring macro-F1 of {variant} from {format_number(now)} to {format_number(then)}"
    moved = [place for place, other in enumerate(order) if place != other]
    if order == list(range(len(order)))[::-1]:
        return f"the classes stand in reverse order: {gain}"
    if len(moved) == _TABLE:
        return f"{classes[moved[0]]} and {classes[moved[1]]} are exchanged: undoing {gain}"
    told = [f"{classes[place]} is decided as {classes[order[place]]}" for place in moved]
    return f"the classes stand in another order ({join_names(told, most=6)}): undoing {gain}"
