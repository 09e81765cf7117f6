"""Derived evidence: computed from other evidence, for the record, the reports and the clauses."""

from __future__ import annotations

from typing import Literal

from eyerace_parity.evidence.base import Fact, Provenance

ChangeOfDecision = Literal["same", "harmed", "mended", "moved", "unlabelled"]
"""Relation of two decisions about a sample: equal, or a kind of :class:`~eyerace_parity.evidence.flips.Flip`."""


class ClassF1(Fact):
    """F1 of one class.

    Attributes:
        name: Name of the class.
        value: Its F1; ``None`` for a class that is neither labelled nor decided.
        low: One-sided lower bound of the true F1; ``None`` without a value, or if there is one class only.
        high: One-sided upper bound; ``None`` as for ``low``.
        demanded: The contract's floor for this class, or ``None``.
    """

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    demanded: float | None = None


class Quality(Fact):
    """Quality of a variant's decisions on the labelled golden set.

    Attributes:
        provenance: Origin of the variant's answers; its settings name the inputs.
        samples: Number of labelled samples.
        confidence: Confidence of each bound alone.
        confusion: Confusion matrix: rows are labels, columns are decisions, in the order of ``by_class``.
        macro_f1: Mean F1 of the classes; ``None`` if a class is neither labelled nor decided.
        accuracy: Share of right decisions, 0 to 1.
        by_class: F1 of every class, in the contract's order.
    """

    provenance: Provenance
    samples: int
    confidence: float
    confusion: tuple[tuple[int, ...], ...]
    macro_f1: float | None
    accuracy: float
    by_class: tuple[ClassF1, ...]


class Slice(Fact):
    """Samples whose value in a column lies in one part of the column's range.

    Attributes:
        column: Column of the label table.
        part: Index of the part, from the smallest values (0) to the largest.
        middle: Median of the column in this part.
        samples: Number of samples in this part.
        f1: Macro-F1 over the classes that occur in this part.
        low: One-sided lower bound of the true F1; ``None`` if fewer than two classes occur.
        high: One-sided upper bound; ``None`` as for ``low``.
    """

    column: str
    part: int
    middle: float
    samples: int
    f1: float
    low: float | None = None
    high: float | None = None


class Slices(Fact):
    """F1 of a variant by the numeric columns of the label table.

    Attributes:
        provenance: Origin of the variant's answers.
        confidence: Confidence of each bound alone.
        slices: Slices by column and part; empty if no column has enough different numbers.
    """

    provenance: Provenance
    confidence: float
    slices: tuple[Slice, ...] = ()


class NoiseLevel(Fact):
    """Signal-to-quantisation-noise ratio (SQNR) of one output.

    Attributes:
        output: Name of the output.
        sqnr_db: SQNR in dB; ``inf`` if both answers are equal.
    """

    output: str
    sqnr_db: float


class OutputNoise(Fact):
    """SQNR of a variant against another, by output.

    Attributes:
        provenance: Origin of the variant's answers.
        levels: One entry per output that both variants have with the same shape and finite values.
    """

    provenance: Provenance
    levels: tuple[NoiseLevel, ...] = ()


class DecidedSample(Fact):
    """Decisions of two variants about one sample.

    Attributes:
        index: Index of the sample in the golden set.
        id: Name of the sample.
        label: Its class; empty in an unlabelled set.
        kind: Relation of the two decisions.
        decision: The candidate's decision.
        other: The other variant's decision.
        p: The candidate's probability of its own decision.
        other_p: The other variant's probability of its own decision.
        p_of_other: The candidate's probability of the other variant's decision.
    """

    index: int
    id: str
    label: str = ""
    kind: ChangeOfDecision
    decision: str
    other: str
    p: float
    other_p: float
    p_of_other: float


class DecisionSamples(Fact):
    """Samples that a report shows for a comparison of two variants.

    Attributes:
        provenance: Origin of the candidate's answers.
        total: Number of samples that both answered.
        differ: Number of samples that they decide differently.
        rows: The shown samples, in the set's order: those with different decisions, those with the largest changes of
            probability, and a seeded random choice of the others; at most 2,000.
        moved: Samples with equal decisions and the largest changes of probability, the largest first; at most 12.
    """

    provenance: Provenance
    total: int
    differ: int
    rows: tuple[DecidedSample, ...]
    moved: tuple[DecidedSample, ...] = ()


class MixturePoint(Fact):
    """F1 at one share of answers from the device.

    Attributes:
        share: Share of answers from the device, 0 to 1.
        f1: Macro-F1 of all answers.
    """

    share: float
    f1: float


class Mixture(Fact):
    """Macro-F1 of a mixture of answers from the device and from the cloud.

    Attributes:
        provenance: Origin of the device's answers.
        curve: Points from always online (share 0) to always offline (share 1).
        expected: Point at the share that the contract states.
    """

    provenance: Provenance
    curve: tuple[MixturePoint, ...]
    expected: MixturePoint


class RuntimePrediction(Fact):
    """Prediction whether one version of ONNX Runtime loads a file.

    Attributes:
        version: Version of ONNX Runtime.
        outcome: The prediction.
        reasons: Why the version refuses the file, or why this is unknown.
        packages: Flutter packages that bundle this version.
        demanded: Whether the contract requires this version to load the file.
    """

    version: str
    outcome: Literal["loads", "refused", "unknown"]
    reasons: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    demanded: bool = False


class LoadPrediction(Fact):
    """Predictions which versions of ONNX Runtime load a file, from the file's contents.

    Attributes:
        provenance: Identifies the file.
        oldest: Oldest version from which on all versions load the file; empty if the newest does not.
        demanded: Oldest version that the contract requires, or an empty string.
        runtimes: One entry per known version, oldest first.
    """

    provenance: Provenance
    oldest: str
    demanded: str
    runtimes: tuple[RuntimePrediction, ...]


class TimeQuantile(Fact):
    """A quantile of a series of times.

    Attributes:
        series: Name of the timed variant.
        clock: Process CPU time or wall time.
        quantile: The quantile, between 0 and 1.
        value: Sample quantile in ms.
        low: Lower bound of the true quantile in ms; ``None`` if there are too few runs.
        high: Upper bound of the true quantile in ms; ``None`` if there are too few runs.
    """

    series: str
    clock: Literal["cpu", "wall"]
    quantile: float
    value: float
    low: float | None = None
    high: float | None = None


class TimeQuantiles(Fact):
    """Quantiles of the times of one measurement, with bounds.

    Attributes:
        provenance: Origin of the times.
        clock: The clock that decides, by the contract.
        confidence: Confidence of each bound alone.
        quantiles: Quantiles by variant and clock.
    """

    provenance: Provenance
    clock: Literal["cpu", "wall"]
    confidence: float
    quantiles: tuple[TimeQuantile, ...]
