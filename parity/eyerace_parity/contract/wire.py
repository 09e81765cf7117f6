"""Serialises a contract as JSON for another process. Of its limits only the stopping rules are sent."""

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
    """Stopping rules of a variant's limits, the only part of the limits that a measurement depends on.

    The types of limits belong to the checks, which a measuring process does not import.

    Attributes:
        times: Stopping rules of times, by the interleaved variant; an empty name if there is none.
        soak: Number of runs over which memory is watched.
    """

    times: dict[str, StoppingRules]
    soak: int

    def asked_of_times(self, versus: str, _confidence: float) -> StoppingRules | None:
        """Return the stopping rules that the limits stated in the run's process."""
        return self.times.get(versus)

    def soak_runs(self) -> int | None:
        """Return the number of runs that the limits stated."""
        return self.soak


class WireContract(BaseModel):
    """A contract with the state that its text does not contain.

    Attributes:
        text: The contract as JSON values, without its variants.
        variants: Variants by name, validated one by one: a release's artefact may be among them, under a name that is
            invalid in a contract file.
        rules: Stopping rules of each variant's limits.
        file: Absolute path of the contract file.
        digest: Digest of the contract.
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
    """Convert a contract, including overrides, to JSON values. Of its limits only the stopping rules are included."""
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
        pydantic.ValidationError: The value is not from :func:`to_wire`.
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
