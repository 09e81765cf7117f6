"""Models of every kind, executed as the gate executes them: by an isolated worker, and judged."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.contract.variants import Variant
from eyerace_parity.core.errors import MeasurementError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.laboratory import Laboratory
from tests.hostile.yard import MODELS, Unclear

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eyerace_parity.contract.model import Contract
    from tests.hostile.yard import Yard


def stated(yard: Yard, path: Path) -> Contract:
    """The contract with a file in the place of one of its variants, one sample a time where the file takes no more."""
    contract = open_contract(yard.images / "contract.toml")
    kind = MODELS[path.name]
    name = "int8" if kind in {"onnx", "ort"} else "torch"
    fields = {key: value for key, value in contract.variants[name] if key in {"tier", "factory"}}
    if kind != "torch":
        fields.pop("factory", None)
    stated = TypeAdapter(Variant).validate_python({"kind": kind, "path": path, **fields})
    golden = contract.golden.model_copy(update={"batch": 1})
    return contract.model_copy(update={"variants": {**contract.variants, name: stated}, "golden": golden})


@contextlib.contextmanager
def measuring(contract: Contract, yard: Yard) -> Iterator[Laboratory]:
    """A laboratory with an empty store and the yard's isolated."""
    with tempfile.TemporaryDirectory() as store:
        yield Laboratory(
            contract,
            open_golden,
            EvidenceCache(Path(store)),
            jobs=1,
            progress=SilentProgress(),
            isolated=yard.isolated,
        )


def answers(yard: Yard, path: Path) -> object:
    """A model's answers to the golden set."""
    name = "int8" if MODELS[path.name] in {"onnx", "ort"} else "torch"
    with measuring(stated(yard, path), yard) as own:
        return own.obtain(Need(Outputs, name))


def verdicts(yard: Yard, path: Path) -> object:
    """All verdicts of the quantised variant: what could not be measured is never held."""
    contract = stated(yard, path)
    with measuring(contract, yard) as own:
        failure = _failure(own)
        for planned in plan(contract):
            if planned.case.name != "int8":
                continue
            verdict = judge(planned, own)
            if "itself failed" in verdict.judgement.reason:
                raise Unclear(verdict.judgement.reason)
            rests = any(need.kind is Outputs and need.variant == "int8" for need in planned.needs)
            if rests and failure is not None and verdict.judgement.status is Status.HELD:
                message = f"{verdict.identity} is held of answers that nobody has: {failure.reason}"
                raise Unclear(message)
    if failure is not None:
        raise failure
    return contract


def _failure(own: Laboratory) -> MeasurementError | None:
    try:
        own.obtain(Need(Outputs, "int8"))
    except MeasurementError as error:
        return error
    return None
