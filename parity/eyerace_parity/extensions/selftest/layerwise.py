"""Detection limit for a change of one layer's weights, measured with files that are really changed and run."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.checks.plan import plan
from eyerace_parity.core.result import HOST
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.extensions.selftest.detection_limits import bisect
from eyerace_parity.extensions.selftest.edits import initialiser, stored, write
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role, Workshop, name_of
from eyerace_parity.judging import judge

if TYPE_CHECKING:
    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.examiner import Examiner

LAYERS: Final = 6
"""Layers that are tried, from the first to the last."""

SAMPLES: Final = 24
"""Golden samples that each changed file runs on."""

# A relative change of 0.01 % is near float32 noise after many layers; 50 % is more than any rounding.
_LEAST: Final = 1e-4
_MOST: Final = 0.5
_FAMILY: Final = "closeness"


@dataclass(frozen=True, slots=True)
class LayerLimit:
    """The smallest detected change of one layer's weights.

    Attributes:
        variant: The variant of the layers.
        strengths: For each tried layer the smallest detected relative change; ``None`` if none is detected.
    """

    variant: str
    strengths: tuple[float | None, ...]

    @property
    def sentence(self) -> str:
        """The limits in words."""
        seen = sorted(strength for strength in self.strengths if strength is not None)
        tried = f"{len(seen)} of {len(self.strengths)} layers tried, {SAMPLES} samples"
        if not seen:
            return f"{self.variant}: not even {100 * _MOST:g} % on one layer's weights ({_FAMILY}, {tried})"
        span = f"{100 * seen[0]:.2g} %" if len(seen) == 1 else f"{100 * seen[0]:.2g} to {100 * seen[-1]:.2g} %"
        return f"{self.variant}: from {span} on one layer's weights, by layer ({_FAMILY}, {tried})"


def layer_limit(examiner: Examiner, role: Role) -> LayerLimit | None:
    """Find the smallest detected change of one layer's weights; ``None`` if bundle or contract lack what it needs."""
    name = name_of(examiner.contract, role)
    if name is None:
        return None
    with tempfile.TemporaryDirectory(prefix="eyerace-parity-selftest-") as folder:
        workshop = Workshop(examiner.contract, Path(folder), examiner.progress)
        try:
            reduced = _reduced_contract(workshop)
            count = len(stored(workshop.model(role)))
        except FaultNotApplicable:
            return None
        # Evenly spread over the depth: the noise of quantisation hides changes in some layers and not in others.
        places = sorted({round(place) for place in np.linspace(0, count - 1, LAYERS)})
        small = Workshop(reduced, Path(folder), examiner.progress)
        if not _closeness(reduced, name) or _is_broken(examiner, reduced, name):
            return None

        strengths = []
        with examiner.progress.task(f"{name}: one layer's weights", len(places)) as task:
            for place in places:
                strengths.append(bisect(partial(_seen, examiner, small, role, place), _LEAST, _MOST))
                task.advance()
        return LayerLimit(name, tuple(strengths))


def _seen(examiner: Examiner, workshop: Workshop, role: Role, place: int, strength: float) -> bool:
    return _is_broken(examiner, _scaled(workshop, role, place, strength), workshop.name(role))


def _reduced_contract(workshop: Workshop) -> Contract:
    """The contract with a few of its samples, evenly spread."""
    rows = workshop.label_rows()
    return workshop.few_images(rows[:: max(1, len(rows) // SAMPLES)][:SAMPLES], shutil.copyfile)


def _scaled(workshop: Workshop, role: Role, place: int, strength: float) -> Contract:
    """The contract with scaled weights of one layer; for a quantised layer the scale changes."""

    def change(model: onnx.ModelProto) -> None:
        from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

        weight = stored(model)[place]
        tensor = initialiser(model, weight.scale) if weight.scale else weight.tensor
        write(tensor, np.array(numpy_helper.to_array(tensor)) * np.float32(1 + strength))

    return workshop.edited(role, change)


def _closeness(contract: Contract, name: str) -> bool:
    return any(each.case.name == name and each.clause.check == _FAMILY for each in plan(contract))


def _is_broken(examiner: Examiner, contract: Contract, name: str) -> bool:
    """Whether a clause of closeness does not hold."""
    laboratory = examiner.open(contract)
    clauses = [
        each
        for each in plan(contract)
        if each.case.name == name and each.clause.check == _FAMILY and each.case.target == HOST
        and any(need.kind is Outputs for need in each.needs)
    ]  # fmt: skip
    try:
        return any(not judge(each, laboratory, explain=False).status.passes for each in clauses)
    finally:
        laboratory.close()
