"""The stamp of an artefact: what it was made from, by which recipe, with which tools.

An artefact is *stale* when what it was made from is no longer what the contract names. Three digests decide that:

``checkpoint``
    Bytes of the file at the root of the chain of recipes: the weights that everything was made from.
``source``
    What the artefact was made from directly. For an export: the checkpoint, the factory's source code and its
    arguments. For a quantisation: the bytes of the ONNX file that was quantised.
``recipe``
    The recipe, the interface's ports and opset, and, where the recipe observes pictures, the source code that draws
    them and the preprocessing profile.

Versions of tools (``tool.torch`` …) are written beside them and never make an artefact stale: one file is meant to be
judged under many versions of ONNX Runtime, and the other clauses see it when a version changes the model.

Nothing here imports torch or onnx, so asking costs next to nothing.
"""

from __future__ import annotations

import io
from importlib import metadata
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from parity import __version__
from parity.contract.callables import source_digest
from parity.contract.data import ImageSet
from parity.contract.variants import OnnxVariant, QuantiseStaticRecipe, TorchVariant
from parity.errors import ArtefactError
from parity.golden.digests import file_digest, json_digest
from parity.places import shown
from parity.recipes.calibrate import tensor_files

if TYPE_CHECKING:
    from pathlib import Path

    from parity.contract.model import Contract
    from parity.contract.variants import Recipe

PREFIX: Final = "eyerace_parity."
"""Of the stamp's keys in the file's metadata."""

_METADATA_FIELD: Final = 14
"""``ModelProto.metadata_props`` in onnx.proto."""

_MOST_METADATA: Final = 1 << 20
"""Bytes of one property that are read at most; a stamp is far smaller."""


def current_lineage(contract: Contract, variant: str) -> dict[str, str]:
    """Say what a variant's artefact would be made from now.

    Returns:
        ``source``, ``checkpoint``, ``recipe`` and ``tool.NAME``; empty for a variant without a recipe.

    Raises:
        ArtefactError: A file that it would be made from is missing.
        ContractError: A callable that the recipe names cannot be found.
    """
    stated = contract.variants[variant]
    if not isinstance(stated, OnnxVariant) or stated.recipe is None:
        return {}
    recipe = stated.recipe
    source = contract.variants[recipe.source]
    return {
        "source": source_of(contract, recipe.source),
        "checkpoint": _digest(contract.path(contract.variants[root_of(contract, recipe.source)].path)),
        "recipe": _recipe(contract, recipe),
        **_tools(("torch", "onnx") if source.kind != "onnx" else ("onnx", "onnxruntime")),
    }


def root_of(contract: Contract, variant: str) -> str:
    """Follow the recipes back to the variant that is not made from another one."""
    stated = contract.variants[variant]
    if isinstance(stated, OnnxVariant) and stated.recipe is not None:
        return root_of(contract, stated.recipe.source)
    return variant


def source_of(contract: Contract, variant: str) -> str:
    """Digest of a variant as a source: its file, and for a torch factory its code and arguments.

    Raises:
        ArtefactError: The file is missing.
        ContractError: The factory cannot be found.
    """
    stated = contract.variants[variant]
    digest = _digest(contract.path(stated.path))
    if not isinstance(stated, TorchVariant):
        return digest
    return json_digest(
        {"state": digest, "code": source_digest(contract.root, stated.factory), "arguments": stated.arguments}
    )


def read_stamp(path: Path) -> dict[str, str]:
    """Read the stamp of an ONNX file without parsing its graph, however large it is.

    Returns:
        The stamp, keys without their prefix; empty where there is none, or where the file is no ONNX file.

    Raises:
        ArtefactError: The file is missing or cannot be read.
    """
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            properties = _metadata(file, size)
    except OSError as error:
        raise ArtefactError(f"{shown(path)} cannot be read: {error.strerror}") from error
    return {key.removeprefix(PREFIX): value for key, value in properties.items() if key.startswith(PREFIX)}


def _recipe(contract: Contract, recipe: Recipe) -> str:
    # Defaults are left out: a new option of a later version must not make an artefact stale that it does not change.
    # The source's name is left out because its content has a digest of its own.
    facts: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json", exclude_defaults=True, exclude={"source"}),
        "ports": contract.interface.model_dump(mode="json", include={"inputs", "outputs", "opset"}),
    }
    if isinstance(recipe, QuantiseStaticRecipe):
        calibration = recipe.calibration
        if calibration.images is not None:
            facts["pictures"] = source_digest(contract.root, calibration.images)
            if isinstance(contract.golden, ImageSet):
                from parity.golden.preprocess import profile_digest  # noqa: PLC0415 - reads pictures, which few recipes do

                facts["profile"] = profile_digest(contract.preprocess[contract.golden.preprocess])
        else:
            facts["tensors"] = [_digest(path) for path in tensor_files(contract, calibration)]
    return json_digest(facts)


def _tools(names: tuple[str, ...]) -> dict[str, str]:
    found = {"tool.eyerace-parity": __version__}
    for name in names:
        try:
            found[f"tool.{name}"] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # a machine without torch judges as well
    return found


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise ArtefactError(
            f"{shown(path)}, from which the artefact is made, cannot be read: {error.strerror}",
            next_step="put it there, or build it: eyerace-parity export",
        ) from error


def _metadata(file: BinaryIO, size: int) -> dict[str, str]:
    """Pick the metadata properties out of a serialised ``ModelProto``, stepping over everything else.

    The wire format is https://protobuf.dev/programming-guides/encoding/: a tag (field number and wire type) before each
    field, lengths before everything that has one, so that the graph is stepped over unread.
    """
    found: dict[str, str] = {}
    while (tag := _varint(file)) is not None:
        number, wire = tag >> 3, tag & 7
        if wire == 0:
            length = 0
            if _varint(file) is None:
                break
        elif wire == 2:  # noqa: PLR2004 - wire types are named by the format's description alone
            stated = _varint(file)
            if stated is None:
                break
            length = stated
        else:
            length = {1: 8, 5: 4}.get(wire, size)
        if length > size - file.tell():
            break  # torn or foreign: whoever reads the graph says so
        if number == _METADATA_FIELD and wire == 2 and length <= _MOST_METADATA:  # noqa: PLR2004
            entry = _entry(file.read(length))
            if entry is not None:
                found[entry[0]] = entry[1]
        else:
            file.seek(length, 1)
    return found


def _entry(content: bytes) -> tuple[str, str] | None:
    """Read one ``StringStringEntryProto``: field 1 the key, field 2 the value."""
    file = io.BytesIO(content)
    texts: dict[int, str] = {}
    while (tag := _varint(file)) is not None:
        length = _varint(file)
        if tag & 7 != 2 or length is None or length > len(content):  # noqa: PLR2004
            return None
        try:
            texts[tag >> 3] = file.read(length).decode("utf-8")
        except UnicodeDecodeError:
            return None
    return (texts[1], texts.get(2, "")) if 1 in texts else None


def _varint(file: BinaryIO) -> int | None:
    """Read a number in base 128, or ``None`` at the end of the file or where there is no number."""
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            return None
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:  # noqa: PLR2004 - the top bit says that more follows
            return value
    return None
