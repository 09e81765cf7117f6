"""The door to a golden set, whatever it is made of."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parity.contract.data import ImageSet
from parity.golden.base import GoldenSet

if TYPE_CHECKING:
    from parity.contract.model import Contract

__all__ = ["GoldenSet", "open_golden"]


def open_golden(contract: Contract) -> GoldenSet:
    """Open and check the golden set of a contract.

    Args:
        contract: The contract.

    Returns:
        The set, its digest verified against the contract's; no sample has been decoded yet.

    Raises:
        GoldenError: The set is missing, torn, changed, or not what the contract says.
    """
    golden = contract.golden
    if isinstance(golden, ImageSet):
        from parity.golden.images import ImageGolden  # noqa: PLC0415 - Pillow only where there are images

        return ImageGolden(contract, golden)
    from parity.golden.tensors import TensorGolden  # noqa: PLC0415

    return TensorGolden(contract, golden)
