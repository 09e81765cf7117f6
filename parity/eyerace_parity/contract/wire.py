"""A contract on its way to another process: as JSON. Of its limits only the stopping rules cross: see below."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from eyerace_parity.contract.base import Limits
from eyerace_parity.contract.model import Contract
from eyerace_parity.contract.variants import Variant
from eyerace_parity.core.text import NAME
from eyerace_parity.stats.stopping_rules import StoppingRules, asked_of, runs_of_soak

if TYPE_CHECKING:
    from collections.abc import Mapping


class WireRules(Limits):
    """What the limits of a variant ask of a series of runs: the only part of them that a measurement depends on.

    The types of limits belong to the checks, which a process that measures does not know.

    Attributes:
        times: Stopping rules of times, by the variant that takes turns with it; an empty name where none does.
        soak: Runs over which memory is watched.
    """

    times: dict[str, StoppingRules]
    soak: int

    def asked_of_times(self, versus: str, _confidence: float) -> StoppingRules | None:
        """The stopping rules, as the limits stated them in the run's process."""
        return self.times.get(versus)

    def soak_runs(self) -> int | None:
        """The runs that the limits asked for."""
        return self.soak


class WireContract(BaseModel):
    """A contract with what its own text does not say.

    Attributes:
        text: What it says, as JSON values, but for its variants.
        variants: Its variants by name. The artefact of a release may stand among them, under a name that no file can
            give: they are read one by one.
        rules: What the limits of each variant ask of a series of runs.
        file: The file that it was read from, absolute.
        digest: Its digest.
        cell: Whether it judges one runtime of the matrix.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[str, Any]
    variants: dict[str, Variant]
    rules: dict[str, WireRules]
    file: Path
    digest: str
    cell: bool


def to_wire(contract: Contract) -> dict[str, Any]:
    """Write a contract down as JSON values, overrides and all, with only the stopping rules of its limits."""
    text = contract.model_dump(mode="json", by_alias=True, exclude={"variants"})
    bare = {name: variant.model_copy(update={"limits": {}}) for name, variant in contract.variants.items()}
    carried = WireContract(
        text=text,
        variants=bare,
        rules={name: _rules(contract, name) for name in contract.variants},
        file=contract.file,
        digest=contract.digest,
        cell=contract.cell,
    )
    return carried.model_dump(mode="json", by_alias=True)


def from_wire(written: Mapping[str, Any]) -> Contract:
    """Read a contract that :func:`to_wire` wrote.

    Raises:
        pydantic.ValidationError: It wrote something else.
    """
    carried = WireContract.model_validate(written)
    stated = {name: variant for name, variant in carried.variants.items() if NAME.fullmatch(name)}
    contract = Contract.model_validate({**carried.text, "variants": stated})
    variants = {
        name: variant.model_copy(update={"limits": {"rules": carried.rules[name]}})
        for name, variant in carried.variants.items()
    }
    contract = contract.model_copy(update={"variants": variants})
    contract._file = carried.file  # noqa: SLF001 - set once, here; the model itself is frozen
    contract._digest = carried.digest  # noqa: SLF001
    contract._cell = carried.cell  # noqa: SLF001
    return contract


def _rules(contract: Contract, name: str) -> WireRules:
    limits = tuple(contract.variants[name].limits.values())
    sure = contract.statistics.confidence
    asked = {versus: asked_of(limits, versus, sure) for versus in ("", *contract.variants)}
    return WireRules(
        times={versus: rules for versus, rules in asked.items() if rules != StoppingRules()},
        soak=runs_of_soak(limits),
    )
