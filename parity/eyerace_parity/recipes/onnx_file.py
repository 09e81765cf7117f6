"""The last step of every recipe: one self-contained ONNX file whose bytes depend only on its content.

Tools leave data that a runtime never reads: stack traces with paths of the build machine, imports of unused operator
sets (onnxruntime up to 1.17 refuses a file for an unused ai.onnx.ml 5, measured), an IR version newer than needed. All
of it is removed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core.errors import RecipeError
from eyerace_parity.recipes import RECIPES
from eyerace_parity.recipes.lineage import PREFIX

if TYPE_CHECKING:
    from collections.abc import Mapping

    import onnx

_PRODUCER: Final = "eyerace-parity"
_TOOL_KEYS: Final = ("onnx.infer", "onnx.quant.pre_process")
"""Properties that ONNX Runtime's tools write for each other."""

_LAST_OLD_TYPE: Final = 16
"""``TensorProto.BFLOAT16``; later element types need IR 9 or newer."""

_FUNCTIONS_SINCE_IR: Final = 8
"""IR version that introduced model-local functions."""
# protobuf refuses larger messages. External data would allow more, but an app that loads from bytes cannot find it.
_MAX_BYTES: Final = (1 << 31) - 1
"""Largest message that protobuf serialises, in bytes."""


def seal(model: onnx.ModelProto, stamp: Mapping[str, str]) -> bytes:
    """Clean a model, stamp it, check it and serialise it.

    Args:
        model: The model with its weights inside; it is changed.
        stamp: The lineage, keys without their prefix.

    Returns:
        The bytes of the file; equal models give equal bytes.

    Raises:
        RecipeError: The model is not valid, or too large for one file.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    kept = {
        prop.key: prop.value
        for prop in model.metadata_props
        if not prop.key.startswith(PREFIX) and prop.key not in _TOOL_KEYS
    }
    del model.metadata_props[:]
    kept |= {f"{PREFIX}{key}": value for key, value in stamp.items()}
    onnx.helper.set_model_props(model, dict(sorted(kept.items())))
    _normalise(model)
    model.producer_name, model.producer_version = _PRODUCER, RECIPES
    if model.ByteSize() > _MAX_BYTES:
        raise RecipeError(
            "the model is larger than the 2 GiB that one ONNX file can hold", next_step="quantise or prune it first"
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecipeError(f"the result is not a valid ONNX model: {reason}") from error
    # Without this option protobuf may write maps in any order, and equal models would have different digests.
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set that a model imports; 0 if it imports none."""
    return next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)


def _normalise(model: onnx.ModelProto) -> None:
    """Remove everything that depends on where and with which tool a model was made, and every unused import."""
    from onnx import helper  # noqa: PLC0415 - only where a model is made

    model.doc_string = ""
    model.domain = ""
    model.model_version = 0
    used: set[str] = set()
    newest_type = _walk_graph(model.graph, used)
    for function in model.functions:
        function.doc_string = ""
        # A function belongs to a domain, and so do its nodes.
        used.add(function.domain)
        newest_type = max(newest_type, _walk_nodes(function.node, used))
    imports = [
        entry for entry in model.opset_import if _domain_key(entry.domain) in used or _domain_key(entry.domain) == ""
    ]
    del model.opset_import[:]
    model.opset_import.extend(sorted(imports, key=lambda entry: _domain_key(entry.domain)))
    if newest_type > _LAST_OLD_TYPE:
        return  # newer element types need the IR version that introduced them
    # onnxruntime 1.15 to 1.17 read IR 9 at most, 1.18 to 1.22 IR 10 (measured), and exporters write newer IR versions
    # than needed.
    oldest = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    model.ir_version = min(model.ir_version, max(oldest, _FUNCTIONS_SINCE_IR if model.functions else 0))


def _domain_key(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _walk_graph(graph: onnx.GraphProto, used: set[str]) -> int:
    """Clean a graph and its subgraphs; collect the domains used, and return the newest element type of a weight."""
    graph.doc_string = ""
    _clear_metadata(graph)
    for info in (*graph.input, *graph.output, *graph.value_info):
        info.doc_string = ""
        _clear_metadata(info)
    newest = 0
    for tensor in graph.initializer:
        tensor.doc_string = ""
        _clear_metadata(tensor)
        newest = max(newest, tensor.data_type)
    return max(newest, _walk_nodes(graph.node, used))


def _walk_nodes(nodes: Any, used: set[str]) -> int:
    newest = 0
    for node in nodes:
        node.doc_string = ""
        _clear_metadata(node)
        used.add(_domain_key(node.domain))
        for attribute in node.attribute:
            attribute.doc_string = ""
            newest = max(newest, attribute.t.data_type, *(tensor.data_type for tensor in attribute.tensors), 0)
            for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                newest = max(newest, _walk_graph(graph, used))
    return newest


def _clear_metadata(message: Any) -> None:
    """Remove the metadata of a part: it holds the stack trace of the code that made it."""
    if "metadata_props" in message.DESCRIPTOR.fields_by_name:
        message.ClearField("metadata_props")
