"""Small edits of ONNX files: change weights in place, insert nodes before the inputs or after the outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from eyerace_parity.extensions.selftest.workshop import FaultNotApplicable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    import onnx
    from numpy.typing import NDArray

# The operators whose weights quantisers turn into integers.
_PRODUCTS = frozenset({"Conv", "Gemm", "MatMul"})
_STORED = frozenset({"DequantizeLinear"})
_WEIGHT = 1
_BIAS = 2


@dataclass(frozen=True, slots=True)
class Weight:
    """A stored tensor that a convolution or matrix product reads.

    Attributes:
        node: Name of the operator's node.
        tensor: The tensor as stored in the file; integers if it is quantised.
        scale: Name of its scale; empty if it is stored in float.
    """

    node: str
    tensor: onnx.TensorProto
    scale: str

    @property
    def array(self) -> NDArray[Any]:
        """A copy of its elements, as stored."""
        from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

        return np.array(numpy_helper.to_array(self.tensor))

    def put(self, array: NDArray[Any]) -> None:
        """Replace its elements; the element type stays."""
        write(self.tensor, array.astype(self.array.dtype))


def write(tensor: onnx.TensorProto, array: NDArray[Any]) -> None:
    """Replace the elements of a stored tensor."""
    from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

    tensor.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(array), tensor.name))


def stored(model: onnx.ModelProto, operand: int = _WEIGHT) -> list[Weight]:
    """Find the weights of all convolutions and matrix products, in graph order.

    Args:
        model: The model.
        operand: Which input of the operator: 1 for weights, 2 for biases.

    Raises:
        FaultNotApplicable: There is none.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    producers = {output: node for node in model.graph.node for output in node.output}
    weights = list(_stored(model, operand, tensors, producers))
    if not weights:
        raise FaultNotApplicable("no stored tensor of a convolution or matrix product was found")
    return weights


def biases(model: onnx.ModelProto) -> list[Weight]:
    """Find the biases of all convolutions and matrix products, in graph order."""
    return stored(model, _BIAS)


def _stored(
    model: onnx.ModelProto, operand: int, tensors: dict[str, onnx.TensorProto], producers: dict[str, onnx.NodeProto]
) -> Iterator[Weight]:
    for node in model.graph.node:
        if node.op_type not in _PRODUCTS or len(node.input) <= operand:
            continue
        name, scale = node.input[operand], ""
        producer = producers.get(name)
        if producer is not None and producer.op_type in _STORED:
            name, scale = producer.input[0], producer.input[1]
        if name in tensors:
            yield Weight(node.name, tensors[name], scale)


def middle(weights: Sequence[Weight]) -> Weight:
    """The largest weight among the five in the middle of the network."""
    centre = len(weights) // 2
    neighbours = weights[max(0, centre - 2) : centre + 3]
    return max(neighbours, key=lambda weight: int(np.prod(weight.tensor.dims)))


def initialiser(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    """The stored tensor of a name.

    Raises:
        FaultNotApplicable: There is none of that name.
    """
    tensors: list[onnx.TensorProto] = [tensor for tensor in model.graph.initializer if tensor.name == name]
    if not tensors:
        raise FaultNotApplicable(f"the file stores no tensor {name}")
    return tensors[0]


def constant(model: onnx.ModelProto, name: str, array: NDArray[Any]) -> str:
    """Add a stored tensor, and return its name."""
    from onnx import numpy_helper  # noqa: PLC0415 - only where a model is edited

    model.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def before_input(model: onnx.ModelProto, make: Callable[[str, str], list[onnx.NodeProto]]) -> None:
    """Insert nodes between the first input and its readers; ``make`` gets both names."""
    name = model.graph.input[0].name
    inner = f"{name}/damaged"
    for node in model.graph.node:
        for place, read in enumerate(node.input):
            if read == name:
                node.input[place] = inner
    # ONNX requires nodes in topological order, so the new nodes come first.
    for node in reversed(make(name, inner)):
        model.graph.node.insert(0, node)


def after_output(model: onnx.ModelProto, make: Callable[[str, str], list[onnx.NodeProto]]) -> None:
    """Insert nodes between the producer of the first output and the output; ``make`` gets both names."""
    name = model.graph.output[0].name
    inner = f"{name}/good"
    for node in model.graph.node:
        for place, made in enumerate(node.output):
            if made == name:
                node.output[place] = inner
        for place, read in enumerate(node.input):
            if read == name:
                node.input[place] = inner
    model.graph.node.extend(make(inner, name))


def apply_to_output(model: onnx.ModelProto, operator: str, *operands: NDArray[Any], **attributes: Any) -> None:
    """Compute the first output with one more node from its former value and constants."""
    names = [constant(model, f"/selftest/{operator}/{place}", operand) for place, operand in enumerate(operands)]
    after_output(model, lambda good, given: [node(operator, [good, *names], [given], **attributes)])


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: Any) -> onnx.NodeProto:
    """Make a node of the default domain, named after its first output."""
    from onnx import helper  # noqa: PLC0415 - only where a model is edited

    made: onnx.NodeProto = helper.make_node(
        operator, list(inputs), list(outputs), f"/selftest/{outputs[0]}", **attributes
    )
    return made


def rename(model: onnx.ModelProto, old: str, new: str) -> None:
    """Rename an input or output everywhere."""
    for node_ in model.graph.node:
        for names in (node_.input, node_.output):
            for place, name in enumerate(names):
                if name == old:
                    names[place] = new
    for info in (*model.graph.input, *model.graph.output):
        if info.name == old:
            info.name = new
