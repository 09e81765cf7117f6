"""What must be true of an execution on a target before any number is made of it, and how its samples are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.checks.guards import GOLDEN, element, fault_of
from eyerace_parity.checks.words import cannot_judge, counted
from eyerace_parity.core.result import Judgement, Status
from eyerace_parity.evidence.answers import Execution, Golden, Outputs
from eyerace_parity.evidence.base import Need

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.checks.base import Case, Findings
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.stats.differences import Floats


def on_host(case: Case) -> Need[Execution]:
    """The need for what the variant answers to the same samples on the host."""
    return Need(Execution, case.name)


def fault_there(case: Case, execution: Execution, golden: Golden, *, accused: bool) -> Judgement | None:
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
    part = Golden(golden.digest, tuple(golden.ids[row] for row in rows), golden.classes)
    answers = Outputs(execution.provenance, execution.arrays, len(rows))
    if fault := fault_of(case, answers, part):
        return fault.judgement(accused=accused)
    return None


def incomparable(case: Case, findings: Findings) -> Judgement | None:
    """Judge a target's answers that cannot be compared with the host's; ``None`` where they can."""
    golden, there, here = findings[GOLDEN], findings[case.need(Execution)], findings[on_host(case)]
    if refused := fault_there(case, there, golden, accused=True) or fault_there(case, here, golden, accused=False):
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


def chosen(case: Case, execution: Execution, golden: Golden) -> str:
    """Say how many samples were run, and how they were chosen."""
    total, run = len(golden.ids), len(execution.samples)
    if run == total:
        return f"all {counted(total, 'sample')} of the golden set were run"
    drawn = f"{len(execution.drawn)} drawn by lot{', class by class,' if golden.labels is not None else ''}"
    near = f"{len(execution.near)} whose decision on the host is nearest to another, and " if execution.near else ""
    return f"{run} of {total} samples were run: {near}{drawn} with seed {case.contract.targets.seed}"


def worst_place(apart: Mapping[str, Floats], golden: Golden, samples: tuple[int, ...]) -> tuple[float, str]:
    """The largest of some differences, and where it is."""
    name = max(apart, key=lambda output: float(apart[output].max()))
    place = tuple(int(i) for i in np.unravel_index(int(np.argmax(apart[name])), apart[name].shape))
    return float(apart[name][place]), f"{element(name, place[1:])} of {golden.ids[samples[place[0]]]}"
