"""Label faults: class names, or labels of golden samples, differ from those of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.contract.data import ImageSet
from eyerace_parity.extensions.selftest.model import PlantedFault, on, quality_of
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_WRONG = (*quality_of(Role.FLOAT), *quality_of(Role.DEVICE))
_SEED = 7


def _classes(workshop: Workshop, names: Sequence[str]) -> Contract:
    golden = workshop.contract.golden
    if not isinstance(golden, ImageSet):
        raise FaultNotApplicable("the labels of a tensor set are numbers without names")
    return workshop.with_contract(classes=tuple(names))


def _named(workshop: Workshop) -> list[str]:
    several = 2
    if len(workshop.contract.classes) < several:
        raise FaultNotApplicable("the contract names no classes")
    return list(workshop.contract.classes)


def _two_swapped(workshop: Workshop) -> Contract:
    names = _named(workshop)
    names[0], names[1] = names[1], names[0]
    return _classes(workshop, names)


def _reversed(workshop: Workshop) -> Contract:
    return _classes(workshop, _named(workshop)[::-1])


def _one_missing(workshop: Workshop) -> Contract:
    return _classes(workshop, _named(workshop)[:-1])


def _shuffled(workshop: Workshop) -> Contract:
    _named(workshop)
    return workshop.relabelled(
        lambda labels: [labels[i] for i in np.random.default_rng(_SEED).permutation(len(labels))]
    )


def _careless(workshop: Workshop) -> Contract:
    """Give every tenth sample the label of the next class."""
    names = _named(workshop)

    def change(labels: list[str]) -> list[str]:
        wrong = set(np.random.default_rng(_SEED).permutation(len(labels))[: len(labels) // 10].tolist())
        after = dict(zip(names, [*names[1:], names[0]], strict=True))
        return [after[label] if place in wrong else label for place, label in enumerate(labels)]

    return workshop.relabelled(change)


FAULTS = (
    PlantedFault(
        "labels-two-swapped",
        "two classes are exchanged in the contract",
        _two_swapped,
        (),
        r"exchang|swap|permut",
        _WRONG,
    ),
    PlantedFault(
        "labels-reversed",
        "the classes are in reverse order",
        _reversed,
        (),
        r"revers",
        _WRONG,
    ),
    PlantedFault(
        "labels-one-missing",
        "the last class is missing in the contract",
        _one_missing,
        (*on(Role.FLOAT, "classes", "f1"), *on(Role.DEVICE, "classes", "f1")),
        r"is no class|names no class|names \d+ classes",
    ),
    PlantedFault(
        "labels-shuffled",
        "the golden labels are shuffled",
        _shuffled,
        (),
        r"shuffled|unrelated|no relation|chance",
        _WRONG,
    ),
    PlantedFault(
        "labels-careless",
        "every tenth golden label names the next class",
        _careless,
        (),
        r"against their label",
        _WRONG,
    ),
)
"""Faults of this family."""
