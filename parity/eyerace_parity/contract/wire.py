"""Serialises a contract as JSON for another process. Of its limits only the stopping rules are sent."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from pydantic import BaseModel, ConfigDict, TypeAdapter

from eyerace_parity.contract.base import Limits
from eyerace_parity.contract.extended import contract_type
from eyerace_parity.core.text import NAME
from eyerace_parity.extending.loading import active, match
from eyerace_parity.stats.stopping_rules import StoppingRules, asked_of, runs_of_soak

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.contract.model import Contract


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
        extensions: The extensions that took part when it was read, for they made its sections.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[str, Any]
    variants: dict[str, Any]
    rules: dict[str, WireRules]
    file: Path
    digest: str
    cell: bool
    extensions: tuple[str, ...] = ()


def to_wire(contract: Contract) -> dict[str, Any]:
    """Convert a contract, including overrides, to JSON values. Of its limits only the stopping rules are included."""
    text = contract.model_dump(mode="json", by_alias=True, exclude={"variants"})
    bare = {
        name: variant.model_copy(update={"limits": {}}).model_dump(mode="json", by_alias=True)
        for name, variant in contract.variants.items()
    }
    carried = WireContract(
        text=text,
        variants=bare,
        rules={name: _rules(contract, name) for name in contract.variants},
        file=contract.file,
        digest=contract.digest,
        cell=contract.cell,
        extensions=tuple(each.name for each in active().loaded),
    )
    return carried.model_dump(mode="json", by_alias=True)


def from_wire(written: Mapping[str, Any]) -> Contract:
    """Read a contract that :func:`to_wire` wrote.

    Raises:
        pydantic.ValidationError: The value is not from :func:`to_wire`.
    """
    carried = WireContract.model_validate(written)
    match(carried.extensions)
    kind = contract_type(carried.text["extensions"])
    _, variant = get_args(kind.model_fields["variants"].annotation)
    variants = TypeAdapter(dict[str, variant]).validate_python(carried.variants)  # type: ignore[valid-type] # as above
    stated = {name: variant for name, variant in variants.items() if NAME.fullmatch(name)}
    contract = kind.model_validate({**carried.text, "variants": stated})
    ruled: dict[str, Any] = dict(variants)
    for name, rules in carried.rules.items():
        ruled[name] = ruled[name].model_copy(update={"limits": {"rules": rules}})
    contract = contract.model_copy(update={"variants": ruled})
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
