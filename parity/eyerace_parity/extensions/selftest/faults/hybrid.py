"""Hybrid faults: the models of phone and cloud do not match."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.extensions.selftest.edits import after_output, constant, node, stored
from eyerace_parity.extensions.selftest.model import PlantedFault, answers_of, on
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_SEED = 19


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


def _other_order(workshop: Workshop) -> Contract:
    count = len(workshop.contract.classes)
    few = 2
    if count < few:
        raise FaultNotApplicable("the contract names no classes")

    def change(model: onnx.ModelProto) -> None:
        constant(model, "/selftest/order", np.roll(np.arange(count), 1))
        after_output(model, lambda good, given: [node("Gather", [good, "/selftest/order"], [given], axis=1)])

    return workshop.edited(Role.DEVICE, change)


def _scaled(model: onnx.ModelProto) -> None:
    constant(model, "/selftest/factor", np.array(3.0, np.float32))
    after_output(model, lambda good, given: [node("Mul", [good, "/selftest/factor"], [given])])


def _favoured(workshop: Workshop) -> Contract:
    """Add to the score of the first class, as a head trained on other class shares would."""
    count = len(workshop.contract.classes)
    if not count:
        raise FaultNotApplicable("the contract names no classes")

    def change(model: onnx.ModelProto) -> None:
        constant(model, "/selftest/more", np.eye(1, count, dtype=np.float32)[0] * 2)
        after_output(model, lambda good, given: [node("Add", [good, "/selftest/more"], [given])])

    return workshop.edited(Role.DEVICE, change)


def _exchanged(workshop: Workshop) -> Contract:
    variants = dict(workshop.contract.variants)
    phone, cloud = workshop.name(Role.DEVICE), workshop.name(Role.FLOAT)
    paths = variants[phone].path, variants[cloud].path
    variants[cloud], variants[phone] = (
        variants[name].model_copy(update={"path": path}) for name, path in zip((cloud, phone), paths, strict=True)
    )
    return workshop.with_contract(variants=variants)


FAULTS = (
    PlantedFault(
        "hybrid-other-checkpoint",
        "phone and cloud come from different checkpoints",
        lambda workshop: workshop.edited(Role.DEVICE, _other_checkpoint),
        (),
        r"checkpoint|layers differ|all \d+",
        answers_of(Role.DEVICE),
    ),
    PlantedFault(
        "hybrid-label-order",
        "the phone's scores are in another order of classes",
        _other_order,
        on(Role.DEVICE, "f1", "tier_agreement", "order_agreement"),
        r"permut|order|exchanged",
    ),
    PlantedFault(
        # No decision changes, but the hybrid compares the phone's confidence with a threshold.
        "hybrid-scale",
        "the phone's scores are three times the cloud's",
        lambda workshop: workshop.edited(Role.DEVICE, _scaled),
        (),
        r"\b(3|2\.9+\d*|3\.0\d*)\b.*times|times.*\b3\b|factor|temperature",
        answers_of(Role.DEVICE),
    ),
    PlantedFault(
        "hybrid-favoured-class",
        "the phone favours one class",
        _favoured,
        (),
        r"shift|added|by \d|favour",
        answers_of(Role.DEVICE),
    ),
    PlantedFault(
        # Both files are valid and answer nearly alike, so only weights in integers tell them apart.
        "hybrid-files-exchanged",
        "the files of cloud and phone are exchanged",
        _exchanged,
        on(Role.DEVICE, "integer_weights"),
        r"0 % of the weights",
    ),
)
"""Faults of this family."""
