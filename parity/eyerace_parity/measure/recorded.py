"""Recorded reference outputs: stored outputs of a torch variant, so that a machine without torch can judge.

There is one file for each variant, ``<bundle>/<contract.recorded>/<variant>.npz``, with the digests of everything that
the outputs depend on. It replaces the variant only if artefact, golden set and preprocessing are unchanged since.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.core.errors import InputChanged, MeasurementError, RecordError
from eyerace_parity.core.files import display_path, write_atomically
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.codec import decode, encode
from eyerace_parity.measure.context import recorded_place

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Provenance

_COMPARED: Final = {
    "artefact": "the checkpoint or the factory's source",
    "golden": "the golden set",
    "preprocess": "the preprocessing profile",
}

_PORTS: Final = ("inputs", "outputs")
"""Settings with the names and the order of torch's inputs and outputs."""


def write(contract: Contract, outputs: Outputs) -> Path:
    """Record a variant's outputs atomically.

    Args:
        contract: The contract.
        outputs: The variant's outputs, as the laboratory obtained them.

    Returns:
        The file.

    Raises:
        RecordError: It cannot be written.
    """
    path = recorded_place(contract, outputs.provenance.variant)
    try:
        write_atomically(path, encode(outputs))
    except OSError as error:
        reason = f"{path.name} cannot be written: {error.strerror or error}"
        raise RecordError(reason, next_step="make the folder of recorded outputs writable") from error
    return path


def read(contract: Contract, variant: str, wanted: Provenance, *, digest: str = "") -> Outputs:
    """Read a variant's recorded outputs, if they are not stale.

    Args:
        contract: The contract.
        variant: Name of the variant.
        wanted: Provenance that the outputs would have if the variant ran now.
        digest: Digest that the file must have, if evidence already names one.

    Raises:
        InputChanged: The file has another digest.
        MeasurementError: There are no recorded outputs, or they are torn or stale; names what differs.
    """
    path = recorded_place(contract, variant)
    name = f"{contract.recorded.as_posix()}/{variant}.npz"
    again = f"run `eyerace-parity record --contract {display_path(contract.file)}` on a machine with torch"
    try:
        body = path.read_bytes()
    except FileNotFoundError as error:
        raise MeasurementError(
            f"{variant} needs torch, which is not used here, and there are no recorded outputs ({name})",
            next_step=f'python -m pip install "eyerace-parity[torch]", or {again}',
        ) from error
    except OSError as error:
        raise MeasurementError(f"{name} cannot be read: {error.strerror or error}", next_step=again) from error
    read_digest = bytes_digest(body)
    if digest and read_digest != digest:
        raise InputChanged(f"{name} changed while it was measured")
    try:
        outputs = decode(Outputs, body)
    except RecordError as error:
        raise MeasurementError(f"{name} holds no recorded outputs: {error.reason}", next_step=again) from error
    found = outputs.provenance
    stale = [words for key, words in _COMPARED.items() if getattr(found, key) != getattr(wanted, key)]
    stale += [f"the {key} of the interface" for key in _PORTS if found.settings.get(key) != wanted.settings.get(key)]
    if found.variant != variant:
        stale.append(f"the variant ({found.variant})")
    if stale:
        raise MeasurementError(f"{name} is stale: {', '.join(stale)} changed since it was recorded", next_step=again)
    settings = found.settings | {"recorded": name, "recorded_digest": read_digest}
    source = found.model_copy(update={"settings": settings, "cached": True})
    return Outputs(source, outputs.arrays, outputs.expected)
