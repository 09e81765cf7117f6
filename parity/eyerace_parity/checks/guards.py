"""What must be true of outputs before any number is made of them. Every clause that reads outputs passes through here.

An empty set, a missing or extra output, fewer rows than samples, a NaN: each of these makes most formulas answer
something pleasant. A fault of the judged variant is ``broken``; a fault of its reference, or of the set itself, leaves
nothing to judge by and is an ``error``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.checks.phrases import cannot_judge
from eyerace_parity.core.numbers import pluralise
from eyerace_parity.core.result import Judgement, Status
from eyerace_parity.core.text import join_names
from eyerace_parity.evidence.answers import Execution, GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.checks.base import Case, ClauseEvidence
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

    def judgement(self, *, accused: bool) -> Judgement:
        """Turn the fault into a judgement; ``accused`` says whether the variant is the one under judgement."""
        status = Status.BROKEN if accused and self.in_variant else Status.ERROR
        return Judgement(status, reason=self.reason, next_step=self.next_step)


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


def unusable(case: Case, outputs: Outputs, golden: GoldenFacts, reference: Outputs | None = None) -> Judgement | None:
    """Judge outputs of which no number can be made; ``None`` where all is well.

    Args:
        case: Who is judged.
        outputs: Its outputs.
        golden: The golden set's facts.
        reference: The outputs that it is compared to.
    """
    if fault := output_defect(case, outputs, golden):
        return fault.judgement(accused=True)
    if reference is None:
        return None
    if fault := output_defect(case, reference, golden):
        return fault.judgement(accused=False)
    for output, array in outputs.arrays.items():
        other = reference.arrays[output]
        if array.shape != other.shape:
            return Judgement(
                Status.BROKEN,
                reason=f"{output} has the shape {list(array.shape[1:])} a sample in {case.name},"
                f" but {list(other.shape[1:])} in {case.reference}",
                next_step="export both variants from the same network",
            )
    return None


def unusable_scores(
    case: Case, outputs: Outputs, golden: GoldenFacts, reference: Outputs | None = None
) -> Judgement | None:
    """Judge outputs whose scores decide for no class; ``None`` where they do."""
    if refused := unusable(case, outputs, golden, reference):
        return refused
    name = case.contract.scores_output
    shape, classes = outputs.arrays[name].shape, case.contract.classes
    flat = 2
    if len(shape) != flat or (classes and shape[1] != len(classes)):
        wanted = f"one score for each of {len(classes)} classes" if classes else "one row of scores"
        return Judgement(
            Status.BROKEN,
            reason=f"{name} has the shape {list(shape[1:])} a sample, but must be {wanted}",
            next_step="name the right output in golden.scores, or the right classes in classes",
        )
    return None


def on_host(case: Case) -> Need[Execution]:
    """The need for what the variant answers to the same samples on the host."""
    return Need(Execution, case.name)


def target_defect(case: Case, execution: Execution, golden: GoldenFacts, *, accused: bool) -> Judgement | None:
    """Judge an execution of which no number can be made; ``None`` where all is well."""
    where = execution.provenance.target
    if not golden.ids or not execution.samples:
        return cannot_judge("no golden sample was run", "add golden samples: nothing is held by an empty set")
    if execution.samples[-1] >= len(golden.ids):
        return cannot_judge(f"{where} ran samples of another golden set", "measure again on this golden set")
    if execution.failure:
        status = Status.BROKEN if accused else Status.ERROR
        next_step = execution.next_step or f"the file must not ship for {where}; another recipe or runtime may live"
        return Judgement(status, reason=f"{case.name} on {where}: {execution.failure}", next_step=next_step)
    rows = list(execution.samples)
    part = GoldenFacts(golden.digest, tuple(golden.ids[row] for row in rows), golden.classes)
    answers = Outputs(execution.provenance, execution.arrays, len(rows))
    if fault := output_defect(case, answers, part):
        return fault.judgement(accused=accused)
    return None


def incomparable(case: Case, findings: ClauseEvidence) -> Judgement | None:
    """Judge a target's answers that cannot be compared with the host's; ``None`` where they can."""
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    if refused := target_defect(case, there, golden, accused=True) or target_defect(case, here, golden, accused=False):
        return refused
    if there.samples != here.samples:
        return cannot_judge(f"{case.target} ran other samples than the host", "measure both again")
    for output, array in there.arrays.items():
        other = here.arrays[output]
        if array.shape != other.shape:
            return Judgement(
                Status.BROKEN,
                reason=f"{output} has the shape {list(array.shape[1:])} a sample on {case.target},"
                f" but {list(other.shape[1:])} on the host",
                next_step="fix the shape in the exported graph",
            )
    return None


def undecisive(case: Case, scores: Array) -> Judgement | None:
    """Judge scores that decide for no class; ``None`` where they do."""
    flat = 2
    if scores.ndim == flat and (not case.contract.classes or scores.shape[1] == len(case.contract.classes)):
        return None
    return Judgement(
        Status.BROKEN,
        reason=f"{case.contract.scores_output} has the shape {list(scores.shape[1:])} a sample, but must be one row of"
        " scores",
        next_step="name the right output in golden.scores, or the right classes in classes",
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
