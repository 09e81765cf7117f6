"""Whether a runtime has a kernel for a node, by the rules by which the runtime itself looks for one."""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.compatibility.table import Form, KernelPort
    from eyerace_parity.compatibility.versions import Version
    from eyerace_parity.evidence.artefacts import OperatorSignature

UNKNOWN: Final = "?"
"""A type that nobody could infer."""

ABSENT: Final = ""
"""The type of an optional value that is left out."""

_NEVER_RUN: Final = frozenset({"ai.onnx::Constant"})
"""Turned into stored tensors before kernels are looked for."""

_OFTEN_REMOVED: Final = frozenset({"ai.onnx::Identity", "ai.onnx::Dropout", "ai.onnx::Cast", "ai.onnx::Reshape",
                                   "ai.onnx::Unsqueeze", "ai.onnx::Squeeze", "ai.onnx::Slice", "ai.onnx::Expand",
                                   "ai.onnx::Transpose"})  # fmt: skip
"""Often simplified away before kernels are looked for, so that a missing one need not matter."""


class Support(Enum):
    """Whether a node can be run."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


def bound(form: Form, signature: OperatorSignature) -> dict[str, str]:
    """Element type by type variable, of the values that a node really has; ``?`` where none is known."""
    found: dict[str, str] = {}
    for ports, types in ((form.inputs, signature.inputs), (form.outputs, signature.outputs)):
        for port, type_ in _paired(ports, types):
            if port.alike and type_ != ABSENT and found.get(port.variable, UNKNOWN) == UNKNOWN:
                found[port.variable] = type_
    return found


def support(form: Form, signature: OperatorSignature, version: Version) -> Support:
    """Say whether a release can run a node of this form."""
    if form.operator in _NEVER_RUN:
        return Support.YES
    types = bound(form, signature)
    seen = [o.loads for o in form.observations if version in o.span and _same(o.types, types)]
    if seen:
        return Support.YES if all(seen) else Support.NO
    answer = _by_kernels(form, types, version)
    if answer is Support.NO and "float16" in types.values():
        # The runtime puts casts around float16 nodes that it cannot run as they are.
        widened = {variable: "float32" if type_ == "float16" else type_ for variable, type_ in types.items()}
        answer = _by_kernels(form, widened, version)
    if answer is Support.NO and (form.function or form.operator in _OFTEN_REMOVED):
        return Support.UNSURE
    return answer


def _by_kernels(form: Form, types: Mapping[str, str], version: Version) -> Support:
    answer = Support.NO
    for kernel in form.kernels:
        if version not in kernel.span:
            continue
        asked = [(types[variable], taken) for variable, taken in kernel.types.items() if variable in types]
        if any(type_ not in taken and type_ != UNKNOWN for type_, taken in asked):
            continue
        if not any(type_ == UNKNOWN for type_, _ in asked):
            return Support.YES
        answer = Support.UNSURE
    return answer


def _same(observed: Mapping[str, str], types: Mapping[str, str]) -> bool:
    return UNKNOWN not in types.values() and observed == types


def _paired(ports: Sequence[KernelPort], types: Sequence[str]) -> list[tuple[KernelPort, str]]:
    """Pair actual values with the formal ports that they stand at; a variadic port takes all that are left."""
    pairs = []
    for place, type_ in enumerate(types):
        port = ports[place] if place < len(ports) else ports[-1] if ports and ports[-1].variadic else None
        if port is not None:
            pairs.append((port, type_))
    return pairs
