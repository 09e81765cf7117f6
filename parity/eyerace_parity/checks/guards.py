"""What must be true of outputs before any number is made of them. Every clause that reads outputs passes through here.

An empty set, a missing or extra output, fewer rows than samples, a NaN: each of these makes most formulas answer
something pleasant. A fault of the judged variant is ``broken``; a fault of its reference, or of the set itself, leaves
nothing to judge by and is an ``error``.
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

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from eyerace_parity.checks.base import Case, ClauseEvidence
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.stats.differences import Floats

GOLDEN: Need[GoldenFacts] = Need(GoldenFacts)
"""The golden set's own facts, which no variant and no target changes."""


@dataclass(frozen=True, slots=True)
class OutputDefect:
    """Why no number can be made of outputs.

    Attributes:
        reason: What was found.
        next_step: What to do about it.
        in_variant: Whether the variant itself is at fault, not the golden set or the way it was measured.
    """

    reason: str
    next_step: str
    in_variant: bool = True

    def refusal(self, *, accused: bool) -> Refusal:
        """Turn the fault into an answer; ``accused`` says whether the variant is the one under judgement."""
        status = Status.BROKEN if accused and self.in_variant else Status.ERROR
        return Refusal(Judgement(status, reason=self.reason, next_step=self.next_step))


def element(output: str, index: tuple[Any, ...]) -> str:
    """Name an element within one sample, e.g. ``scores[3]``."""
    return f"{output}[{', '.join(str(int(i)) for i in index)}]" if index else output


def absent_rows(case: Case, outputs: Outputs, golden: GoldenFacts) -> OutputDefect | None:
    """Find outputs or rows that are missing or too many."""
    name = outputs.provenance.variant or case.name
    if outputs.expected == 0 or not golden.ids:
        return OutputDefect(
            "the golden set is empty", "add golden samples: nothing is held by an empty set", in_variant=False
        )
    if len(golden.ids) != outputs.expected or _foreign(outputs, golden):
        return OutputDefect(
            f"{name} was run on {pluralise(outputs.expected, 'sample')} of another golden set"
            f" than the {len(golden.ids)} at hand",
            "measure again on this golden set",
            in_variant=False,
        )
    wanted = [port.name for port in case.contract.interface.outputs]
    missing = [output for output in wanted if output not in outputs.arrays]
    extra = [output for output in outputs.arrays if output not in wanted]
    if missing or extra:
        told = [f"does not answer {join_names(missing)}"] * bool(missing) + [
            f"also answers {join_names(extra)}"
        ] * bool(extra)
        return OutputDefect(
            f"{name} {' and '.join(told)}; the contract names {join_names(wanted)}",
            "export exactly the outputs that the contract names, or name them in [[interface.outputs]]",
        )
    for output, array in outputs.arrays.items():
        rows = len(array) if array.ndim else 0
        if rows != outputs.expected:
            return OutputDefect(
                f"{name} gave {pluralise(rows, 'row')} of {output} for {pluralise(outputs.expected, 'sample')}",
                "check that the first axis of every output counts the samples of the batch",
            )
    return None


def _foreign(outputs: Outputs, golden: GoldenFacts) -> bool:
    told = outputs.provenance.golden
    return bool(told and golden.digest) and told != golden.digest


def hollow(outputs: Outputs) -> OutputDefect | None:
    """Find an output that holds no element at all."""
    for output, array in outputs.arrays.items():
        if array.size == 0:
            return OutputDefect(
                f"{outputs.provenance.variant} answers {output} with no elements (shape {list(array.shape)})",
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
    """Find whatever keeps numbers from being made of one variant's outputs."""
    return (
        absent_rows(case, outputs, golden)
        or hollow(outputs)
        or not_finite(outputs.arrays, golden.ids, outputs.provenance.variant or case.name)
    )


def require_whole(case: Case, outputs: Outputs, golden: GoldenFacts, *, accused: bool) -> None:
    """Refuse one variant's outputs of which no number can be made; ``accused`` says whether it is judged itself."""
    if defect := output_defect(case, outputs, golden):
        raise defect.refusal(accused=accused)


def require_usable(case: Case, outputs: Outputs, golden: GoldenFacts, reference: Outputs | None = None) -> None:
    """Refuse outputs of which no number can be made.

    Args:
        case: Who is judged.
        outputs: Its outputs.
        golden: The golden set's facts.
        reference: The outputs that it is compared to.

    Raises:
        Refusal: No number can be made of them.
    """
    require_whole(case, outputs, golden, accused=True)
    if reference is None:
        return
    require_whole(case, reference, golden, accused=False)
    for output, array in outputs.arrays.items():
        other = reference.arrays[output]
        if array.shape != other.shape:
            raise broken(
                reason=f"{output} has the shape {list(array.shape[1:])} a sample in {case.name},"
                f" but {list(other.shape[1:])} in {case.reference}",
                next_step="export both variants from the same network",
            )


def require_scores(case: Case, outputs: Outputs, golden: GoldenFacts, reference: Outputs | None = None) -> None:
    """Refuse outputs whose scores decide for no class."""
    require_usable(case, outputs, golden, reference)
    name = case.contract.scores_output
    shape, classes = outputs.arrays[name].shape, case.contract.classes
    if len(shape) != SCORES_NDIM or (classes and shape[1] != len(classes)):
        wanted = f"one score for each of {len(classes)} classes" if classes else "one row of scores"
        raise broken(
            reason=f"{name} has the shape {list(shape[1:])} a sample, but must be {wanted}",
            next_step="name the right output in golden.scores, or the right classes in classes",
        )
    if shape[1] == 1:
        # Whatever the model answers, the only class wins: every share would be 1 and every limit held.
        raise cannot_judge(
            f"{name} has a single score a sample, so no decision can be wrong",
            "export one score for each class, two at least, and name them in classes",
        )


def on_host(case: Case) -> Need[Execution]:
    """The need for what the variant answers to the same samples on the host."""
    return Need(Execution, case.name)


def require_target(case: Case, execution: Execution, golden: GoldenFacts, *, accused: bool) -> None:
    """Refuse an execution of which no number can be made."""
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
        other = here.arrays[output]
        if array.shape != other.shape:
            raise broken(
                reason=f"{output} has the shape {list(array.shape[1:])} a sample on {case.target},"
                f" but {list(other.shape[1:])} on the host",
                next_step="fix the shape in the exported graph",
            )


def require_decisive(case: Case, scores: Array) -> None:
    """Refuse scores that decide for no class."""
    if scores.ndim == SCORES_NDIM and (not case.contract.classes or scores.shape[1] == len(case.contract.classes)):
        return
    raise broken(
        reason=f"{case.contract.scores_output} has the shape {list(scores.shape[1:])} a sample, but must be one row of"
        " scores",
        next_step="name the right output in golden.scores, or the right classes in classes",
    )


def require_samples(contract: Contract, labels: NDArray[np.int64], classes: Iterable[str] | None = None) -> None:
    """Refuse a set without samples of a class, of all or of some: an F1 that is not defined must not be averaged."""
    support = np.bincount(labels, minlength=len(contract.classes))
    there = {name for name, number in zip(contract.classes, support, strict=False) if number}
    if absent := [name for name in classes or contract.classes if name not in there]:
        raise cannot_judge(
            f"the golden set has no sample of {join_names(absent)}, so its F1 is not defined",
            "add golden samples of every class, or take the class out of the contract",
        )


def chosen(case: Case, execution: Execution, golden: GoldenFacts) -> str:
    """Say how many samples were run, and how they were chosen."""
    total, run = len(golden.ids), len(execution.samples)
    if run == total:
        return f"all {pluralise(total, 'sample')} of the golden set were run"
    drawn = f"{len(execution.drawn)} drawn by lot{', class by class,' if golden.labels is not None else ''}"
    near = f"{len(execution.near)} whose decision on the host is nearest to another, and " if execution.near else ""
    return f"{run} of {total} samples were run: {near}{drawn} with seed {case.contract.targets.seed}"


def worst_place(apart: Mapping[str, Floats], golden: GoldenFacts, samples: tuple[int, ...]) -> tuple[float, str]:
    """The largest of some differences, and where it is."""
    name = max(apart, key=lambda output: float(apart[output].max()))
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart[name])), apart[name].shape))
    return float(apart[name][place]), f"{element(name, place[1:])} of {golden.ids[samples[place[0]]]}"
