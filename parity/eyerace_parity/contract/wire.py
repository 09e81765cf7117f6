"""Serialises a contract as JSON for another process. Limits are left out, because no measurement depends on them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from eyerace_parity.contract.model import Contract
from eyerace_parity.contract.variants import Variant
from eyerace_parity.core.text import NAME

if TYPE_CHECKING:
    from collections.abc import Mapping


class WireContract(BaseModel):
    """A contract with the state that its text does not contain.

    Attributes:
        text: The contract as JSON values, without its variants.
        variants: Variants by name, validated one by one: a release's artefact may be among them, under a name that is
            invalid in a contract file.
        file: Absolute path of the contract file.
        digest: Digest of the contract.
        cell: Whether it judges one runtime of the matrix.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    text: dict[str, Any]
    variants: dict[str, Variant]
    file: Path
    digest: str
    cell: bool


def to_wire(contract: Contract) -> dict[str, Any]:
    """Convert a contract, including overrides, to JSON values. Limits of its variants are left out."""
    text = contract.model_dump(mode="json", by_alias=True, exclude={"variants"})
    bare = {name: variant.model_copy(update={"limits": {}}) for name, variant in contract.variants.items()}
    carried = WireContract(text=text, variants=bare, file=contract.file, digest=contract.digest, cell=contract.cell)
    return carried.model_dump(mode="json", by_alias=True)


def from_wire(written: Mapping[str, Any]) -> Contract:
    """Read a contract that :func:`to_wire` wrote.

    Raises:
        pydantic.ValidationError: The value is not from :func:`to_wire`.
    """
    carried = WireContract.model_validate(written)
    stated = {name: variant for name, variant in carried.variants.items() if NAME.fullmatch(name)}
    contract = Contract.model_validate({**carried.text, "variants": stated})
    contract = contract.model_copy(update={"variants": carried.variants})
    contract._file = carried.file  # noqa: SLF001 - set once, here; the model itself is frozen
    contract._digest = carried.digest  # noqa: SLF001
    contract._cell = carried.cell  # noqa: SLF001
    return contract
