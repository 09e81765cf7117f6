"""Evidence that is gathered only when a clause is broken, to find out why: experiments and comparisons of weights."""

from __future__ import annotations

from eyerace_parity.evidence.base import Fact, Provenance


class PreparationTrial(Fact):
    """What a variant answers to a few golden samples that are prepared in another way.

    Attributes:
        prepared: How they are prepared, in words that end a sentence; empty for the way that the contract states.
        decisions: Class decided for each sample; empty where the output decides for none.
        apart: Root mean square difference from the reference's answers to the samples as the contract states them;
            ``None`` without a reference.
    """

    prepared: str
    decisions: tuple[int, ...] = ()
    apart: float | None = None


class PreparationTrials(Fact):
    """The usual mistakes of preprocessing, each made or unmade on purpose.

    Attributes:
        provenance: Where it came from.
        samples: Indices of the golden samples.
        size: Root mean square of the reference's answers; ``None`` without a reference.
        trials: The first as the contract states it.
    """

    provenance: Provenance
    samples: tuple[int, ...]
    size: float | None = None
    trials: tuple[PreparationTrial, ...] = ()


class LayerPair(Fact):
    """One convolution or matrix product in a variant and in its reference, its stored integers read as numbers.

    Attributes:
        name: Name of its node.
        error: Difference of the weights, as a share of the reference's size (Euclidean norms).
        factor: The number that the reference's weights are best multiplied by to become the variant's.
        residual: What then remains of ``error``.
        by_channel: What remains of it where each output channel has a factor of its own.
        off: Output channels, at most a tenth of them or one, that bear nine tenths of the squared difference; at most
            five are named.
        zeroed: Output channels that are all zero here and not there; at most five.
        not_finite: Weights that are NaN or infinite.
        odd: Where a single weight differs as if a bit had flipped, in words; or an empty text.
        half: Whether the weights are the reference's, rounded to float16, and not all exact.
        reordered: Whether the weights are the reference's with their output channels in another order.
        unsigned: Whether they are the reference's without their signs.
        bias_error: As ``error``, of the bias; ``None`` where either has none.
        bias_lost: Whether the bias is all zero here and not there.
        step: Greatest common divisor of the stored integers; 0 for weights in float.
        scales: How many scales they have; 0 for weights in float.
    """

    name: str
    error: float
    factor: float
    residual: float
    by_channel: float
    off: tuple[int, ...] = ()
    zeroed: tuple[int, ...] = ()
    not_finite: int = 0
    odd: str = ""
    half: bool = False
    reordered: bool = False
    unsigned: bool = False
    bias_error: float | None = None
    bias_lost: bool = False
    step: int = 0
    scales: int = 0


class ValueRange(Fact):
    """The range that an activation is quantised for, beside what the reference's takes on a few golden samples.

    Attributes:
        name: Name of the tensor.
        low: Least number that its integers stand for.
        high: Greatest.
        seen_low: Least number that was seen.
        seen_high: Greatest.
    """

    name: str
    low: float
    high: float
    seen_low: float
    seen_high: float


class Weights(Fact):
    """An ONNX variant's layers beside those of its reference.

    Attributes:
        provenance: Where it came from.
        against: What it is compared to, in words.
        failure: Why it could not be compared; everything else is then empty.
        layers: In the order of the graph.
        spans: Ranges of quantised activations, in the order of the graph.
        unscaled: Tensors whose scale is no positive number, in words.
        mismatched: Tensors that are read back with another zero point or scale than they were written with, in words.
    """

    provenance: Provenance
    against: str = ""
    failure: str = ""
    layers: tuple[LayerPair, ...] = ()
    spans: tuple[ValueRange, ...] = ()
    unscaled: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()


class LayerGain(Fact):
    """One layer that computes in float while all others stay as they are.

    Attributes:
        name: Name of its node.
        decibels: How near the answers then come to those of the file that was quantised, in dB.
    """

    name: str
    decibels: float


class Sensitivity(Fact):
    """What single layers of a quantised file cost.

    Attributes:
        provenance: Where it came from.
        samples: Indices of the golden samples.
        layers: How many layers read integers.
        decibels: How near the file's answers come to those of the file that was quantised, in dB.
        remade: What a file reaches that the recipe makes now; ``None`` where the file is near enough to be one.
        tried: How many layers were tried in float; none where the file is near, or not what its recipe makes.
        worst: The layers that cost most, the worst first.
        together: What is reached with all of these in float, in dB; ``None`` where none was tried.
        made: What a file reaches that its recipe made with them excluded; ``None`` where that was not worth it.
        more_bytes: How much bigger that file is.
    """

    provenance: Provenance
    samples: tuple[int, ...]
    layers: int
    decibels: float
    remade: float | None = None
    tried: int = 0
    worst: tuple[LayerGain, ...] = ()
    together: float | None = None
    made: float | None = None
    more_bytes: int = 0
