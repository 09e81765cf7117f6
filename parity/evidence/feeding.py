"""Golden samples as the inputs of one inference: gathered along the batch axis, filled up where it is fixed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from parity.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from parity.contract.data import Interface, Preprocess
    from parity.contract.model import Contract
    from parity.evidence.model import Array
    from parity.golden.dataset import GoldenSet


def fixed_batch(interface: Interface) -> int | None:
    """Extent of the batch axis where the interface fixes it, else ``None``."""
    extents = {port.shape[0] for port in interface.inputs if port.shape and isinstance(port.shape[0], int)}
    return max(extents) if extents else None


def batch_of(
    golden: GoldenSet, profile: Preprocess | None, samples: Sequence[int], *, rows: int | None = None
) -> dict[str, Array]:
    """Gather samples into one batch.

    Args:
        golden: The golden set.
        profile: Preprocessing profile; ``None`` for a tensor set.
        samples: Their indices.
        rows: Rows that the batch must have; the last sample is repeated to fill it up.

    Returns:
        Input by name, batch axis first.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: The samples are of different shapes and cannot stand in one batch.
    """
    single = [golden.feeds(index, profile) for index in samples]
    single += single[-1:] * ((rows or 0) - len(single))
    if len(single) == 1:
        return {name: value[np.newaxis] for name, value in single[0].items()}
    try:
        return {name: np.stack([feeds[name] for feeds in single]) for name in single[0]}
    except ValueError as error:
        raise MeasurementError(
            f"samples {min(samples)} to {max(samples)} have different shapes and cannot stand in one batch: {error}",
            next_step="set golden.batch = 1, or resize all images to one size in the preprocessing profile",
        ) from error


def check_outputs(contract: Contract, variant: str, outputs: Mapping[str, Array], rows: int) -> None:
    """Make sure that an inference answered with the interface's outputs, one row a sample.

    Raises:
        MeasurementError: An output is missing, unknown, or has another number of rows.
    """
    wanted = [port.name for port in contract.interface.outputs]
    missing = [name for name in wanted if name not in outputs]
    unknown = [name for name in outputs if name not in wanted]
    if missing or unknown:
        faults = [f"{what} {', '.join(names)}" for what, names in (("lacks", missing), ("adds", unknown)) if names]
        raise MeasurementError(
            f"{variant} answers with {', '.join(outputs) or 'nothing'}; it {' and '.join(faults)}",
            next_step="export the model with the interface's output names, or correct [[interface.outputs]]",
        )
    for name, value in outputs.items():
        if not value.shape or value.shape[0] != rows:
            raise MeasurementError(
                f"{variant}: output {name!r} has shape {list(value.shape)} for {rows} samples",
                next_step="the first axis of every output must count the samples",
            )
        if value.dtype.kind not in "biuf":
            raise MeasurementError(
                f"{variant}: output {name!r} holds values of type {value.dtype}, not numbers",
                next_step="leave outputs that are no tensors of numbers out of the exported graph",
            )
