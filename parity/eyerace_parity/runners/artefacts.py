"""Artefact files as every runner finds them: is it there, and is it something that can be opened."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.core.errors import ArtefactError

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract

MAX_BYTES: Final = (1 << 31) - 1
"""Largest ONNX file: protobuf, in which it is written, cannot hold more."""


def artefact(contract: Contract, variant: str) -> Path:
    """Place a variant's file and make sure that there is something to open.

    Raises:
        ArtefactError: It is missing, no file, empty, or unreadable.
    """
    path = contract.path(contract.variants[variant].path)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    try:
        if not path.exists():
            raise ArtefactError(f"{name} does not exist", next_step=_how_to_make(contract, variant))
        if not path.is_file():
            raise ArtefactError(f"{name} is not a file", next_step="name the model file itself in the contract")
        if not path.stat().st_size:
            raise ArtefactError(f"{name} is empty", next_step=_how_to_make(contract, variant))
    except OSError as error:
        reason = f"{name} cannot be read: {error.strerror or error}"
        raise ArtefactError(reason, next_step="check the file's permissions", transient=True) from error
    return path


def contents(contract: Contract, variant: str) -> bytes:
    """Read a variant's file, which the runtime then takes as bytes.

    Raises:
        ArtefactError: As :func:`artefact`, or it is larger than any such file can be.
    """
    path = artefact(contract, variant)
    name = f"{variant}: {contract.variants[variant].path.as_posix()}"
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            reason = f"{name} has {size} bytes; a model that is loaded from bytes can have {MAX_BYTES} at most"
            raise ArtefactError(reason, next_step="export a smaller model, or one with external data")
        return path.read_bytes()
    except OSError as error:
        reason = f"{name} cannot be read: {error.strerror or error}"
        raise ArtefactError(reason, next_step="check the file's permissions", transient=True) from error


def _how_to_make(contract: Contract, variant: str) -> str:
    if getattr(contract.variants[variant], "recipe", None) is not None:
        return f"build it with `eyerace-parity export {contract.file.name} {variant}`"
    return f"put the file there, or correct variants.{variant}.path in {contract.file.name}"
