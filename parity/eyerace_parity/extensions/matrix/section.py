"""The matrix: on which versions of ONNX Runtime the shipped files are judged, and what is expected of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, StringConstraints

from eyerace_parity.contract.base import Model, Name
from eyerace_parity.contract.points import Section
from eyerace_parity.contract.variants import TORCH_KINDS

if TYPE_CHECKING:
    from eyerace_parity.contract.base import Contradictions
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings

NEWEST: Final = "newest"
"""Stands for whatever version is newest when the matrix is run."""

Version = Annotated[
    str,
    StringConstraints(pattern=r"^(newest|[0-9]+\.[0-9]+(\.[0-9]+)?)$"),
    Field(description="a version such as '1.22' or '1.22.1', or 'newest'"),
]
"""A version of ONNX Runtime; ``1.22`` stands for each of its patch releases."""

Words = Annotated[str, StringConstraints(min_length=1)]


class Fails(Model):
    """A variant is expected not to hold.

    Attributes:
        fails: Words that tell why. Each clause that fails must have one of them in its name or its reason, and each of
            them must be found, so that a failure for another reason does not pass as the expected one.
    """

    fails: Words | Annotated[tuple[Words, ...], Field(min_length=1)]

    @property
    def words(self) -> tuple[str, ...]:
        """The words, one or many."""
        return (self.fails,) if isinstance(self.fails, str) else self.fails


Expectation = Literal["held"] | Fails
"""What is expected of a variant on a version."""


class Matrix(Model):
    """The versions that the variants are judged on.

    Attributes:
        versions: The versions; a merged report without a record of each of them is red.
        targets: Emulated processors on which each version's own arm64 build is judged too, instead of ``[targets]``.
        images: Golden samples a target, instead of those of ``[targets]``.
        expect: What is expected, by version and variant. Where nothing is stated, a variant is to be held from the
            oldest runtime that the contract names on, and nothing is expected below it.
    """

    versions: tuple[Version, ...] = ()
    targets: tuple[str, ...] = ()
    images: int = Field(default=8, gt=0)
    expect: dict[Version, dict[Name, Expectation]] = {}


def agree_on_versions(matrix: Matrix, contract: Contract, faults: Contradictions) -> None:
    """Check that each version is declared once, and that something is expected only of what is judged."""
    for number, version in enumerate(matrix.versions):
        if version in matrix.versions[:number]:
            faults.add(("matrix", "versions", str(number)), f"{version!r} is named twice")
    judged = [name for name, variant in contract.variants.items() if variant.kind not in TORCH_KINDS]
    for version, expected in matrix.expect.items():
        if version not in matrix.versions:
            faults.unknown(("matrix", "expect", version), version, matrix.versions, "version")
        for name in expected:
            if name not in judged:
                faults.unknown(("matrix", "expect", version, name), name, judged, "variant that ONNX Runtime executes")


SECTION: Final = Section("matrix", Matrix, agree_on_versions, measures=False, targets="targets")


def cell_of(contract: Contract) -> Contract:
    """The contract for one runtime of its matrix, with the targets of the matrix instead of its own."""
    matrix = contract.section(Matrix)
    return contract.as_cell(matrix.targets, matrix.images)


def view(contract: Contract, settings: Settings) -> Contract:
    """Read a contract as one cell where the run is one."""
    return cell_of(contract) if settings.matrix else contract
