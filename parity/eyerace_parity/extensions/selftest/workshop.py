"""Plants faults: a scratch folder, and contracts that differ from the good one in one thing.

The bundle itself is never changed. A damaged artefact is in the scratch folder. The damaged contract exists only in
memory and names the artefact by its absolute path. Everything else is shared with the good contract, so evidence that
the fault does not change comes from the cache.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from eyerace_parity.contract.data import ImageSet, Preprocess
from eyerace_parity.contract.variants import (
    ExportRecipe,
    QuantiseDynamicRecipe,
    QuantiseStaticRecipe,
    TorchVariant,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.variants import Recipe, Variant
    from eyerace_parity.core.progress import Progress

PROFILE = "selftest"
"""Name of a damaged preprocessing profile."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A good bundle, and a scratch folder for damaged copies of its parts.

    Attributes:
        contract: The good contract.
        folder: Scratch folder, one for each fault.
        progress: Receives the progress of long work.
    """

    contract: Contract
    folder: Path
    progress: Progress
    _models: dict[Path, bytes] = field(default_factory=dict)

    def name(self, role: Role) -> str:
        """Name of the variant with a role.

        Raises:
            FaultNotApplicable: There is none.
        """
        found = name_of(self.contract, role)
        if found is None:
            raise FaultNotApplicable(f"the contract has no {role} variant")
        return found

    # ---- artefacts ---------------------------------------------------------------------------------------------------

    def model(self, role: Role) -> onnx.ModelProto:
        """Load the ONNX file of a variant; each call returns a new object to edit."""
        import onnx  # noqa: PLC0415 - only where a model is edited

        path = self.contract.path(self._onnx(role).path)
        if path not in self._models:
            self._models[path] = path.read_bytes()
        return onnx.load_from_string(self._models[path])

    def with_model(self, role: Role, model: onnx.ModelProto | bytes) -> Contract:
        """The contract with another ONNX file for a variant; its stamp is unchanged."""
        path = self.folder / f"{self.name(role)}.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        return self.with_variant(role, path=path)

    def edited(self, role: Role, edit: Callable[[onnx.ModelProto], None]) -> Contract:
        """The contract with an edited copy of a variant's ONNX file."""
        model = self.model(role)
        edit(model)
        return self.with_model(role, model)

    def converted(self, role: Role, opset: int) -> Contract:
        """The contract with a variant's ONNX file at another opset.

        Raises:
            FaultNotApplicable: onnx cannot convert it.
        """
        from onnx import version_converter  # noqa: PLC0415 - only where a model is edited

        try:
            return self.with_model(role, version_converter.convert_version(self.model(role), opset))
        except Exception as error:  # the converter raises many classes
            raise FaultNotApplicable(f"onnx cannot raise the file's opset: {error}") from error

    def remade(self, role: Role, **changes: Any) -> Contract:
        """The contract with an artefact of the stated recipe with changes, but the stamp of the unchanged recipe.

        Raises:
            FaultNotApplicable: The variant is not quantised by a static recipe.
        """
        return self.made(role, self.static_recipe(role).model_copy(update=changes))

    def made(
        self, role: Role, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, under: Contract | None = None
    ) -> Contract:
        """The contract with an artefact of another recipe, but the stamp of the stated one.

        Args:
            role: Role of the variant.
            recipe: The recipe that makes the artefact.
            under: Contract for the recipe; the good one by default.
        """
        from eyerace_parity.recipes.lineage import current_lineage  # noqa: PLC0415 - only where something is made
        from eyerace_parity.recipes.onnx_file import seal  # noqa: PLC0415
        from eyerace_parity.recipes.quantise import quantise  # noqa: PLC0415

        stamp = current_lineage(self.contract, self.name(role))
        return self.with_model(role, seal(quantise(under or self.contract, recipe, self.progress), stamp))

    def static_recipe(self, role: Role) -> QuantiseStaticRecipe:
        """The static recipe of a variant with few calibration samples: a fault needs no precise calibration.

        Raises:
            FaultNotApplicable: It has another recipe, or none.
        """
        recipe = self._recipe(role)
        if not isinstance(recipe, QuantiseStaticRecipe):
            raise FaultNotApplicable(f"{self.name(role)} is not made by static quantisation")
        # The other methods keep histograms of every tensor; minmax on 16 samples takes seconds.
        few = recipe.calibration.model_copy(update={"count": min(recipe.calibration.count, 16), "method": "minmax"})
        return recipe.model_copy(update={"calibration": few})

    def quantised_source(self, role: Role) -> str:
        """The source of a quantised variant.

        Raises:
            FaultNotApplicable: It is not made from another variant.
        """
        recipe = self._recipe(role)
        if not isinstance(recipe, QuantiseStaticRecipe | QuantiseDynamicRecipe):
            raise FaultNotApplicable(f"{self.name(role)} is not made by quantising another variant")
        return recipe.source

    def checkpoint(self) -> dict[str, Any]:
        """Tensors of the trained checkpoint, by name.

        Raises:
            FaultNotApplicable: It is not a ``.safetensors`` file.
        """
        stated = self.contract.variants[self.name(Role.TORCH)]
        if not isinstance(stated, TorchVariant) or stated.path.suffix != ".safetensors":
            raise FaultNotApplicable("the checkpoint is not a .safetensors file")
        try:
            from safetensors.numpy import load_file  # noqa: PLC0415 - only where a checkpoint is damaged
        except ImportError:
            raise FaultNotApplicable("safetensors is not installed") from None
        return dict(load_file(self.contract.path(stated.path)))

    def with_checkpoint(self, tensors: Mapping[str, Any]) -> Contract:
        """The contract with another checkpoint; artefacts made from the good one stay."""
        from safetensors.numpy import save_file  # noqa: PLC0415 - only where a checkpoint is damaged

        path = self.folder / "checkpoint.safetensors"
        save_file(dict(tensors), path)
        return self.with_variant(Role.TORCH, path=path)

    def exported_from(self, tensors: Mapping[str, Any]) -> Contract:
        """The contract with a float variant exported from a damaged checkpoint, and the stamp of the good one.

        Raises:
            FaultNotApplicable: The float variant is not exported from the torch one, or torch is not installed.
        """
        from importlib.util import find_spec  # noqa: PLC0415 - only here

        from eyerace_parity.recipes.export import export  # noqa: PLC0415 - only where something is made
        from eyerace_parity.recipes.lineage import current_lineage  # noqa: PLC0415
        from eyerace_parity.recipes.onnx_file import seal  # noqa: PLC0415

        if not isinstance(self._recipe(Role.FLOAT), ExportRecipe) or find_spec("torch") is None:
            raise FaultNotApplicable(
                "the float variant is not exported here: it has no recipe, or torch is not installed"
            )
        damaged = self.with_checkpoint(tensors)
        stamp = current_lineage(self.contract, self.name(Role.FLOAT))
        return self.with_model(Role.FLOAT, seal(export(damaged, self.name(Role.TORCH)), stamp))

    # ---- the contract ------------------------------------------------------------------------------------------------

    def with_variant(self, role: Role, **changes: Any) -> Contract:
        """The contract with a changed variant."""
        name = self.name(role)
        variants = dict(self.contract.variants)
        variants[name] = variants[name].model_copy(update=changes)
        return self.with_contract(variants=variants)

    def with_contract(self, **changes: Any) -> Contract:
        """The contract with changed fields."""
        return self.contract.model_copy(update=changes)

    def with_profile(self, role: Role, **changes: Any) -> Contract:
        """The contract with another preprocessing profile for a variant.

        Raises:
            FaultNotApplicable: Its samples are not photographs, or the profile would not change.
        """
        good = self.profile(role)
        bad = Preprocess.model_validate(good.model_dump() | changes)
        if bad == good:
            raise FaultNotApplicable("the bundle already prepares its photographs this way")
        damaged = self.with_variant(role, preprocess=PROFILE)
        return damaged.model_copy(update={"preprocess": {**self.contract.preprocess, PROFILE: bad}})

    def profile(self, role: Role) -> Preprocess:
        """The preprocessing profile of a variant.

        Raises:
            FaultNotApplicable: Its samples are not photographs.
        """
        good = self.contract.preprocess_of(self.name(role))
        if good is None:
            raise FaultNotApplicable("the golden set holds tensors, which are prepared already")
        return good

    def images(self) -> ImageSet:
        """The golden set of photographs.

        Raises:
            FaultNotApplicable: It contains tensors.
        """
        if not isinstance(self.contract.golden, ImageSet):
            raise FaultNotApplicable("the golden set contains no photographs")
        return self.contract.golden

    def label_rows(self) -> list[dict[str, str]]:
        """Rows of the table of labels.

        Raises:
            FaultNotApplicable: The golden set contains tensors.
        """
        text = self.contract.path(self.images().labels).read_text(encoding="utf-8-sig")
        return list(csv.DictReader(io.StringIO(text)))

    def with_rows(self, rows: Sequence[Mapping[str, str]], **changes: Any) -> Contract:
        """The contract with another table of labels, and further changes of its golden set."""
        path = self.folder / "labels.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        # A changed set has the digest of the changed set, so the digest must not detect the fault.
        golden = self.images().model_copy(update={"labels": path, "digest": None, **changes})
        return self.with_contract(golden=golden)

    def few_images(self, rows: Sequence[Mapping[str, str]], copy: Callable[[Path, Path], object]) -> Contract:
        """The contract with some of its photographs only; ``copy`` takes each to its new place."""
        folder, source = self.folder / "few", self.contract.path(self.images().images)
        for row in rows:
            target = folder / row["file"]
            target.parent.mkdir(parents=True, exist_ok=True)
            copy(source / row["file"], target)
        return self.with_rows(rows, images=folder)

    def _recipe(self, role: Role) -> Recipe | None:
        self._onnx(role)
        return self.contract.recipe_of(self.name(role))

    def _onnx(self, role: Role) -> Variant:
        variant = self.contract.variants[self.name(role)]
        if variant.kind != "onnx":
            raise FaultNotApplicable(f"{self.name(role)} is not an ONNX file")
        return variant


def name_of(contract: Contract, role: Role) -> str | None:
    """Name of the variant with a role in a contract, or ``None``."""
    onnx_names = [name for name, variant in contract.variants.items() if variant.kind == "onnx"]
    quantised = [
        name
        for name in onnx_names
        if isinstance(contract.recipe_of(name), QuantiseStaticRecipe | QuantiseDynamicRecipe)
    ]
    device = [name for name in onnx_names if contract.variants[name].tier == "device"] or quantised
    match role:
        case Role.TORCH:
            found = [name for name, variant in contract.variants.items() if variant.needs_torch]
        case Role.DEVICE:
            found = device or onnx_names[1:]
        case Role.FLOAT:
            found = [name for name in onnx_names if name not in {*device, *quantised}]
    return found[0] if found else None


class Role(StrEnum):
    """The function of a variant in a bundle, whatever its name."""

    TORCH = "torch"
    """The trained model: the first torch variant."""
    FLOAT = "float"
    """The exported model: the first ONNX variant that is not quantised."""
    DEVICE = "device"
    """The phone's model: the ONNX variant of the tier ``device``, or the one that a recipe quantises."""


class FaultNotApplicable(Exception):  # noqa: N818 - not an error: the bundle has no part that the fault damages
    """The fault cannot be planted in this bundle; the message says why."""
