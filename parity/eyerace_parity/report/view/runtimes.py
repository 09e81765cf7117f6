"""Variants by versions of ONNX Runtime as a grid: on which an app's file loads, and what keeps it from the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from eyerace_parity.compatibility.predict import Outcome
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.matrix.predictions import bundled_by, oldest_demanded
from eyerace_parity.report.view.variants import predictions

if TYPE_CHECKING:
    from eyerace_parity.record.document import VariantEntry
    from eyerace_parity.report.html.material import Material


@dataclass(frozen=True, slots=True)
class Cell:
    """What is foretold of one file in one runtime.

    Attributes:
        outcome: ``loads``, ``refused`` or ``unknown``.
        demanded: Whether the contract wants the file to load there.
        status: How to sign it: only what is demanded and refused is ``broken``.
    """

    outcome: str
    demanded: bool
    status: str


@dataclass(frozen=True, slots=True)
class Line:
    """A variant's row.

    Attributes:
        variant: The variant.
        cells: One a runtime.
        hindrance: What keeps it from the newest runtime that refuses it; empty where none does.
    """

    variant: VariantEntry
    cells: tuple[Cell, ...]
    hindrance: str


@dataclass(frozen=True, slots=True)
class Runtimes:
    """The grid.

    Attributes:
        versions: The known runtimes, oldest first.
        here: That of this run, if it is one of them.
        lines: The variants.
        bundles: Who brings which: (version, packages).
    """

    versions: tuple[str, ...]
    here: str
    lines: tuple[Line, ...]
    bundles: tuple[tuple[str, str], ...]


def runtimes(material: Material) -> Runtimes | None:
    """Foretell for every file that could be read; ``None`` where there is none."""
    known = predictions(material)
    if not known:
        return None
    versions = tuple(str(forecast.version) for forecast in next(iter(known.values())).forecasts)
    lines = []
    for variant in material.entry.variants:
        if variant.name not in known:
            continue
        oldest = oldest_demanded(material.contract, variant.name) if material.contract is not None else ""
        least = Version.parse(oldest) if oldest else None
        cells = [
            _cell(forecast.outcome, demanded=least is not None and forecast.version >= least)
            for forecast in known[variant.name].forecasts
        ]
        hindrance = known[variant.name].hindrance
        told = "; ".join(reason.sentence for reason in hindrance.reasons) if hindrance is not None else ""
        lines.append(Line(variant, tuple(cells), told))
    here = _minor(material.record.environment.packages.get("onnxruntime", ""))
    bundles = [(version, ", ".join(bundled_by(version))) for version in versions]
    return Runtimes(versions, here if here in versions else "", tuple(lines), tuple(one for one in bundles if one[1]))


def _cell(outcome: Outcome, *, demanded: bool) -> Cell:
    status = {Outcome.LOADS: "held", Outcome.UNKNOWN: "unproven"}.get(outcome, "broken" if demanded else "")
    return Cell(outcome.value, demanded, status)


def _minor(version: str) -> str:
    try:
        return str(Version.parse(version))
    except ValueError:
        return ""
