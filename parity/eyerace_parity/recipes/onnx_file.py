"""How every recipe ends: one self-contained ONNX file whose bytes depend on its content alone.

Tools leave behind what a runtime never reads: stack traces with the builder's paths, imports of operator sets that no
node uses (an older runtime refuses the file for them), an IR version newer than needed. All of it is taken off.
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
_TRACES: Final = ("onnx.infer", "onnx.quant.pre_process")
"""Properties that ONNX Runtime's tools leave for each other."""

_LAST_OLD_TYPE: Final = 16
"""``TensorProto.BFLOAT16``: element types after it came with IR 9 and later."""

_FUNCTIONS_SINCE_IR: Final = 8
_LARGEST: Final = (1 << 31) - 1
"""Bytes of the largest message that protobuf writes."""


def seal(model: onnx.ModelProto, stamp: Mapping[str, str]) -> bytes:
    """Clean a model, stamp it, check it and serialise it.

    Args:
        model: The model, with its weights inside; it is changed.
        stamp: The lineage, keys without their prefix.

    Raises:
        RecipeError: The model is not valid, or too large for one file.
    """
    import onnx  # noqa: PLC0415 - only where a model is made

    kept = {
        prop.key: prop.value
        for prop in model.metadata_props
        if not prop.key.startswith(PREFIX) and prop.key not in _TRACES
    }
    del model.metadata_props[:]
    kept |= {f"{PREFIX}{key}": value for key, value in stamp.items()}
    onnx.helper.set_model_props(model, dict(sorted(kept.items())))
    _tidy(model)
    model.producer_name, model.producer_version = _PRODUCER, RECIPES
    if model.ByteSize() > _LARGEST:
        raise RecipeError(
            "the model is larger than the 2 GiB that one ONNX file can hold", next_step="quantise or prune it first"
        )
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise RecipeError(f"what was made is not a valid ONNX model: {reason}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def opset_of(model: onnx.ModelProto) -> int:
    """Version of the default operator set that a model imports, 0 if it imports none."""
    return next((entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}), 0)


def _tidy(model: onnx.ModelProto) -> None:
    """Take off what depends on where and with what a model was made, and every import that no node uses."""
    from onnx import helper  # noqa: PLC0415 - only where a model is made

    model.doc_string = ""
    model.domain = ""
    model.model_version = 0
    used: set[str] = set()
    newest_type = _walk_graph(model.graph, used)
    for function in model.functions:
        function.doc_string = ""
        # The function itself is of a domain, and so are its nodes.
        used.add(function.domain)
        newest_type = max(newest_type, _walk_nodes(function.node, used))
    imports = [entry for entry in model.opset_import if _plain(entry.domain) in used or _plain(entry.domain) == ""]
    del model.opset_import[:]
    model.opset_import.extend(sorted(imports, key=lambda entry: _plain(entry.domain)))
    if newest_type > _LAST_OLD_TYPE:
        return  # newer element types need the IR version that brought them
    least = helper.find_min_ir_version_for(model.opset_import, ignore_unknown=True)
    model.ir_version = min(model.ir_version, max(least, _FUNCTIONS_SINCE_IR if model.functions else 0))


def _plain(domain: str) -> str:
    return "" if domain == "ai.onnx" else domain


def _walk_graph(graph: onnx.GraphProto, used: set[str]) -> int:
    """Clean a graph and those inside it; note the domains used and return the newest element type of a weight."""
    graph.doc_string = ""
    _forget(graph)
    for info in (*graph.input, *graph.output, *graph.value_info):
        info.doc_string = ""
        _forget(info)
    newest = 0
    for tensor in graph.initializer:
        tensor.doc_string = ""
        _forget(tensor)
        newest = max(newest, tensor.data_type)
    return max(newest, _walk_nodes(graph.node, used))


def _walk_nodes(nodes: Any, used: set[str]) -> int:
    newest = 0
    for node in nodes:
        node.doc_string = ""
        _forget(node)
        used.add(_plain(node.domain))
        for attribute in node.attribute:
            attribute.doc_string = ""
            newest = max(newest, attribute.t.data_type, *(tensor.data_type for tensor in attribute.tensors), 0)
            for graph in (*((attribute.g,) if attribute.HasField("g") else ()), *attribute.graphs):
                newest = max(newest, _walk_graph(graph, used))
    return newest


def _forget(message: Any) -> None:
    """Take off the metadata of a part, which holds the stack trace of the code that made it."""
    if "metadata_props" in message.DESCRIPTOR.fields_by_name:
        message.ClearField("metadata_props")
