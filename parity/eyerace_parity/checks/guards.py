"""Preconditions of every clause that reads outputs.

An empty set, a missing or extra output, fewer rows than samples, or a NaN makes most formulas give a good-looking
number. A defect of the judged variant is ``broken``. A defect of its reference, or of the golden set, is an ``error``,
because nothing can be judged by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.checks.base import Refusal
from eyerace_parity.checks.phrases import broken, cannot_judge
from eyerace_parity.core.numbers import pluralise
from eyerace_parity.core.result import Judgement, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import SCORES_NDIM, Execution, GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.stats.decisions import Labelled

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.stats.differences import Floats

GOLDEN: Need[GoldenFacts] = Need(GoldenFacts)
"""Need for the facts of the golden set, which are the same for all variants and targets."""


@dataclass(frozen=True, slots=True)
class OutputDefect:
    """Why no number can be computed from outputs.

    Attributes:
        reason: What was found.
        next_step: What to do about it.
        in_variant: Whether the variant is at fault, not the golden set or the measurement.
    """

    reason: str
    next_step: str
    in_variant: bool = True

    def refusal(self, *, accused: bool) -> Refusal:
        """Turn the defect into a judgement; ``accused`` says whether the variant is the judged one."""
        status = Status.BROKEN if accused and self.in_variant else Status.ERROR
        return Refusal(Judgement(status, reason=self.reason, next_step=self.next_step))


def element(output: str, index: tuple[Any, ...]) -> str:
    """Name an element within one sample, e.g. ``scores[3]``."""
    return f"{output}[{', '.join(str(int(i)) for i in index)}]" if index else output


def absent_rows(case: Case, outputs: Outputs, golden: GoldenFacts) -> OutputDefect | None:
    """Find outputs or rows that are missing or too many, and outputs without any element."""
    name = outputs.provenance.variant or case.name
    if outputs.expected == 0 or not golden.ids:
        return OutputDefect(
            "the golden set is empty", "add golden samples: nothing is held by an empty set", in_variant=False
        )
    run_on = outputs.provenance.golden
    foreign = bool(run_on and golden.digest) and run_on != golden.digest
    if len(golden.ids) != outputs.expected or foreign:
        return OutputDefect(
            f"{name} was run on {pluralise(outputs.expected, 'sample')} of another golden set"
            f" than the {len(golden.ids)} of this run",
            "measure again on this golden set",
            in_variant=False,
        )
    wanted = [port.name for port in case.contract.interface.outputs]
    missing = [output for output in wanted if output not in outputs.arrays]
    extra = [output for output in outputs.arrays if output not in wanted]
    if missing or extra:
        found = [
            f"{what} {join_names(names)}"
            for what, names in (("does not answer", missing), ("also answers", extra))
            if names
        ]
        return OutputDefect(
            f"{name} {' and '.join(found)}; the contract names {join_names(wanted)}",
            "export exactly the outputs that the contract names, or name them in [[interface.outputs]]",
        )
    for output, array in outputs.arrays.items():
        rows = len(array) if array.ndim else 0
        if rows != outputs.expected:
            return OutputDefect(
                f"{name} gave {pluralise(rows, 'row')} of {output} for {pluralise(outputs.expected, 'sample')}",
                "check that the first axis of every output counts the samples of the batch",
            )
        if array.size == 0:
            return OutputDefect(
                f"{name} answers {output} with no elements (shape {list(array.shape)})",
                "check the exported graph: an axis of this output has extent 0",
            )
    return None


def not_finite(arrays: Mapping[str, Array], ids: Sequence[str], variant: str) -> OutputDefect | None:
    """Find the first NaN or infinity, and count the others; ``ids`` names the rows."""
    for output, array in arrays.items():
        if array.dtype.kind not in "fc":
            continue
        bad = ~np.isfinite(array)
        count = int(bad.sum())
        if count:
            first = tuple(np.argwhere(bad)[0])
            value = array[first]
            return OutputDefect(
                f"{variant} answers {value} in {element(output, first[1:])} of {ids[int(first[0])]}"
                f" ({pluralise(count, 'element')} of {array.size} not finite)",
                "look for an overflow: a float16 range, a division by zero, or a quantisation scale of zero",
            )
    return None


def output_defect(case: Case, outputs: Outputs, golden: GoldenFacts) -> OutputDefect | None:
    """Find a defect that makes numbers from one variant's outputs meaningless."""
    name = outputs.provenance.variant or case.name
    return absent_rows(case, outputs, golden) or not_finite(outputs.arrays, golden.ids, name)


def require_whole(case: Case, outputs: Outputs, golden: GoldenFacts, *, accused: bool) -> None:
    """Refuse one variant's defective outputs; ``accused`` says whether the variant is the judged one."""
    if defect := output_defect(case, outputs, golden):
        raise defect.refusal(accused=accused)


def require_usable(case: Case, outputs: Outputs, golden: GoldenFacts, reference: Outputs | None = None) -> None:
    """Refuse defective outputs.

    Args:
        case: Who is judged.
        outputs: Its outputs.
        golden: The golden set's facts.
        reference: The outputs that it is compared to.

    Raises:
        Refusal: No number can be computed from them.
    """
    require_whole(case, outputs, golden, accused=True)
    if reference is None:
        return
    require_whole(case, reference, golden, accused=False)
    for output, array in outputs.arrays.items():
        require_same_shape(output, (array, case.name), (reference.arrays[output], str(case.reference)))


def require_same_shape(output: str, ours: tuple[Array, str], theirs: tuple[Array, str]) -> None:
    """Refuse two answers, each with the words for whose it is, that have other shapes.

    Raises:
        Refusal: They have.
    """
    shapes = [list(array.shape[1:]) for array, _ in (ours, theirs)]
    if shapes[0] != shapes[1]:
        raise broken(
            reason=f"{output} has the shape {shapes[0]} a sample in {ours[1]}, but {shapes[1]} in {theirs[1]}",
            next_step="export both from the same network, and fix the shape in the exported graph",
        )


def require_scores(case: Case, outputs: Outputs, golden: GoldenFacts, reference: Outputs | None = None) -> None:
    """Refuse outputs whose scores decide for no class."""
    require_usable(case, outputs, golden, reference)
    require_decisive(case, outputs.arrays[case.contract.scores_output])


def labelled_scores(case: Case, findings: ClauseEvidence, other: Need[Outputs] | None = None) -> Labelled:
    """Return the labels with the scores.

    Args:
        case: Who is judged.
        findings: Holds the golden set's facts and the outputs.
        other: The outputs that it is compared to, if any.
    """
    golden, outputs = findings[GOLDEN], findings[case.need(Outputs)]
    compared = None if other is None else findings[other]
    require_scores(case, outputs, golden, compared)
    labels = golden.labels
    if labels is None or len(labels) != outputs.expected or golden.classes != case.contract.classes:
        raise cannot_judge(
            "the golden set's labels do not fit its samples and the contract's classes", "measure the golden set again"
        )
    if labels.min() < 0 or labels.max() >= len(golden.classes):
        raise cannot_judge("a label lies outside the contract's classes", "correct the labels, or the classes")
    name = case.contract.scores_output
    return Labelled(labels, outputs.arrays[name], None if compared is None else compared.arrays[name], golden.clusters)


def on_host(case: Case) -> Need[Execution]:
    """Return the need for the variant's outputs for the same samples on the host."""
    return Need(Execution, case.name)


def require_target(case: Case, execution: Execution, golden: GoldenFacts, *, accused: bool) -> None:
    """Refuse a defective execution."""
    where = execution.provenance.target
    if not golden.ids or not execution.samples:
        raise cannot_judge("no golden sample was run", "add golden samples: nothing is held by an empty set")
    if execution.samples[-1] >= len(golden.ids):
        raise cannot_judge(f"{where} ran samples of another golden set", "measure again on this golden set")
    if execution.failure:
        status = Status.BROKEN if accused else Status.ERROR
        next_step = execution.next_step or f"the file must not ship for {where}; another recipe or runtime may live"
        raise Refusal(Judgement(status, reason=f"{case.name} on {where}: {execution.failure}", next_step=next_step))
    rows = list(execution.samples)
    part = GoldenFacts(golden.digest, tuple(golden.ids[row] for row in rows), golden.classes)
    answers = Outputs(execution.provenance, execution.arrays, len(rows))
    require_whole(case, answers, part, accused=accused)


def require_comparable(case: Case, findings: ClauseEvidence) -> None:
    """Refuse a target's answers that cannot be compared with the host's."""
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    require_target(case, there, golden, accused=True)
    require_target(case, here, golden, accused=False)
    if there.samples != here.samples:
        raise cannot_judge(f"{case.target} ran other samples than the host", "measure both again")
    for output, array in there.arrays.items():
        require_same_shape(output, (array, case.target), (here.arrays[output], "the host"))


def require_decisive(case: Case, scores: Array) -> None:
    """Refuse scores that decide for no class."""
    classes = case.contract.classes
    if scores.ndim == SCORES_NDIM and (not classes or scores.shape[1] == len(classes)):
        if scores.shape[1] == 1:
            # Whatever the model answers, the only class wins: every share would be 1 and every limit held.
            raise cannot_judge(
                f"{case.contract.scores_output} has a single score a sample, so no decision can be wrong",
                "export one score for each class, two at least, and name them in classes",
            )
        return
    wanted = f"one score for each of {len(classes)} classes" if classes else "one row of scores"
    raise broken(
        reason=f"{case.contract.scores_output} has the shape {list(scores.shape[1:])} a sample, but must be {wanted}",
        next_step="name the right output in golden.scores, or the right classes in classes",
    )


def require_samples(contract: Contract, labels: NDArray[np.int64], classes: Iterable[str] | None = None) -> None:
    """Refuse a set without samples of a class: an F1 that is not defined must not be averaged."""
    support = np.bincount(labels, minlength=len(contract.classes))
    there = {name for name, number in zip(contract.classes, support, strict=False) if number}
    if absent := [name for name in classes or contract.classes if name not in there]:
        raise cannot_judge(
            f"the golden set has no sample of {join_names(absent)}, so its F1 is not defined",
            "add golden samples of every class, or take the class out of the contract",
        )


def chosen(case: Case, execution: Execution, golden: GoldenFacts) -> str:
    """Describe how many samples were run, and how they were chosen."""
    total, run = len(golden.ids), len(execution.samples)
    if run == total:
        return f"all {pluralise(total, 'sample')} of the golden set were run"
    drawn = f"{len(execution.drawn)} drawn by lot{', class by class,' if golden.labels is not None else ''}"
    near = f"{len(execution.near)} whose decision on the host is nearest to another, and " if execution.near else ""
    return f"{run} of {total} samples were run: {near}{drawn} with seed {case.contract.targets.seed}"


def furthest(spread: Floats, most: int) -> list[tuple[int, ...]]:
    """Return the place of the largest difference in each of the ``most`` worst samples, the largest first."""
    rows = spread.reshape(len(spread), -1)
    order = np.argsort(-rows.max(axis=1), kind="stable")[:most]
    inside = [np.unravel_index(int(rows[row].argmax()), spread.shape[1:]) for row in order]
    places = [(int(row), *(int(i) for i in place)) for row, place in zip(order, inside, strict=True)]
    return [place for place in places if spread[place] > 0]


def worst_place(difference: Mapping[str, Floats], golden: GoldenFacts, samples: tuple[int, ...]) -> tuple[float, str]:
    """Return the largest difference, and its place in words."""
    name = max(difference, key=lambda output: float(difference[output].max()))
    place = tuple(map(int, np.unravel_index(int(np.argmax(difference[name])), difference[name].shape)))
    return float(difference[name][place]), f"{element(name, place[1:])} of {golden.ids[samples[place[0]]]}"
