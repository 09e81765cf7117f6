"""Finds causes in the answers alone: their relation to the labels and to the reference's answers."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.numbers import format_number
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import SCORES_NDIM
from eyerace_parity.stats.classification import confusion, decisions, dependence, macro_f1
from eyerace_parity.stats.differences import log_softmax

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array

    Floats = NDArray[np.float64]
    Indices = NDArray[np.int64]

_PAIR: Final = 2
_CLOSE: Final = 0.02
"""Relative root mean square error below which a relation to the reference is taken as true."""
_DIFFERENT: Final = 0.05
"""Relative root mean square difference above which there is something to explain."""
_CLOSE_PROBABILITIES: Final = 0.2
"""Relative root mean square error for probabilities, which saturate near 0 and 1."""
_SUM_TOLERANCE: Final = 0.02
"""Tolerance of the sum of a row of probabilities; eight-bit scores are rounded to 1/256."""
_MAX_PERMUTED: Final = 7
"""Largest number of classes of which every order is tried: 7! = 5,040."""
_GAIN: Final = 0.2
"""By how much another order of the classes must raise macro-F1."""
_NO_BETTER: Final = 0.1
"""Macro-F1 above chance below which answers and labels count as unrelated."""
_MAX_DEVIATES: Final = 3.0
"""Standard deviates up to which a dependence may be chance; 3 is a one-sided probability of 0.13 %."""
_MIN_LABELS: Final = 50
"""Labels needed before they are called unrelated."""
_ONE_CLASS: Final = 0.99
"""Share of one decision from which a variant counts as constant."""
_CONSTANT: Final = 1e-6
"""Relative spread over the samples up to which scores count as constant."""
_CONFIDENT: Final = 0.9
"""Probability of the decision from which a variant counts as confident."""
_MIN_DOUBTFUL: Final = 10
"""Samples needed before labels are doubted."""
_MIN_DOUBTFUL_SHARE: Final = 0.04
"""Share of samples with confident joint errors needed before labels are doubted."""
_MIN_ACCURACY: Final = 0.6
"""Accuracy needed before a variant may contradict labels."""


def causes(variant: str, scores: Array | None, reference: str, theirs: Array | None, golden: GoldenFacts) -> list[str]:
    """Name what the answers show.

    Args:
        variant: The judged variant.
        scores: Its scores, [samples, classes]; ``None`` if it has none.
        reference: Name of its reference; empty for none.
        theirs: The reference's scores, [samples, classes].
        golden: Labels and classes of the golden set.

    Returns:
        One sentence a cause; empty if the answers show none.
    """
    if scores is None or scores.ndim != SCORES_NDIM or not np.isfinite(scores.astype(np.float64)).all():
        return []
    ours = scores.astype(np.float64)
    sentences = []
    if theirs is not None and theirs.shape == scores.shape and np.isfinite(theirs.astype(np.float64)).all():
        sentences = _relation(variant, ours, reference, theirs.astype(np.float64), golden.classes)
        if (
            not sentences
            and golden.labels is not None
            and _does_better(theirs, ours, golden.labels, len(golden.classes))
        ):
            return []  # the labels fit the reference, so they are not at fault
    if not sentences and golden.labels is not None and len(golden.labels) == len(ours):
        sentences = _labels(variant, ours, golden.labels, golden.classes, theirs)
    return sentences


def _does_better(theirs: Array, ours: Floats, labels: Indices, classes: int) -> bool:
    """Whether the reference's macro-F1 is clearly higher."""
    if classes != ours.shape[1] or len(labels) != len(ours):
        return False
    f1 = [macro_f1(confusion(labels, decisions(scores), classes)) for scores in (theirs, ours)]
    return f1[0] > f1[1] + _NO_BETTER


def constant_answers(variant: str, scores: Array | None) -> list[str]:
    """Report that the answers do not depend on the sample. Called only where nothing else explains the fault."""
    if scores is None or not len(scores) or not np.isfinite(scores.astype(np.float64)).all():
        return []
    spread = float(scores.astype(np.float64).std(axis=0).max())
    if spread > _CONSTANT * (float(np.abs(scores.astype(np.float64)).max()) or 1.0):
        return []
    return [f"{variant} gives the same answer for every sample: it does not read its input, constants were baked in"]


# ---- against the reference ------------------------------------------------------------------------------------------


def _relation(variant: str, ours: Floats, reference: str, theirs: Floats, classes: Sequence[str]) -> list[str]:
    """Find the operation that turns the reference's scores into the variant's."""
    if _distance(ours, theirs) < _DIFFERENT:
        return []
    # Tested before the other relations: after a softmax no order, factor or offset explains the scores.
    softened = np.exp(log_softmax(theirs))
    if _is_distribution(ours) and not _is_distribution(theirs) and _distance(ours, softened) < _CLOSE_PROBABILITIES:
        return [f"the scores of {variant} are the softmax of those of {reference}: a softmax was added"]
    if _is_distribution(theirs) and not _is_distribution(ours):
        centred = np.exp(log_softmax(ours))
        if _distance(centred, theirs) < _CLOSE_PROBABILITIES:
            return [f"the scores of {reference} are the softmax of those of {variant}: the softmax was lost"]
    if sentences := _reordered(variant, ours, reference, theirs, classes):
        return sentences
    return _moved(variant, ours, reference, theirs, classes)


def _reordered(variant: str, ours: Floats, reference: str, theirs: Floats, classes: Sequence[str]) -> list[str]:
    """Find the same columns in another order."""
    if ours.shape[1] <= 1 or min(ours.std(axis=0).min(), theirs.std(axis=0).min()) == 0:
        return []
    count = ours.shape[1]
    alike = np.corrcoef(ours.T, theirs.T)[:count, count:]
    order = alike.argmax(axis=1)
    # Every column must match another one, otherwise it is no reordering.
    if sorted(order.tolist()) != list(range(count)) or np.array_equal(order, np.arange(count)):
        return []
    if _distance(ours, theirs[:, order]) > 0.5 * _distance(ours, theirs):
        return []
    names = classes if len(classes) == count else [f"class {number}" for number in range(count)]
    moved = [f"{names[old]} in the place of {names[new]}" for new, old in enumerate(order.tolist()) if new != old]
    return [f"the scores of {variant} are those of {reference} in another order: {join_names(moved, most=6)}"]


def _moved(variant: str, ours: Floats, reference: str, theirs: Floats, classes: Sequence[str]) -> list[str]:
    """Find one factor on all scores, or an offset on one class."""
    size = float(np.vdot(theirs, theirs)) or 1.0
    factor = float(np.vdot(theirs, ours)) / size
    before = _distance(ours, theirs)
    if abs(factor - 1) > _DIFFERENT and _distance(ours, factor * theirs) < min(5 * _CLOSE * abs(factor), 0.2 * before):
        message = f"the scores of {variant} are {format_number(factor)} times those of {reference}"
        return [f"{message}: one factor (or temperature) on all"]
    # The offset is compared after removal; 0.3 allows the noise of quantisation beside it.
    added = (ours - theirs).mean(axis=0)
    if _distance(ours - added, theirs) < 0.3 * before:
        names = classes if len(classes) == len(added) else [f"class {number}" for number in range(len(added))]
        most = int(np.abs(added - np.median(added)).argmax())
        message = f"the scores of {variant} are those of {reference} with {format_number(float(added[most]))} added"
        return [f"{message} to {names[most]}: a constant offset on one class"]
    return []


def _is_distribution(scores: Floats) -> bool:
    """Whether every row is a probability distribution, within eight-bit rounding."""
    return bool((scores >= -_SUM_TOLERANCE).all() and np.allclose(scores.sum(axis=1), 1.0, atol=_SUM_TOLERANCE))


def _distance(ours: Floats, theirs: Floats) -> float:
    """Root mean square difference, relative to the root mean square of the second array."""
    size = float(np.sqrt(np.mean(np.square(theirs)))) or 1.0
    return float(np.sqrt(np.mean(np.square(ours - theirs)))) / size


# ---- against the labels ----------------------------------------------------------------------------------------------


def _labels(
    variant: str, scores: Floats, labels: Indices, classes: Sequence[str], reference_scores: Array | None
) -> list[str]:
    """Find another order of the classes that makes the decisions right, or labels that do not fit."""
    count = len(classes)
    if count != scores.shape[1] or count <= 1:
        return []
    decided = decisions(scores)
    counts = confusion(labels, decided, count)
    now = macro_f1(counts)
    order = _best_order(counts)
    then = macro_f1(counts[:, order])
    if then >= now + _GAIN:
        return [_describe_order(variant, order, classes, now, then)]
    chance = 1.0 / count
    shares = np.bincount(decided, minlength=count) / len(decided)
    # Decisions that are wrong in a pattern still depend on the labels: then the samples or the model changed.
    unrelated = now < chance + _NO_BETTER and dependence(counts) < _MAX_DEVIATES
    if unrelated and len(labels) >= _MIN_LABELS and shares.max() < _ONE_CLASS and _decisive(scores):
        message = f"macro-F1 {format_number(now)}, by chance {format_number(chance)}"
        spread = "although they spread over the classes: the labels look shuffled"
        return [f"the decisions of {variant} are unrelated to the labels ({message}), {spread}"]
    doubt = "" if reference_scores is None else _against_labels(scores, reference_scores, labels)
    return [doubt] if doubt else []


def _against_labels(ours: Floats, theirs: Array, labels: Indices) -> str:
    """Find samples on which two confident variants agree with each other and contradict the label."""
    if theirs.shape != ours.shape:
        return ""
    decided = decisions(ours)
    confidence = np.minimum(*(np.exp(log_softmax(scores.astype(np.float64))).max(axis=1) for scores in (ours, theirs)))
    doubtful = np.flatnonzero((decided == decisions(theirs)) & (decided != labels) & (confidence > _CONFIDENT))
    # A variant that is mostly wrong cannot contradict a label.
    if (
        len(doubtful) < max(_MIN_DOUBTFUL, _MIN_DOUBTFUL_SHARE * len(labels))
        or (decided == labels).mean() < _MIN_ACCURACY
    ):
        return ""
    return (
        f"{len(doubtful)} of {len(labels)} samples are decided against their label by both variants, each more than"
        f" {format_number(100 * _CONFIDENT)} % sure: those labels look wrong"
    )


def _decisive(scores: Floats) -> bool:
    """Whether a model is as confident as a trained one: then it has learnt something, though not these labels."""
    # The best probability of an untrained model is near 1 / classes.
    best = np.exp(log_softmax(scores)).max(axis=1)
    return bool(np.median(best) > 2.0 / scores.shape[1])


def _best_order(counts: Indices) -> list[int]:
    """Assign a decision to each label so that most decisions are right: exact for few classes, greedy for more."""
    count = len(counts)
    if count <= _MAX_PERMUTED:
        places = np.arange(count)
        return list(max(itertools.permutations(range(count)), key=lambda order: int(counts[places, list(order)].sum())))
    # 10 classes have 3.6 million orders, so for many classes the largest counts are assigned first.
    order, left = [-1] * count, counts.astype(np.float64).copy()
    for _ in range(count):
        label, decision = np.unravel_index(int(left.argmax()), left.shape)
        order[int(label)] = int(decision)
        left[label, :] = left[:, decision] = -1.0
    return order


def _describe_order(variant: str, order: list[int], classes: Sequence[str], now: float, then: float) -> str:
    gain = f"undoing this raises macro-F1 of {variant} from {format_number(now)} to {format_number(then)}"
    moved = [place for place, other in enumerate(order) if place != other]
    if order == list(range(len(order)))[::-1]:
        return f"the classes are in reverse order: {gain}"
    if len(moved) == _PAIR:
        return f"{classes[moved[0]]} and {classes[moved[1]]} are exchanged: {gain}"
    message = [f"{classes[place]} is decided as {classes[order[place]]}" for place in moved]
    return f"the classes are in another order ({join_names(message, most=6)}): {gain}"
