"""Whether a runtime has a kernel for a node, by the runtime's own rules of kernel lookup."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.compatibility.table import Form, KernelPort
    from eyerace_parity.compatibility.versions import Version
    from eyerace_parity.evidence.artefacts import OperatorSignature

UNKNOWN: Final = "?"
"""A type that shape inference could not find."""

ABSENT: Final = ""
"""The type of an optional value that is left out."""

_FOLDED: Final = frozenset({"ai.onnx::Constant"})
"""Operators that become stored tensors before the runtime looks for kernels."""

_OFTEN_SIMPLIFIED: Final = frozenset({"ai.onnx::Identity", "ai.onnx::Dropout", "ai.onnx::Cast", "ai.onnx::Reshape",
                                   "ai.onnx::Unsqueeze", "ai.onnx::Squeeze", "ai.onnx::Slice", "ai.onnx::Expand",
                                   "ai.onnx::Transpose"})  # fmt: skip
"""Operators that graph optimisation often removes before the kernel lookup, so a missing kernel may not matter."""


class Support(Enum):
    """Whether a runtime can run a node."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


def bound(form: Form, signature: OperatorSignature) -> dict[str, str]:
    """Element type of each type variable, from the values of a node; ``?`` if unknown."""
    bindings: dict[str, str] = {}
    for ports, types in ((form.inputs, signature.inputs), (form.outputs, signature.outputs)):
        for port, type_ in _paired(ports, types):
            if port.alike and type_ != ABSENT and bindings.get(port.variable, UNKNOWN) == UNKNOWN:
                bindings[port.variable] = type_
    return bindings


def support(form: Form, signature: OperatorSignature, version: Version) -> Support:
    """Decide whether a release can run a node.

    Args:
        form: The operator's definition at the node's opset.
        signature: The node's operator with its element types.
        version: The release.

    Returns:
        ``UNSURE`` if a type is unknown, or if the runtime may replace or remove the node.
    """
    if form.operator in _FOLDED:
        return Support.YES
    types = bound(form, signature)
    # What loading a model really did comes first: kernels alone do not predict every combination.
    observed = [o.loads for o in form.observations if version in o.span and _matches(o.types, types)]
    if observed:
        return Support.YES if all(observed) else Support.NO
    answer = _by_kernels(form, types, version)
    if answer is Support.NO and "float16" in types.values():
        # InsertCastTransformer of the runtime runs a float16 node without a kernel in float32, between casts.
        widened = {variable: "float32" if type_ == "float16" else type_ for variable, type_ in types.items()}
        answer = _by_kernels(form, widened, version)
    # The runtime inlines functions and simplifies graphs before it looks for kernels, and the table does not model
    # that.
    if answer is Support.NO and (form.function or form.operator in _OFTEN_SIMPLIFIED):
        return Support.UNSURE
    return answer


def _by_kernels(form: Form, types: Mapping[str, str], version: Version) -> Support:
    answer = Support.NO
    for kernel in form.kernels:
        if version not in kernel.span:
            continue
        pairs = [(types[variable], accepted) for variable, accepted in kernel.types.items() if variable in types]
        if any(type_ not in accepted and type_ != UNKNOWN for type_, accepted in pairs):
            continue
        if not any(type_ == UNKNOWN for type_, _ in pairs):
            return Support.YES
        answer = Support.UNSURE
    return answer


def _matches(observed: Mapping[str, str], types: Mapping[str, str]) -> bool:
    return UNKNOWN not in types.values() and observed == types


def _paired(ports: Sequence[KernelPort], types: Sequence[str]) -> list[tuple[KernelPort, str]]:
    """Pair actual values with formal ports; a variadic last port takes all remaining values."""
    pairs = []
    for place, type_ in enumerate(types):
        port = ports[place] if place < len(ports) else ports[-1] if ports and ports[-1].variadic else None
        if port is not None:
            pairs.append((port, type_))
    return pairs
