"""Builds the artefacts of a contract: sources first, one build at a time, and each file completely or not at all."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from filelock import FileLock, Timeout

from eyerace_parity.contract.variants import OnnxVariant
from eyerace_parity.core.errors import MeasurementError, RecipeError
from eyerace_parity.core.files import display_path, write_atomically
from eyerace_parity.core.text import join_names
from eyerace_parity.extending.loading import active
from eyerace_parity.recipes.lineage import current_lineage, read_stamp

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import onnx
    from filelock import BaseFileLock

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import ExportRecipe, QuantiseDynamicRecipe, QuantiseStaticRecipe, Recipe
    from eyerace_parity.core.progress import Progress

Maker = Callable[["Contract", str, "Progress"], bytes]
"""Makes the content of a variant's file; see :func:`content_of`."""

_LOCK: Final = ".eyerace-parity.lock"
"""Lock file beside the artefacts; its holder builds, so that two runs do not build at once."""


def missing_artefacts(contract: Contract) -> tuple[str, ...]:
    """Name the variants with a recipe whose file is missing, in build order.

    A stale file counts as present: it is judged, never rebuilt silently.
    """
    buildable = [name for name in contract.variants if _recipe(contract, name)]
    missing: dict[str, None] = {}
    for name in buildable:
        for step in _chain(contract, name):
            if _recipe(contract, step) and not _path(contract, step).is_file():
                missing[step] = None
    return tuple(missing)


def content_of(contract: Contract, name: str, progress: Progress) -> bytes:
    """Make the content of a variant's file in this process; its sources must exist.

    Raises:
        RecipeError: The recipe cannot be carried out.
        MeasurementError: A source cannot be opened or run.
    """
    from eyerace_parity.recipes.onnx_file import seal  # noqa: PLC0415 - loads onnx, and most runs build nothing

    recipe = _recipe(contract, name)
    assert recipe is not None  # noqa: S101 - the caller has checked
    # Before the build: if a source changes during it, the stamp shows that the artefact is of the older source.
    stamp = _stamp(contract, name, recipe)
    added = {each.kind: each.make for each in active().added("recipes", contract.extensions)}
    make = added.get(recipe.kind) or RECIPE_MAKERS[recipe.kind]
    return seal(make(contract, recipe, progress), stamp)


def _export(contract: Contract, recipe: ExportRecipe, progress: Progress) -> onnx.ModelProto:
    from eyerace_parity.recipes.export import export  # noqa: PLC0415 - loads torch, which takes seconds

    with progress.task(f"exporting {recipe.source}", None):
        return export(contract, recipe.source)


def _quantise(
    contract: Contract, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, progress: Progress
) -> onnx.ModelProto:
    from eyerace_parity.recipes.quantise import quantise  # noqa: PLC0415 - as above

    return quantise(contract, recipe, progress)


RECIPE_MAKERS: Final[Mapping[str, Callable[[Contract, Any, Progress], onnx.ModelProto]]] = {
    "export": _export,
    "quantize_dynamic": _quantise,
    "quantize_static": _quantise,
}
"""What makes the model, by the recipe's kind; extensions add others by the hook ``recipes``."""


def build_variant(contract: Contract, variant: str, progress: Progress, make: Maker = content_of) -> Path:
    """Build a variant by its recipe, and first every missing source. An existing file of the variant is replaced.

    Args:
        contract: The contract.
        variant: Name of the variant.
        progress: Receives progress.
        make: Makes the content, here or in an isolated worker.

    Returns:
        The path of the artefact.

    Raises:
        RecipeError: It cannot be built. No partial file is left, and an existing file stays as it was.
    """
    chain = _chain(contract, variant)
    for name in chain:
        path = _path(contract, name)
        if _recipe(contract, name) is None:
            if name == variant:
                raise RecipeError(
                    f"variant {name!r} has no recipe", next_step=f"add [variants.{name}.recipe], or copy the file there"
                )
            if not path.is_file():
                raise RecipeError(
                    f"{variant!r} is made from {name!r}, whose file {contract.variants[name].path.as_posix()} "
                    "does not exist",
                    next_step="copy it there; there is no recipe for it",
                )
        elif name == variant or not path.is_file():
            _build_locked(contract, name, progress, make)
    return _path(contract, variant)


def _build_locked(contract: Contract, name: str, progress: Progress, make: Maker) -> None:
    """Build one variant while no other run builds in the same folder."""
    path = _path(contract, name)
    # An existing file is rebuilt on request; a missing one may have been built by another run while this one waited.
    was_there = path.is_file()
    lock = _lock_folder(contract, name, progress)
    try:
        if was_there or not path.is_file():  # otherwise the other run has built it
            _write(path, make(contract, name, progress))
    except MeasurementError as error:
        raise RecipeError(f"{name} cannot be built: {error.reason}", next_step=error.next_step) from error
    except MemoryError as error:
        reason = f"{name} cannot be built: not enough memory"
        raise RecipeError(reason, next_step="free memory, or build it on another machine and copy the file") from error
    except OSError as error:
        reason = f"{name} cannot be built: system error: {error.strerror or error}"
        raise RecipeError(reason, next_step="free disk space or memory, then build it again") from error
    finally:
        lock.release()


def _lock_folder(contract: Contract, name: str, progress: Progress) -> BaseFileLock:
    """Take the lock of an artefact's folder; wait as long as another run holds it."""
    path = _path(contract, name)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path.parent / _LOCK)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            with progress.task(f"waiting for another run that builds {name}", None):
                # No timeout: a build may take minutes, and the lock of a process that dies is released.
                lock.acquire()
    except OSError as error:
        raise RecipeError(
            f"{contract.variants[name].path.as_posix()} cannot be built there: {error.strerror}",
            next_step="make the folder writable, or name another path",
        ) from error
    return lock


def _write(path: Path, content: bytes) -> None:
    try:
        write_atomically(path, content)
    except OSError as error:
        raise RecipeError(f"{display_path(path)} cannot be written: {error.strerror or error}") from error


def _stamp(contract: Contract, name: str, recipe: Recipe) -> dict[str, str]:
    """The lineage of an artefact. If its source is stale, the checkpoint is the one that the source was made from."""
    lineage = current_lineage(contract, name)
    if _recipe(contract, recipe.source) is not None:
        lineage["checkpoint"] = read_stamp(_path(contract, recipe.source)).get("checkpoint", "unknown")
    return lineage


def _chain(contract: Contract, name: str) -> tuple[str, ...]:
    """List a variant and all its sources, root first.

    Raises:
        RecipeError: There is no such variant, or it is its own source.
    """
    chain = [name]
    while True:
        if chain[-1] not in contract.variants:
            raise RecipeError(
                f"there is no variant {chain[-1]!r}", next_step=f"the contract has {join_names(contract.variants)}"
            )
        recipe = _recipe(contract, chain[-1])
        if recipe is None:
            return tuple(reversed(chain))
        if recipe.source in chain:
            raise RecipeError(f"{name!r} is made from itself: {' from '.join([*chain, recipe.source])}")
        chain.append(recipe.source)


def _recipe(contract: Contract, name: str) -> Recipe | None:
    variant = contract.variants[name]
    return variant.recipe if isinstance(variant, OnnxVariant) else None


def _path(contract: Contract, name: str) -> Path:
    return contract.path(contract.variants[name].path)
