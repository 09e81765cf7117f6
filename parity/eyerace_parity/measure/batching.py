"""Builds the inputs of one inference from golden samples, and splits its outputs into one row for each sample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.core.errors import MeasurementError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.contract.data import Interface
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.dataset import GoldenSet


def takes_batches(interface: Interface) -> bool:
    """Whether one inference can take several samples: the first axis of all inputs and outputs is dynamic."""
    ports = (*interface.inputs, *interface.outputs)
    return all(port.shape and isinstance(port.shape[0], str) for port in ports)


def rows_at_once(contract: Contract) -> int:
    """Return the batch size: that of the golden set, or 1 if the model takes no batches."""
    return contract.golden.batch if takes_batches(contract.interface) else 1


def evenly(count: int, most: int) -> list[int]:
    """Choose at most ``most`` of ``count`` samples, evenly spread, including the first and the last.

    Returns:
        Indices, ascending.
    """
    return list(dict.fromkeys(np.linspace(0, count - 1, min(most, count)).astype(int).tolist()))


def batch_of(contract: Contract, variant: str, golden: GoldenSet, samples: Sequence[int]) -> dict[str, Array]:
    """Build the inputs of one inference.

    Args:
        contract: The contract.
        variant: Name of the variant; its tier may have its own preprocessing profile.
        golden: The golden set.
        samples: Indices of the samples; a single one if the model takes no batches.

    Returns:
        Inputs by name, with the batch axis first if the input has one.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: The samples have different shapes and cannot form a batch.
    """
    profile = contract.preprocess_of(variant)
    single = [golden.feeds(index, profile) for index in samples]
    if len(single) == 1:
        counted = {port.name for port in contract.interface.inputs if port.batched}
        return {name: value[np.newaxis] if name in counted else value for name, value in single[0].items()}
    try:
        return {name: np.stack([feeds[name] for feeds in single]) for name in single[0]}
    except ValueError as error:
        raise MeasurementError(
            f"samples {min(samples)} to {max(samples)} have different shapes and cannot form one batch: {error}",
            next_step="set golden.batch = 1, or resize all images to one size in the preprocessing profile",
        ) from error


def rows_of(contract: Contract, variant: str, outputs: Mapping[str, Array], rows: int) -> dict[str, Array]:
    """Check the outputs of an inference against the interface, and give each output one row for each sample.

    Args:
        contract: The contract.
        variant: Name of the variant, for messages.
        outputs: Outputs by name.
        rows: Number of samples that were fed.

    Returns:
        Outputs by name in the interface's order, samples on the first axis.

    Raises:
        MeasurementError: An output is missing, unknown, not numeric, or has another number of rows.
    """
    wanted = contract.interface.outputs
    missing = [port.name for port in wanted if port.name not in outputs]
    unknown = sorted(outputs.keys() - {port.name for port in wanted})
    if missing or unknown:
        faults = [f"{what} {', '.join(names)}" for what, names in (("lacks", missing), ("adds", unknown)) if names]
        raise MeasurementError(
            f"{variant} answers with {', '.join(outputs) or 'nothing'}; it {' and '.join(faults)}",
            next_step="export the model with the interface's output names, or correct [[interface.outputs]]",
        )
    checked = {}
    for port in wanted:
        value = outputs[port.name]
        if value.dtype.kind not in "biuf":
            raise MeasurementError(
                f"{variant}: output {port.name!r} holds values of type {value.dtype}, not numbers",
                next_step="leave outputs that are no tensors of numbers out of the exported graph",
            )
        if port.batched and value.shape[:1] != (rows,):
            raise MeasurementError(
                f"{variant}: output {port.name!r} has shape {list(value.shape)} for {rows} samples",
                next_step="the first axis of every output must count the samples",
            )
        checked[port.name] = value if port.batched else value[np.newaxis]
    return checked
