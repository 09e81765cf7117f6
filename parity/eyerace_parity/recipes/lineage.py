"""The stamp of an artefact: its sources, its recipe and its tools.

An artefact is *stale* if its sources or its recipe differ from the contract's. Three digests decide:

``checkpoint``
    Bytes of the file at the root of the chain of recipes: the original weights.
``source``
    The direct source. For an export: the checkpoint, the factory's source code and its arguments. For a
    quantisation: the bytes of the ONNX file that was quantised.
``recipe``
    The recipe, the interface's ports and opset, and, if the recipe is calibrated on images, the source code that
    draws them and the preprocessing profile.

Versions of tools (``tool.torch`` …) are recorded but never make an artefact stale: one file is judged under many
versions of ONNX Runtime, and other clauses detect a version that changes the model.

This module imports neither torch nor onnx, so a query is cheap.
"""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.contract.callables import source_digest
from eyerace_parity.contract.data import ImageSet
from eyerace_parity.contract.variants import QuantiseStaticRecipe, TorchVariant
from eyerace_parity.core.digests import json_digest, known_digest
from eyerace_parity.core.errors import ArtefactError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.machine import installed_version
from eyerace_parity.recipes import RECIPES
from eyerace_parity.recipes.calibrate import tensor_files
from eyerace_parity.runners.artefact_files import metadata_of

if TYPE_CHECKING:
    from pathlib import Path

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import Recipe

PREFIX: Final = "eyerace_parity."
"""Prefix of the stamp's keys in the file's metadata."""


def current_lineage(contract: Contract, variant: str) -> dict[str, str]:
    """The lineage that a variant's artefact would have if it were built now.

    Returns:
        ``source``, ``checkpoint``, ``recipe`` and ``tool.NAME``; empty for a variant without a recipe.

    Raises:
        ArtefactError: A source file is missing.
        ContractError: A callable that the recipe names cannot be found.
    """
    recipe = contract.recipe_of(variant)
    if recipe is None:
        return {}
    source = contract.variants[recipe.source]
    return {
        "source": source_of(contract, recipe.source),
        "checkpoint": _digest(contract.path(contract.variants[chain_of(contract, recipe.source)[0]].path)),
        "recipe": _recipe(contract, recipe),
        **_tools(("torch", "onnx") if source.kind != "onnx" else ("onnx", "onnxruntime")),
    }


def chain_of(contract: Contract, variant: str) -> tuple[str, ...]:
    """List a variant and all that it is made from, sources first. A circle is cut open: building it reports it."""
    chain = [variant]
    while (recipe := contract.recipe_of(chain[-1])) is not None and recipe.source not in chain:
        chain.append(recipe.source)
    return tuple(reversed(chain))


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
    """Read the stamp of an ONNX file without parsing its graph.

    Returns:
        The stamp, keys without their prefix; empty if there is none, or if the file is not an ONNX file.

    Raises:
        ArtefactError: The file is missing or cannot be read.
    """
    try:
        properties = metadata_of(path)
    except OSError as error:
        raise ArtefactError(f"{display_path(path)} cannot be read: {error.strerror}") from error
    return {key.removeprefix(PREFIX): value for key, value in properties.items() if key.startswith(PREFIX)}


def _recipe(contract: Contract, recipe: Recipe) -> str:
    # Without defaults: a new option with a default must not make existing artefacts stale. Without the source's name:
    # its content has its own digest.
    facts: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json", exclude_defaults=True, exclude={"source"}),
        "ports": contract.interface.model_dump(mode="json", include={"inputs", "outputs", "opset"}),
    }
    if isinstance(recipe, QuantiseStaticRecipe):
        calibration = recipe.calibration
        if calibration.images is not None:
            facts["pictures"] = source_digest(contract.root, calibration.images)
            if isinstance(contract.golden, ImageSet):
                from eyerace_parity.preprocess.apply import profile_digest  # noqa: PLC0415 - imports Pillow, which few recipes need

                facts["profile"] = profile_digest(contract.preprocess[contract.golden.preprocess])
        else:
            facts["tensors"] = [_digest(path) for path in tensor_files(contract, calibration)]
    return json_digest(facts)


def _tools(names: tuple[str, ...]) -> dict[str, str]:
    tools = {"tool.eyerace-parity": RECIPES}
    for name in names:
        try:
            tools[f"tool.{name}"] = installed_version(name)
        except metadata.PackageNotFoundError:
            continue  # a machine without torch can judge, too
    return tools


def _digest(path: Path) -> str:
    try:
        return known_digest(path)
    except OSError as error:
        raise ArtefactError(
            f"{display_path(path)}, a source of the artefact, cannot be read: {error.strerror}",
            next_step="copy it there, or build it: eyerace-parity export",
        ) from error
