"""Evidence from a file that is not run: its graph, its size and its lineage."""

from __future__ import annotations

from eyerace_parity.evidence.base import Fact, Provenance


class PortFact(Fact):
    """An input or output as the artefact declares it. An axis is an extent, a name, or ``?`` if unnamed."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


class OperatorSignature(Fact):
    """An operator with its types, for which a runtime needs a kernel.

    Attributes:
        operator: ``domain::operator``.
        opset: Version of its domain.
        inputs: Element type of each input; empty for an omitted input, ``?`` if it cannot be inferred.
        outputs: Element type of each output, in the same form.
        count: Number of nodes with this signature.
    """

    operator: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    count: int


class LayerSize(Fact):
    """Size of an operator's stored tensors: its weight, its bias, and their scales.

    Attributes:
        name: Name of the operator's node, or of the tensor if no operator uses it.
        operator: The operator, or an empty string.
        bytes: Total size in bytes.
        dtype: Element type of the largest tensor.
    """

    name: str
    operator: str
    bytes: int
    dtype: str


class Graph(Fact):
    """Contents of an ONNX file, read without running it.

    Attributes:
        provenance: Origin of the measurement.
        failure: Why the file could not be read; all other fields are then empty.
        checker: Error of ``onnx.checker``, or an empty string.
        ir_version: ONNX IR version.
        opsets: Version by imported domain; ``ai.onnx`` is the default domain.
        operators: Number of nodes by ``domain::operator``, including subgraphs and functions.
        signatures: Operators with opset and types, functions expanded.
        function_opsets: Version by imported domain, by ``domain::function``.
        unused_domains: Imported domains without a node.
        inputs: Declared inputs that are not initialisers.
        outputs: Declared outputs.
        external: Locations of external data, as the file names them.
        external_outside: Locations outside the bundle's folder.
        training_nodes: Names of nodes in training mode.
        weights: Number of weight elements (initialisers and constants that feed matrix operators).
        weights_integer: Number of weight elements stored in integers of at most 8 bits.
        macs: Multiply-accumulates per sample in convolutions and matrix products; 0 if shapes are unknown.
        macs_integer: Multiply-accumulates on integers, or with QuantizeLinear/DequantizeLinear on both operands.
        layers: Sizes of the largest layers, the largest first.
        layers_rest: Bytes of all other stored tensors.
        metadata: The file's metadata properties.
    """

    provenance: Provenance
    failure: str = ""
    checker: str = ""
    ir_version: int = 0
    opsets: dict[str, int] = {}
    operators: dict[str, int] = {}
    signatures: tuple[OperatorSignature, ...] = ()
    function_opsets: dict[str, dict[str, int]] = {}
    unused_domains: tuple[str, ...] = ()
    inputs: tuple[PortFact, ...] = ()
    outputs: tuple[PortFact, ...] = ()
    external: tuple[str, ...] = ()
    external_outside: tuple[str, ...] = ()
    training_nodes: tuple[str, ...] = ()
    weights: int = 0
    weights_integer: int = 0
    macs: int = 0
    macs_integer: int = 0
    layers: tuple[LayerSize, ...] = ()
    layers_rest: int = 0
    metadata: dict[str, str] = {}


class Files(Fact):
    """Size of an artefact.

    Attributes:
        provenance: Origin of the measurement.
        bytes: Bytes of the file with its external data.
        deflated: Bytes after deflate at level 6, which approximates the download size in an app store.
    """

    provenance: Provenance
    bytes: int
    deflated: int


class Lineage(Fact):
    """Sources and tools that an artefact states, and those that a build would use now.

    Attributes:
        provenance: Origin of the measurement.
        stamped: Lineage stored in the artefact, with the keys of ``current``; empty if there is none.
        current: ``source`` (digest of the source), ``recipe`` (digest), and ``tool.NAME`` versions.
    """

    provenance: Provenance
    stamped: dict[str, str]
    current: dict[str, str]
