"""Label faults: class names, or labels of golden samples, differ from those of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.contract.data import ImageSet
from eyerace_parity.extensions.selftest.model import FaultFamily, on, quality_of
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_WRONG = (*quality_of(Role.FLOAT), *quality_of(Role.DEVICE))
_SEED = 7

FAULTS = FaultFamily("labels")


def _classes(workshop: Workshop, names: Sequence[str]) -> Contract:
    golden = workshop.contract.golden
    if not isinstance(golden, ImageSet):
        raise FaultNotApplicable("the labels of a tensor set are numbers without names")
    return workshop.with_contract(classes=tuple(names))


def _relabelled(workshop: Workshop, change: Callable[[list[str]], list[str]]) -> Contract:
    rows = workshop.label_rows()
    labels = change([row["label"] for row in rows])
    return workshop.with_rows([row | {"label": label} for row, label in zip(rows, labels, strict=True)])


def _named(workshop: Workshop) -> list[str]:
    several = 2
    if len(workshop.contract.classes) < several:
        raise FaultNotApplicable("the contract names no classes")
    return list(workshop.contract.classes)


@FAULTS.plant(
    None, "two-swapped", "two classes are exchanged in the contract", r"exchang|swap|permut", witnesses=_WRONG
)
def _two_swapped(workshop: Workshop) -> Contract:
    names = _named(workshop)
    names[0], names[1] = names[1], names[0]
    return _classes(workshop, names)


@FAULTS.plant(None, "reversed", "the classes are in reverse order", r"revers", witnesses=_WRONG)
def _reversed(workshop: Workshop) -> Contract:
    return _classes(workshop, _named(workshop)[::-1])


@FAULTS.plant(
    None,
    "one-missing",
    "the last class is missing in the contract",
    r"is no class|names no class|names \d+ classes",
    expected=(*on(Role.FLOAT, "classes", "f1"), *on(Role.DEVICE, "classes", "f1")),
)
def _one_missing(workshop: Workshop) -> Contract:
    return _classes(workshop, _named(workshop)[:-1])


@FAULTS.plant(
    None, "shuffled", "the golden labels are shuffled", r"shuffled|unrelated|no relation|chance", witnesses=_WRONG
)
def _shuffled(workshop: Workshop) -> Contract:
    _named(workshop)
    return _relabelled(
        workshop, lambda labels: [labels[i] for i in np.random.default_rng(_SEED).permutation(len(labels))]
    )


@FAULTS.plant(
    None, "careless", "every tenth golden label names the next class", r"against their label", witnesses=_WRONG
)
def _careless(workshop: Workshop) -> Contract:
    """Give every tenth sample the label of the next class."""
    names = _named(workshop)

    def change(labels: list[str]) -> list[str]:
        wrong = set(np.random.default_rng(_SEED).permutation(len(labels))[: len(labels) // 10].tolist())
        after = dict(zip(names, [*names[1:], names[0]], strict=True))
        return [after[label] if place in wrong else label for place, label in enumerate(labels)]

    return _relabelled(workshop, change)
