"""Where faults are made: a scratch folder, and contracts that differ from the good one in one thing.

The bundle itself is never written to. A damaged artefact lies in the scratch folder, and the damaged contract, which
exists in memory only, names it by its absolute path; everything else it shares with the good one, so that nothing is
measured again that a fault does not touch.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from eyerace_parity.contract.data import ImageSet, Preprocess
from eyerace_parity.contract.variants import (
    TORCH_KINDS,
    ExportRecipe,
    OnnxVariant,
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
    """A good bundle, and a place to damage copies of its parts.

    Attributes:
        contract: The good contract.
        folder: Scratch folder, one for each fault.
        progress: Who hears of long work.
    """

    contract: Contract
    folder: Path
    progress: Progress
    _models: dict[Path, bytes] = field(default_factory=dict)

    def name(self, role: Role) -> str:
        """Name the variant that plays a role.

        Raises:
            Unfit: There is none.
        """
        found = name_of(self.contract, role)
        if found is None:
            raise FaultNotApplicable(f"the contract has no {role} variant")
        return found

    # ---- artefacts ---------------------------------------------------------------------------------------------------

    def model(self, role: Role) -> onnx.ModelProto:
        """Read the ONNX file of a variant, fresh for each caller to edit."""
        import onnx  # noqa: PLC0415 - only where a model is edited

        path = self.contract.path(self._onnx(role).path)
        if path not in self._models:
            self._models[path] = path.read_bytes()
        return onnx.load_from_string(self._models[path])

    def with_model(self, role: Role, model: onnx.ModelProto | bytes) -> Contract:
        """The contract with another ONNX file for a variant, its stamp as it was."""
        content = model if isinstance(model, bytes) else model.SerializeToString()
        return self.with_file(role, content, ".onnx")

    def edited(self, role: Role, edit: Callable[[onnx.ModelProto], None]) -> Contract:
        """The contract with an edited copy of a variant's ONNX file."""
        model = self.model(role)
        edit(model)
        return self.with_model(role, model)

    def with_file(self, role: Role, content: bytes, suffix: str) -> Contract:
        """The contract with another artefact for a variant."""
        path = self.folder / f"{self.name(role)}{suffix}"
        path.write_bytes(content)
        return self.with_variant(role, path=path)

    def remade(self, role: Role, **changes: Any) -> Contract:
        """The contract with an artefact that the stated recipe made with some changes, stamped as if it had none.

        Raises:
            Unfit: The variant is not quantised by a static recipe.
        """
        return self.made(role, self.static_recipe(role).model_copy(update=changes))

    def made(
        self, role: Role, recipe: QuantiseDynamicRecipe | QuantiseStaticRecipe, under: Contract | None = None
    ) -> Contract:
        """The contract with an artefact of another recipe, stamped as if it were of the stated one.

        Args:
            role: Whose artefact.
            recipe: What makes it.
            under: The contract that the recipe is carried out under, where that is not the good one.
        """
        from eyerace_parity.recipes.lineage import current_lineage  # noqa: PLC0415 - only where something is made
        from eyerace_parity.recipes.onnx_file import seal  # noqa: PLC0415
        from eyerace_parity.recipes.quantise import quantise  # noqa: PLC0415

        stamp = current_lineage(self.contract, self.name(role))
        return self.with_model(role, seal(quantise(under or self.contract, recipe, self.progress), stamp))

    def static_recipe(self, role: Role) -> QuantiseStaticRecipe:
        """The static recipe of a variant, on few calibration samples: a fault needs no fine calibration.

        Raises:
            Unfit: It has another recipe, or none.
        """
        recipe = recipe_of(self._onnx(role))
        if not isinstance(recipe, QuantiseStaticRecipe):
            raise FaultNotApplicable(f"{self.name(role)} is not made by static quantisation")
        few = recipe.calibration.model_copy(update={"count": min(recipe.calibration.count, 16), "method": "minmax"})
        return recipe.model_copy(update={"calibration": few})

    def quantised_source(self, role: Role) -> str:
        """The variant that a quantised one is made from.

        Raises:
            Unfit: It is not made from another.
        """
        recipe = recipe_of(self._onnx(role))
        if not isinstance(recipe, QuantiseStaticRecipe | QuantiseDynamicRecipe):
            raise FaultNotApplicable(f"{self.name(role)} is not made by quantising another variant")
        return recipe.source

    def checkpoint(self) -> dict[str, Any]:
        """Tensors of the trained checkpoint, by name.

        Raises:
            Unfit: It is no ``.safetensors`` file.
        """
        stated = self.contract.variants[self.name(Role.TORCH)]
        if not isinstance(stated, TorchVariant) or stated.path.suffix != ".safetensors":
            raise FaultNotApplicable("the checkpoint is no .safetensors file")
        try:
            from safetensors.numpy import load_file  # noqa: PLC0415 - only where a checkpoint is damaged
        except ImportError:
            raise FaultNotApplicable("safetensors is not installed") from None
        return dict(load_file(self.contract.path(stated.path)))

    def with_checkpoint(self, tensors: Mapping[str, Any]) -> Contract:
        """The contract with another checkpoint; what was made from the good one stays as it is."""
        from safetensors.numpy import save_file  # noqa: PLC0415 - only where a checkpoint is damaged

        path = self.folder / "checkpoint.safetensors"
        save_file(dict(tensors), path)
        return self.with_variant(Role.TORCH, path=path)

    def exported_from(self, tensors: Mapping[str, Any]) -> bytes:
        """Export a damaged checkpoint as the recipe of the float variant does.

        Raises:
            Unfit: The float variant is not exported from the torch one, or torch is not installed.
        """
        from importlib.util import find_spec  # noqa: PLC0415 - only here

        from eyerace_parity.recipes.export import export  # noqa: PLC0415 - only where something is made
        from eyerace_parity.recipes.lineage import current_lineage  # noqa: PLC0415
        from eyerace_parity.recipes.onnx_file import seal  # noqa: PLC0415

        if not isinstance(recipe_of(self._onnx(Role.FLOAT)), ExportRecipe) or find_spec("torch") is None:
            raise FaultNotApplicable(
                "the float variant is not exported here: it has no recipe, or torch is not installed"
            )
        damaged = self.with_checkpoint(tensors)
        stamp = current_lineage(self.contract, self.name(Role.FLOAT))
        return seal(export(damaged, self.name(Role.TORCH)), stamp)

    # ---- the contract ------------------------------------------------------------------------------------------------

    def with_variant(self, role: Role, **changes: Any) -> Contract:
        """The contract with a variant changed."""
        name = self.name(role)
        variants = dict(self.contract.variants)
        variants[name] = variants[name].model_copy(update=changes)
        return self.with_contract(variants=variants)

    def with_contract(self, **changes: Any) -> Contract:
        """The contract with some of its fields changed."""
        return self.contract.model_copy(update=changes)

    def with_profile(self, role: Role, **changes: Any) -> Contract:
        """The contract with a variant whose photographs are prepared otherwise.

        Raises:
            Unfit: Its samples are no photographs, or the change changes nothing.
        """
        good = self.profile(role)
        bad = Preprocess.model_validate(good.model_dump() | changes)
        if bad == good:
            raise FaultNotApplicable("the bundle prepares its photographs so already")
        damaged = self.with_variant(role, preprocess=PROFILE)
        return damaged.model_copy(update={"preprocess": {**self.contract.preprocess, PROFILE: bad}})

    def profile(self, role: Role) -> Preprocess:
        """The preprocessing profile of a variant.

        Raises:
            Unfit: Its samples are no photographs.
        """
        good = self.contract.preprocess_of(self.name(role))
        if good is None:
            raise FaultNotApplicable("the golden set holds tensors, which are prepared already")
        return good

    def images(self) -> ImageSet:
        """The golden set of photographs.

        Raises:
            Unfit: It holds tensors.
        """
        if not isinstance(self.contract.golden, ImageSet):
            raise FaultNotApplicable("the golden set holds no photographs")
        return self.contract.golden

    def relabelled(self, change: Callable[[list[str]], Sequence[str]]) -> Contract:
        """The contract with other labels for its photographs, and the digest that belongs to them."""
        spec = self.images()
        text = self.contract.path(spec.labels).read_text(encoding="utf-8-sig")
        rows = list(csv.DictReader(io.StringIO(text)))
        for row, label in zip(rows, change([row["label"] for row in rows]), strict=True):
            row["label"] = label
        path = self.folder / "labels.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
        # Whoever froze the wrong labels froze their digest, too.
        return self.with_contract(golden=spec.model_copy(update={"labels": path, "digest": None}))

    def _onnx(self, role: Role) -> Variant:
        variant = self.contract.variants[self.name(role)]
        if variant.kind != "onnx":
            raise FaultNotApplicable(f"{self.name(role)} is no ONNX file")
        return variant


def name_of(contract: Contract, role: Role) -> str | None:
    """Name the variant that plays a role in a contract, or ``None``."""
    onnx_ones = [name for name, variant in contract.variants.items() if variant.kind == "onnx"]
    quantised = [
        name
        for name in onnx_ones
        if isinstance(recipe_of(contract.variants[name]), QuantiseStaticRecipe | QuantiseDynamicRecipe)
    ]
    device = [name for name in onnx_ones if contract.variants[name].tier == "device"] or quantised
    match role:
        case Role.TORCH:
            found = [name for name, variant in contract.variants.items() if variant.kind in TORCH_KINDS]
        case Role.DEVICE:
            found = device or onnx_ones[1:]
        case Role.FLOAT:
            found = [name for name in onnx_ones if name not in {*device, *quantised}]
    return found[0] if found else None


def recipe_of(variant: Variant) -> Recipe | None:
    """The recipe of a variant, or ``None``."""
    return variant.recipe if isinstance(variant, OnnxVariant) else None


class Role(StrEnum):
    """A variant by what it is in a bundle, whatever its name."""

    TORCH = "torch"
    """What was trained: the first torch variant."""
    FLOAT = "float"
    """What was exported from it: the first ONNX variant that is not quantised."""
    DEVICE = "device"
    """What the phone runs: the ONNX variant of the tier ``device``, or the one that a recipe quantises."""


class FaultNotApplicable(Exception):  # noqa: N818 - no fault of anybody: this bundle has not what the fault would damage
    """A fault that cannot be planted in this bundle; says why."""
