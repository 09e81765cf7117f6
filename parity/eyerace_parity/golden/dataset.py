"""Opens the golden set of a contract, or reads only its label table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.contract.data import ImageSet, TensorSet
from eyerace_parity.core.errors import GoldenError
from eyerace_parity.extending.loading import active
from eyerace_parity.golden.base import GoldenSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from eyerace_parity.contract.model import Contract

__all__ = ["GoldenSet", "labels_alone", "open_golden"]


def open_golden(contract: Contract) -> GoldenSet:
    """Open and check the golden set of a contract.

    Args:
        contract: The contract.

    Returns:
        The set, with its digest compared to the contract's. No sample is decoded yet.

    Raises:
        GoldenError: The set is missing, damaged, changed, empty, or not what the contract states.
    """
    opened = _reader(contract)
    if not len(opened):
        raise GoldenError("the golden set is empty", next_step="add samples to it: nothing can hold on none")
    return opened


def _reader(contract: Contract) -> GoldenSet:
    golden = contract.golden
    if isinstance(golden, ImageSet):
        from eyerace_parity.golden.images import ImageGolden  # noqa: PLC0415 - Pillow only where there are images

        return ImageGolden(contract, golden)
    for added in active().added("readers", contract.extensions):
        if isinstance(golden, added.model):
            return added.read(contract, golden)  # type: ignore[no-any-return] # what GoldenKind says
    from eyerace_parity.golden.tensors import TensorGolden  # noqa: PLC0415

    assert isinstance(golden, TensorSet)  # noqa: S101 - no other kind is left
    return TensorGolden(contract, golden)


def labels_alone(contract: Contract) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """Read the labels and clusters of a golden set, without its samples.

    Args:
        contract: The contract.

    Returns:
        Labels, int64 [n] indices into the contract's classes, and the cluster name of each sample or ``None``. Both
        have the same order, which need not be that of the set.

    Raises:
        GoldenError: The labels are missing or wrong, or there are none.
    """
    golden = contract.golden
    if isinstance(golden, ImageSet):
        from eyerace_parity.golden.labels import read_table  # noqa: PLC0415 - only what this kind of set takes

        rows = read_table(contract.path(golden.labels), contract.classes, golden.cluster).rows
        number = {name: place for place, name in enumerate(contract.classes)}
        labels = np.array([number[row.label] for row in rows], np.int64)
        return labels, tuple(row.cluster for row in rows) if golden.cluster else None
    if not isinstance(golden, TensorSet):
        facts = open_golden(contract).facts()
        if facts.labels is None:
            raise GoldenError("the golden set has no labels", next_step="take out the limits that need them")
        return facts.labels, facts.clusters
    from eyerace_parity.golden.tensors import read_labels  # noqa: PLC0415

    return read_labels(contract, golden), None


def columns_alone(contract: Contract) -> dict[str, tuple[str, ...]]:
    """Read the other columns of a golden set's label table, without its samples.

    Args:
        contract: The contract.

    Returns:
        Texts by column, one per sample in the set's order; empty for tensors, which have no label table.

    Raises:
        GoldenError: The table is missing or wrong.
    """
    golden = contract.golden
    if not isinstance(golden, ImageSet):
        return {}
    from eyerace_parity.golden.labels import read_table  # noqa: PLC0415 - only what this kind of set takes

    return read_table(contract.path(golden.labels), contract.classes, golden.cluster).columns
