"""Export faults: the file is not what was trained, or not in the form that the app was built for."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from eyerace_parity.extensions.selftest.edits import after_output, apply_to_output, before_input, constant, node, rename
from eyerace_parity.extensions.selftest.model import FaultFamily
from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable, Role

if TYPE_CHECKING:
    import onnx

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.selftest.workshop import Workshop

_SEED = 11
_NEXT_ML = 5
# onnxruntime 1.15 to 1.17 accept IR 9 at most (measured).
_NEWER_IR = 10

FAULTS = FaultFamily("export")


def _renamed(side: str, model: onnx.ModelProto) -> None:
    rename(model, getattr(model.graph, side)[0].name, f"{side}.1")


@FAULTS.edit(Role.FLOAT, "training-mode", "dropout is left in training mode", r"training mode", "inference_mode")
def _training_mode(model: onnx.ModelProto) -> None:
    apply_to_output(model, "Dropout", np.array(0.2, np.float32), np.array(True), seed=1)


@FAULTS.plant(
    Role.FLOAT, "statistics-lost", "the statistics of batch normalisation were not saved", r"statistics|batch.?norm"
)
def _statistics_lost(workshop: Workshop) -> Contract:
    tensors = workshop.checkpoint()
    lost = 0
    for name, tensor in tensors.items():
        if name.endswith(("running_mean", "running_var")):
            tensors[name] = np.full_like(tensor, 1.0 if name.endswith("running_var") else 0.0)
            lost += 1
    if not lost:
        raise FaultNotApplicable("the checkpoint holds no statistics of batch normalisation")
    return workshop.exported_from(tensors)


@FAULTS.plant(
    Role.FLOAT,
    "other-checkpoint",
    "another checkpoint was exported",
    r"another checkpoint$|other checkpoint|layers differ|all \d+ layers",
)
def _other_checkpoint(workshop: Workshop) -> Contract:
    generator = np.random.default_rng(_SEED)
    tensors = {
        name: tensor + 0.1 * tensor.std() * generator.standard_normal(tensor.shape).astype(tensor.dtype)
        if tensor.dtype.kind == "f" and tensor.ndim > 1
        else tensor
        for name, tensor in workshop.checkpoint().items()
    }
    return workshop.exported_from(tensors)


@FAULTS.plant(
    Role.FLOAT, "stale", "the checkpoint was trained on since the export", r"checkpoint|stale|source", "fresh"
)
def _stale(workshop: Workshop) -> Contract:
    """Train on: the checkpoint changes, and the export of the previous one stays."""
    tensors = workshop.checkpoint()
    name = next((name for name, tensor in tensors.items() if tensor.dtype.kind == "f" and tensor.ndim > 1), None)
    if name is None:
        raise FaultNotApplicable("the checkpoint holds no weights")
    tensors[name] = tensors[name] * np.asarray(1.01, tensors[name].dtype)
    return workshop.with_checkpoint(tensors)


# torch's default exporter (2.13) writes opset 18 although opset 17 was asked for, and only logs it (measured).
@FAULTS.plant(Role.FLOAT, "opset", "the exporter raised the opset", r"opset \d+", "opset")
def _opset_bumped(workshop: Workshop) -> Contract:
    if workshop.contract.interface.opset is None:
        raise FaultNotApplicable("the contract asks for no opset")
    return workshop.converted(Role.FLOAT, workshop.contract.interface.opset + 1)


# onnxruntime up to 1.17 reads IR 9 at most, 1.22 IR 10 (measured).
@FAULTS.plant(
    Role.DEVICE, "ir", "the file is written at a newer IR version", r"IR version", "ir_version", "oldest_runtime"
)
def _ir_bumped(workshop: Workshop) -> Contract:
    model = workshop.model(Role.DEVICE)
    model.ir_version = max(_NEWER_IR, (workshop.contract.interface.max_ir_version or 0) + 1)
    return workshop.with_model(Role.DEVICE, model)


# An app that creates the session from bytes cannot find external data.
@FAULTS.plant(
    Role.FLOAT, "external-data", "the weights are in a separate file", r"weights lie in|keeps weights in", "single_file"
)
def _external(workshop: Workshop) -> Contract:
    import onnx  # noqa: PLC0415 - only where a model is edited

    model = workshop.model(Role.FLOAT)
    path = workshop.folder / "external.onnx"
    onnx.save(model, path, save_as_external_data=True, location="external.onnx.data", size_threshold=0)
    return workshop.with_variant(Role.FLOAT, path=path)


@FAULTS.edit(Role.DEVICE, "axis-lost", "the batch axis is fixed", r"axis|dynamic|batch", "inputs", "same_ports")
def _axis_lost(model: onnx.ModelProto) -> None:
    axis = model.graph.input[0].type.tensor_type.shape.dim[0]
    if not axis.dim_param:
        raise FaultNotApplicable("the first axis of the input is not dynamic")
    axis.dim_value = 1


FAULTS.edit(Role.DEVICE, "input-renamed", "the input has another name", r"input\.1", "inputs", "same_ports")(
    partial(_renamed, "input")
)


FAULTS.edit(Role.DEVICE, "output-renamed", "the output has another name", r"output\.1", "outputs", "same_ports")(
    partial(_renamed, "output")
)


@FAULTS.edit(Role.DEVICE, "dtype", "the input takes doubles", r"float64|double", "inputs", "same_ports")
def _double(model: onnx.ModelProto) -> None:
    import onnx  # noqa: PLC0415 - only where a model is edited

    kind = model.graph.input[0].type.tensor_type
    if kind.elem_type != onnx.TensorProto.FLOAT:
        raise FaultNotApplicable("the input is not float32")
    before_input(model, lambda given, inner: [node("Cast", [given], [inner], to=onnx.TensorProto.FLOAT)])
    kind.elem_type = onnx.TensorProto.DOUBLE


@FAULTS.edit(Role.DEVICE, "softmax-added", "the model answers probabilities instead of scores", r"softmax")
def _softmax(model: onnx.ModelProto) -> None:
    apply_to_output(model, "Softmax", axis=-1)


@FAULTS.edit(Role.FLOAT, "softmax-lost", "the model answers scores instead of probabilities", r"softmax")
def _softmax_lost(model: onnx.ModelProto) -> None:
    name = model.graph.output[0].name
    last = next((each for each in model.graph.node if name in each.output), None)
    if last is None or last.op_type != "Softmax":
        raise FaultNotApplicable("the model does not end in a softmax")
    before = last.input[0]
    model.graph.node.remove(last)
    for each in model.graph.node:
        for place, made in enumerate(each.output):
            if made == before:
                each.output[place] = name


# onnxruntime up to 1.17 refuses ai.onnx.ml 5 even if no node uses it (measured).
@FAULTS.edit(
    Role.DEVICE,
    "unused-import",
    "an operator set is imported that no node uses",
    r"ai\.onnx\.ml",
    "domains",
    "oldest_runtime",
)
def _unused_import(model: onnx.ModelProto) -> None:
    from onnx import helper  # noqa: PLC0415 - only where a model is edited

    model.opset_import.append(helper.make_opsetid("ai.onnx.ml", _NEXT_ML))


@FAULTS.edit(
    Role.FLOAT,
    "baked-in",
    "the answers of the dummy input were baked in as constants",
    r"constant|same decision|does not change|all but|on all \d+ samples",
    "varied",
)
def _baked(model: onnx.ModelProto) -> None:
    """Answer for the dummy input, whatever the input is: a trace does this to values that depend on data."""
    shape = [axis.dim_value or 1 for axis in model.graph.input[0].type.tensor_type.shape.dim]
    dummy = np.random.default_rng(_SEED).standard_normal(shape).astype(np.float32)
    constant(model, "/selftest/dummy", dummy)
    constant(model, "/selftest/nothing", np.zeros((), np.float32))

    def nodes(given: str, inner: str) -> list[onnx.NodeProto]:
        gone = f"{inner}/gone"
        return [
            node("Mul", [given, "/selftest/nothing"], [gone]),
            node("Add", [gone, "/selftest/dummy"], [inner]),
        ]

    before_input(model, nodes)


# The app sends one photograph at a time, the gate may send batches: only this clause compares them.
@FAULTS.edit(Role.FLOAT, "mixed-batch", "samples of a batch change each other's answers", r"batch", "batch_invariant")
def _mixed_batch(model: onnx.ModelProto) -> None:
    """Mix the other samples of a batch into each answer."""
    constant(model, "/selftest/part", np.array(0.5, np.float32))

    def nodes(good: str, given: str) -> list[onnx.NodeProto]:
        mean, apart, part = (f"{given}/{what}" for what in ("mean", "apart", "part"))
        return [
            node("ReduceMean", [good], [mean], axes=[0], keepdims=1),
            node("Sub", [mean, good], [apart]),
            node("Mul", [apart, "/selftest/part"], [part]),
            node("Add", [good, part], [given]),
        ]

    if next(entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}) >= 18:  # noqa: PLR2004
        raise FaultNotApplicable("the file's opset is newer than this edit")
    after_output(model, nodes)


@FAULTS.edit(Role.FLOAT, "further-output", "the file has an unexpected output", r"features", "outputs")
def _further_output(model: onnx.ModelProto) -> None:
    from onnx import helper  # noqa: PLC0415 - only where a model is edited

    first = model.graph.output[0]
    model.graph.node.append(node("Identity", [first.name], ["features"]))
    again = helper.make_tensor_value_info("features", first.type.tensor_type.elem_type, None)
    again.type.tensor_type.shape.CopyFrom(first.type.tensor_type.shape)
    model.graph.output.append(again)


@FAULTS.plant(Role.DEVICE, "score-lost", "one class has no score", r"scores", "outputs", "classes")
def _score_lost(workshop: Workshop) -> Contract:
    count = len(workshop.contract.classes)
    few = 2
    if count <= few:
        raise FaultNotApplicable("there are too few classes to lose one")

    def change(model: onnx.ModelProto) -> None:
        apply_to_output(model, "Gather", np.arange(count - 1), axis=1)
        model.graph.output[0].type.tensor_type.shape.dim[1].dim_value = count - 1

    return workshop.edited(Role.DEVICE, change)


@FAULTS.plant(Role.DEVICE, "torn", "the file is cut off", r"torn|pars|protobuf|read", "valid", "from_bytes")
def _torn(workshop: Workshop) -> Contract:
    content = workshop.model(Role.DEVICE).SerializeToString()
    return workshop.with_model(Role.DEVICE, content[: len(content) * 2 // 3])


@FAULTS.plant(Role.DEVICE, "empty", "the file is empty", r"empty", "valid", "file_size")
def _empty(workshop: Workshop) -> Contract:
    return workshop.with_model(Role.DEVICE, b"")


@FAULTS.plant(Role.DEVICE, "missing", "the file is missing", r"does not exist", "valid", "file_size")
def _missing(workshop: Workshop) -> Contract:
    return workshop.with_variant(Role.DEVICE, path=workshop.folder / "nowhere.onnx", recipe=None)
