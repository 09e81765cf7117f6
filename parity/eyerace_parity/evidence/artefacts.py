"""What a file says of itself, how big it is, and what it was made from: read without running it."""

from __future__ import annotations

from eyerace_parity.evidence.base import Fact, Provenance


class PortFact(Fact):
    """An input or output as the artefact itself declares it; an axis is an extent, a name, or ``?`` if unnamed."""

    name: str
    dtype: str
    shape: tuple[int | str, ...] | None


class OperatorSignature(Fact):
    """An operator as a file uses it: what a runtime must have a kernel for.

    Attributes:
        operator: ``domain::operator``.
        opset: Version of its domain.
        inputs: Element type of each input; empty for one that is left out, ``?`` for one that cannot be inferred.
        outputs: The same of each output.
        count: Nodes that are used so.
    """

    operator: str
    opset: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    count: int


class LayerSize(Fact):
    """What an operator's stored tensors take: its weight, its bias, and the scales of both.

    Attributes:
        name: Name of the operator's node, or of the tensor where no operator uses it.
        operator: The operator, or an empty string.
        bytes: All of them together.
        dtype: Element type of the largest.
    """

    name: str
    operator: str
    bytes: int
    dtype: str


class Graph(Fact):
    """What an ONNX file says of itself, read without running it.

    Attributes:
        provenance: Where it came from.
        failure: Why the file could not be read; everything else is then empty.
        checker: What ``onnx.checker`` found wrong, or an empty string.
        ir_version: ONNX IR version.
        opsets: Version by imported domain; ``ai.onnx`` for the default one.
        operators: Number of nodes by ``domain::operator``, subgraphs and functions included.
        signatures: The operators once more, functions written out, each with its opset and the types around it.
        function_opsets: Version by imported domain, by ``domain::function``.
        unused_domains: Imported domains of which no node is.
        inputs: Declared inputs that are not initialisers.
        outputs: Declared outputs.
        external: Locations of external data, as the file names them.
        external_outside: Those that lead outside the bundle's folder.
        training_nodes: Names of nodes left in training mode.
        weights: Elements of all weights (initialisers and constants that feed matrix operators).
        weights_integer: Those held in 8-bit integers or fewer.
        macs: Multiply-accumulates of one sample in convolutions and matrix products; 0 if shapes are unknown.
        macs_integer: Those done on integers, or wrapped in QuantizeLinear/DequantizeLinear on both operands.
        layers: What the largest layers take of the file, the largest first.
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
    """How big an artefact is.

    Attributes:
        provenance: Where it came from.
        bytes: The file with its external data.
        deflated: The same after deflate at level 6, as a store packs it for download.
    """

    provenance: Provenance
    bytes: int
    deflated: int


class Lineage(Fact):
    """What an artefact says it was made from, beside what it would be made from now.

    Attributes:
        provenance: Where it came from.
        stamped: Lineage that the artefact carries, empty if it carries none; keys as in ``current``.
        current: ``source`` (digest of what it is made from), ``recipe`` (digest), and ``tool.NAME`` versions.
    """

    provenance: Provenance
    stamped: dict[str, str]
    current: dict[str, str]
