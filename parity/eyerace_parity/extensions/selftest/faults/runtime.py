"""Runtime faults: the file runs on another runtime than it was built for, or in a session with wrong settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyerace_parity.compatibility.predict import predict
from eyerace_parity.extensions.selftest.edits import after_output, apply_to_output, node
from eyerace_parity.extensions.selftest.model import FaultFamily
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role
from eyerace_parity.measure.onnx_graph.reader import graph_of

if TYPE_CHECKING:
    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

# Only onnxruntime 1.23 and newer accept ai.onnx 23 (measured).
_NEW_OPSET = 23
_UNKNOWN_RUNTIME = "1.4.0"
"""Older than every measured runtime."""

FAULTS = FaultFamily("runtime")


def _session(workshop: Workshop, **changes: Any) -> Contract:
    good = workshop.contract.session_of(workshop.name(Role.DEVICE))
    bad = good.model_copy(update=changes)
    if bad == good:
        raise FaultNotApplicable("the session already has this setting")
    return workshop.with_variant(Role.DEVICE, session=bad)


@FAULTS.plant(
    Role.DEVICE,
    "newer-opset",
    "the file is written at an opset that the app's runtime does not know",
    r"opset",
    "opset",
    "oldest_runtime",
    "flutter_runtime",
)
def _newer_opset(workshop: Workshop) -> Contract:
    return workshop.converted(Role.DEVICE, _NEW_OPSET)


@FAULTS.plant(
    Role.DEVICE,
    "older-app",
    "a published app bundles an older runtime than the file needs",
    r"onnxruntime [\d.]+ (takes up to|reads|knows no|has no kernel)|the table does not hold onnxruntime",
    "oldest_runtime",
)
def _older_app(workshop: Workshop) -> Contract:
    """Pretend that an old app bundles the newest runtime that is not predicted to load the file."""
    name = workshop.name(Role.DEVICE)
    limits = workshop.contract.variants[name].limits
    if getattr(limits.get("compatibility"), "min_onnxruntime", None) is None:
        return workshop.contract  # a contract without a demand on runtimes cannot detect it
    lacking = predict(graph_of(workshop.contract, name)).blocking
    version = _UNKNOWN_RUNTIME if lacking is None else str(lacking.version)
    older = limits["compatibility"].model_copy(update={"min_onnxruntime": version})
    return workshop.with_variant(Role.DEVICE, limits={**limits, "compatibility": older})


@FAULTS.edit(
    Role.DEVICE,
    "foreign-operator",
    "the file contains a private operator of the exporter",
    r"com\.example",
    "domains",
    "from_bytes",
    "oldest_runtime",
)
def _foreign_operator(model: onnx.ModelProto) -> None:
    from onnx import helper  # noqa: PLC0415 - only where a model is edited

    model.opset_import.append(helper.make_opsetid("com.example", 1))
    apply_to_output(model, "Sharpen", domain="com.example")


@FAULTS.edit(
    Role.DEVICE,
    "missing-kernel",
    "an operator has an element type without a kernel in the runtime",
    r"Sigmoid|bfloat16",
    "from_bytes",
    "oldest_runtime",
)
def _missing_kernel(model: onnx.ModelProto) -> None:
    """Use an operator with an element type for which no runtime has a CPU kernel."""
    from onnx import TensorProto  # noqa: PLC0415 - only where a model is edited

    def nodes(good: str, given: str) -> list[onnx.NodeProto]:
        brain, squashed, back, none = (f"{given}/{what}" for what in ("brain", "squashed", "back", "none"))
        return [
            node("Cast", [good], [brain], to=TensorProto.BFLOAT16),
            node("Sigmoid", [brain], [squashed]),
            node("Cast", [squashed], [back], to=TensorProto.FLOAT),
            node("Sub", [back, back], [none]),
            node("Add", [good, none], [given]),
        ]

    after_output(model, nodes)


# onnxruntime itself only warns about an unknown provider and runs on the CPU.
@FAULTS.plant(Role.DEVICE, "provider", "the session names a provider that does not exist", r"provider", "from_bytes")
def _provider(workshop: Workshop) -> Contract:
    return _session(workshop, providers=("NnapiExecutionProvider",))


@FAULTS.plant(Role.DEVICE, "unoptimised", "graph optimisation is switched off", r"times|ratio", "latency_ratio")
def _unoptimised(workshop: Workshop) -> Contract:
    return _session(workshop, optimisation="disabled")


# Threads that spin are charged to the process: EyeRace's int8 with eight threads on two cores takes 4 to 7 times fp32's
# time (measured, docs/latency.md).
@FAULTS.plant(
    Role.DEVICE, "threads", "eight threads spin on a phone's two fast cores", r"[2-9] threads", "latency_ratio"
)
def _threads(workshop: Workshop) -> Contract:
    """Use more threads than there are cores; the time limit is short, because such noisy times prove nothing sooner."""
    damaged = _session(workshop, intra_op_threads=8, spinning=True)
    name = workshop.name(Role.DEVICE)
    limits = damaged.variants[name].limits
    if "latency" not in limits:
        raise FaultNotApplicable("the contract states no limits of latency")
    short = {**limits, "latency": limits["latency"].model_copy(update={"max_seconds": 10.0})}
    variants = {**damaged.variants, name: damaged.variants[name].model_copy(update={"limits": short})}
    return damaged.model_copy(update={"variants": variants})
