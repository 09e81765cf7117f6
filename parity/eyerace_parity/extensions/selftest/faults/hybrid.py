"""Hybrid faults: the models of phone and cloud do not match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.extensions.selftest.edits import apply_to_output, stored
from eyerace_parity.extensions.selftest.model import FaultFamily
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_SEED = 19

FAULTS = FaultFamily("hybrid")


@FAULTS.edit(
    Role.DEVICE,
    "other-checkpoint",
    "phone and cloud come from different checkpoints",
    r"checkpoint|layers differ|all \d+",
)
def _other_checkpoint(model: onnx.ModelProto) -> None:
    """Change every weight by a tenth of its layer's standard deviation, as another training would."""
    generator = np.random.default_rng(_SEED)
    for weight in stored(model):
        array = weight.array
        moved = array.astype(np.float64)
        moved += 0.1 * moved.std() * generator.standard_normal(array.shape)
        if array.dtype.kind in "iu":
            kind = np.iinfo(array.dtype)
            moved = np.clip(np.round(moved), kind.min, kind.max)
        weight.put(moved)


@FAULTS.plant(
    Role.DEVICE,
    "label-order",
    "the phone's scores are in another order of classes",
    r"permut|order|exchanged",
    "f1",
    "tier_agreement",
    "order_agreement",
)
def _other_order(workshop: Workshop) -> Contract:
    count = len(workshop.contract.classes)
    few = 2
    if count < few:
        raise FaultNotApplicable("the contract names no classes")

    def change(model: onnx.ModelProto) -> None:
        apply_to_output(model, "Gather", np.roll(np.arange(count), 1), axis=1)

    return workshop.edited(Role.DEVICE, change)


# No decision changes, but the hybrid compares the phone's confidence with a threshold.
@FAULTS.edit(
    Role.DEVICE,
    "scale",
    "the phone's scores are three times the cloud's",
    r"\b(3|2\.9+\d*|3\.0\d*)\b.*times|times.*\b3\b|factor|temperature",
)
def _scaled(model: onnx.ModelProto) -> None:
    apply_to_output(model, "Mul", np.array(3.0, np.float32))


@FAULTS.plant(Role.DEVICE, "favoured-class", "the phone favours one class", r"shift|added|by \d|favour")
def _favoured(workshop: Workshop) -> Contract:
    """Add to the score of the first class, as a head trained on other class shares would."""
    count = len(workshop.contract.classes)
    if not count:
        raise FaultNotApplicable("the contract names no classes")

    def change(model: onnx.ModelProto) -> None:
        apply_to_output(model, "Add", np.eye(1, count, dtype=np.float32)[0] * 2)

    return workshop.edited(Role.DEVICE, change)


# Both files are valid and answer nearly alike, so only weights in integers tell them apart.
@FAULTS.plant(
    Role.DEVICE,
    "files-exchanged",
    "the files of cloud and phone are exchanged",
    r"0 % of the weights",
    "integer_weights",
)
def _exchanged(workshop: Workshop) -> Contract:
    variants = dict(workshop.contract.variants)
    phone, cloud = workshop.name(Role.DEVICE), workshop.name(Role.FLOAT)
    paths = variants[phone].path, variants[cloud].path
    variants[cloud], variants[phone] = (
        variants[name].model_copy(update={"path": path}) for name, path in zip((cloud, phone), paths, strict=True)
    )
    return workshop.with_contract(variants=variants)
