"""Chooses the runner of a variant by its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eyerace_parity.extending.loading import active
from eyerace_parity.runners.onnxruntime import OnnxRuntimeRunner
from eyerace_parity.runners.torch import TorchRunner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.runners.base import Runner

RUNNERS: Final[Mapping[str, Callable[..., Runner]]] = {
    "torch": TorchRunner,
    "torchscript": TorchRunner,
    "torch_export": TorchRunner,
    "onnx": OnnxRuntimeRunner,
    "ort": OnnxRuntimeRunner,
}
"""The runner of each kind of variant; extensions add others by the hook ``runners``."""


def open_runner(contract: Contract, variant: str, *, threads: int | None = None) -> Runner:
    """Return a variant's runner, not loaded yet: use it as a context manager.

    Args:
        contract: The contract.
        variant: Name of the variant.
        threads: Threads of one inference instead of the contract's.
    """
    stated = contract.variants[variant].kind
    for added in active().added("runners", contract.extensions):
        if added.kind == stated:
            return added.runner(contract, variant, threads)  # type: ignore[no-any-return] # what VariantKind says
    return RUNNERS[stated](contract, variant, threads=threads)
