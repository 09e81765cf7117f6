"""Evidence for the causes of a broken clause: experiments and weight comparisons. Measured only when one is broken."""

from __future__ import annotations

from eyerace_parity.evidence.base import Fact, Provenance


class PreparationTrial(Fact):
    """Answers of a variant to a few golden samples with another preprocessing.

    Attributes:
        prepared: The preprocessing, in words that end a sentence; empty for the contract's own.
        decisions: Class index decided for each sample; empty if the output makes no decision.
        apart: Root mean square (RMS) difference from the reference's answers with the contract's preprocessing;
            ``None`` without a reference.
    """

    prepared: str
    decisions: tuple[int, ...] = ()
    apart: float | None = None


class PreparationTrials(Fact):
    """Experiments with the usual preprocessing mistakes.

    Attributes:
        provenance: Origin of the measurement.
        samples: Indices of the golden samples.
        size: RMS of the reference's answers; ``None`` without a reference.
        trials: One trial per preprocessing; the first is the contract's own.
    """

    provenance: Provenance
    samples: tuple[int, ...]
    size: float | None = None
    trials: tuple[PreparationTrial, ...] = ()


class LayerPair(Fact):
    """One convolution or matrix product in a variant and in its reference. Stored integers are dequantised.

    Attributes:
        name: Name of the node.
        error: Relative difference of the weights, ‖variant - reference‖ / ‖reference‖ (Euclidean norms).
        factor: Least-squares factor from the reference's weights to the variant's.
        residual: ``error`` after scaling by ``factor``.
        by_channel: ``error`` after scaling each output channel by its own factor.
        off: Output channels with nine tenths of the squared difference, if they are at most a tenth of all channels or
            one; at most five are listed.
        zeroed: Output channels that are all zero only in the variant; at most five.
        not_finite: Number of weights that are NaN or infinite.
        odd: In words, the one weight that differs as if a bit had flipped; or an empty string.
        half: Whether the weights are the reference's rounded to float16, and not all exact.
        reordered: Whether the weights are the reference's with permuted output channels.
        unsigned: Whether the weights are the reference's without their signs.
        bias_error: Relative difference of the bias; ``None`` if either has no bias.
        bias_lost: Whether the bias is all zero only in the variant.
        step: Greatest common divisor of the stored integers; 0 for float weights.
        scales: Number of scales; 0 for float weights.
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
    """Quantisation range of an activation, and the range of the reference's values on a few golden samples.

    Attributes:
        name: Name of the tensor.
        low: Smallest representable value.
        high: Largest representable value.
        seen_low: Smallest observed value.
        seen_high: Largest observed value.
    """

    name: str
    low: float
    high: float
    seen_low: float
    seen_high: float


class Weights(Fact):
    """Comparison of an ONNX variant's layers with those of its reference.

    Attributes:
        provenance: Origin of the measurement.
        against: The reference, in words.
        failure: Why the comparison failed; all other fields are then empty.
        layers: Layers in graph order.
        spans: Ranges of quantised activations in graph order.
        unscaled: Tensors whose scale is not positive and finite, in words.
        mismatched: Tensors whose QuantizeLinear and DequantizeLinear differ in zero point or scale, in words.
    """

    provenance: Provenance
    against: str = ""
    failure: str = ""
    layers: tuple[LayerPair, ...] = ()
    spans: tuple[ValueRange, ...] = ()
    unscaled: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()


class LayerGain(Fact):
    """Accuracy with one layer in float and all others unchanged.

    Attributes:
        name: Name of the node.
        decibels: SQNR of the answers against those of the file before quantisation, in dB.
    """

    name: str
    decibels: float


class Sensitivity(Fact):
    """Quantisation loss of single layers.

    Attributes:
        provenance: Origin of the measurement.
        samples: Indices of the golden samples.
        layers: Number of quantised layers.
        decibels: SQNR of the file's answers against those of the file before quantisation, in dB.
        remade: SQNR of a new build by the recipe, in dB; ``None`` if the file's own SQNR needs no such test.
        tried: Number of layers tried in float; 0 if the file loses little, or is not what its recipe makes.
        worst: Layers with the largest gain in float, the largest first.
        together: SQNR with all layers of ``worst`` in float, in dB; ``None`` if none was tried.
        made: SQNR of a build by the recipe that excludes them, in dB; ``None`` if that was not worth it.
        more_bytes: Additional bytes of that build.
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
