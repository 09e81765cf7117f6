"""The ``[matrix]`` section: ONNX Runtime versions that judge the shipped files, and the expected results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import Field, StringConstraints

from eyerace_parity.contract.base import Model, Name
from eyerace_parity.contract.points import Section

if TYPE_CHECKING:
    from eyerace_parity.contract.base import Contradictions
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.settings import Settings

NEWEST: Final = "newest"
"""Stands for the newest version at the time of the run."""

Version = Annotated[
    str,
    StringConstraints(pattern=r"^(newest|[0-9]+\.[0-9]+(\.[0-9]+)?)$"),
    Field(description="a version such as '1.22' or '1.22.1', or 'newest'"),
]
"""A version of ONNX Runtime; ``1.22`` matches all of its patch releases."""

Words = Annotated[str, StringConstraints(min_length=1)]


class Fails(Model):
    """The expectation that a variant fails.

    Attributes:
        fails: Words for the expected reasons. Each failed clause must contain one of them in its name or its reason,
            and each word must occur. So a failure for another reason does not pass as the expected one.
    """

    fails: Words | Annotated[tuple[Words, ...], Field(min_length=1)]

    @property
    def words(self) -> tuple[str, ...]:
        """The words as a tuple."""
        return (self.fails,) if isinstance(self.fails, str) else self.fails


Expectation = Literal["held"] | Fails
"""The expected result of a variant on a version."""


class Matrix(Model):
    """The ONNX Runtime versions that judge the variants.

    Attributes:
        versions: The versions. A merged report fails if the record of one of them is missing.
        targets: Emulated processors that run each version's arm64 build, instead of those in ``[targets]``.
        images: Number of golden samples per target, instead of that in ``[targets]``.
        expect: Expected results by version and variant. By default a variant must hold from the oldest runtime that
            the contract names; nothing is expected on older versions.
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
    judged = [name for name, variant in contract.variants.items() if variant.in_onnxruntime]
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
    return cell_of(contract) if settings.added["matrix"] else contract
