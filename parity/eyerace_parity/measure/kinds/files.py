"""Measures the size of an artefact: on disk with its external data, and deflated as in an app store's download."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.artefact_files import artefact, external_locations, lies_inside

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.evidence.base import Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext

LEVEL: Final = 6
"""Deflate level: zlib's default."""


_CHUNK: Final = 1 << 20


def provenance(context: MeasurementContext, need: Need[Files]) -> Provenance:
    """Make the provenance. Nothing is executed, so it names neither runtime nor machine."""
    return context.provenance(need.variant, target=need.target, runtime="", settings={"deflate": str(LEVEL)})


def measure(context: MeasurementContext, need: Need[Files], source: Provenance) -> Files:
    """Read the files once, a piece at a time.

    Raises:
        ArtefactError: A file is missing or cannot be read, or external data lead outside the bundle.
    """
    path = artefact(context.contract, need.variant)
    total = deflated = 0
    try:
        for part in (path, *_beside(context, need.variant, path)):
            size, packed = _measure(part)
            total += size
            deflated += packed
    except OSError as error:
        reason = f"{need.variant}: {error.filename or path.name} cannot be read: {error.strerror or error}"
        raise ArtefactError(reason, next_step="check the files' permissions") from error
    return Files(provenance=source, bytes=total, deflated=deflated)


def _beside(context: MeasurementContext, variant: str, path: Path) -> list[Path]:
    if context.contract.variants[variant].kind != "onnx":
        return []
    found = []
    for location in external_locations(path):
        place = lies_inside(context.contract.root, path, location)
        if place is None:
            reason = f"{variant}: its external data {location!r} lie outside the bundle"
            raise ArtefactError(reason, next_step="move them into the bundle, or export the model as one file")
        if not place.is_file():
            reason = f"{variant}: its external data {location!r} do not exist"
            raise ArtefactError(reason, next_step="put them beside the model, or export the model as one file")
        found.append(place)
    return found


def _measure(path: Path) -> tuple[int, int]:
    packer = zlib.compressobj(LEVEL)
    size = packed = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            packed += len(packer.compress(chunk))
    return size, packed + len(packer.flush())


FILES: Final = Measurer(provenance, measure)
