"""Derived facts: computed from other evidence, so that a record holds them, reports show them and clauses can ask."""

from __future__ import annotations

from typing import Literal

from eyerace_parity.evidence.base import Fact, Provenance

ChangeOfDecision = Literal["same", "harmed", "mended", "moved", "unlabelled"]
"""How two decisions about a sample differ: not at all, or as in :class:`~eyerace_parity.evidence.flips.Flip`."""


class ClassF1(Fact):
    """F1 of one class.

    Attributes:
        name: The class.
        value: Its F1; ``None`` for a class that is neither labelled nor decided.
        low: One-sided lower bound of the true F1; ``None`` where there is no value, or there are too many classes to
            bound each.
        high: One-sided upper bound.
        demanded: The F1 that the contract demands of the class, where it does.
    """

    name: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    demanded: float | None = None


class Quality(Fact):
    """How well a variant decides the labelled golden set.

    Attributes:
        provenance: Where the variant's answers came from; its settings name the inputs.
        samples: Labelled samples.
        confidence: Of each bound alone.
        confusion: Counts by label (row) and decision (column), in the order of ``by_class``.
        macro_f1: Mean F1 of the classes; ``None`` where a class is neither labelled nor decided.
        accuracy: Share of right decisions.
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
    """The samples whose value of a column lies in one part of its range.

    Attributes:
        column: Column of the table of labels.
        part: Number of the part, from the least values (0) to the greatest.
        middle: Median value of the column in this part.
        samples: Samples in it.
        f1: Macro-F1 of the classes that occur in it.
        low: One-sided lower bound of the true F1; ``None`` where fewer than two classes occur.
        high: One-sided upper bound.
    """

    column: str
    part: int
    middle: float
    samples: int
    f1: float
    low: float | None = None
    high: float | None = None


class Slices(Fact):
    """F1 of a variant by what the table of labels says of each sample.

    Attributes:
        provenance: Where the variant's answers came from.
        confidence: Of each bound alone.
        slices: Column by column, part by part; empty where no column holds numbers that differ enough.
    """

    provenance: Provenance
    confidence: float
    slices: tuple[Slice, ...] = ()


class NoiseLevel(Fact):
    """Signal to quantisation noise of one output.

    Attributes:
        output: The output.
        sqnr_db: The ratio in dB; ``inf`` where both answers are equal.
    """

    output: str
    sqnr_db: float


class OutputNoise(Fact):
    """Signal to quantisation noise of a variant against another, output by output.

    Attributes:
        provenance: Where the variant's answers came from.
        levels: One an output that both have in one shape, of finite numbers.
    """

    provenance: Provenance
    levels: tuple[NoiseLevel, ...] = ()


class DecidedSample(Fact):
    """What two variants decide about one sample.

    Attributes:
        index: Place of the sample in the golden set.
        id: Its name.
        label: Its class; empty in a set without labels.
        kind: How the decisions differ.
        decision: What the candidate decides.
        other: What the variant that it is compared to decides.
        p: The candidate's probability of its own decision.
        other_p: The other's probability of its own decision.
        p_of_other: The candidate's probability of what the other decides.
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
    """The samples that a report shows of a comparison of two variants.

    Attributes:
        provenance: Where the candidate's answers came from.
        total: Samples that both answered.
        differ: How many they decide differently.
        rows: The samples shown, in the set's order: those decided differently, those whose probabilities moved the
            most, and a seeded choice of the rest, no more than 2,000.
        moved: Samples with the same decision whose probabilities moved the most, the furthest first, no more than 12.
    """

    provenance: Provenance
    total: int
    differ: int
    rows: tuple[DecidedSample, ...]
    moved: tuple[DecidedSample, ...] = ()


class MixturePoint(Fact):
    """F1 at one share of answers from the device.

    Attributes:
        share: Share of answers that the device gives, from 0 to 1.
        f1: Macro-F1 of all answers.
    """

    share: float
    f1: float


class Mixture(Fact):
    """Macro-F1 of users who get the device's answer so often, and else the cloud's.

    Attributes:
        provenance: Where the device's answers came from.
        curve: From always online (share 0) to always offline (share 1).
        expected: At the share that the contract expects.
    """

    provenance: Provenance
    curve: tuple[MixturePoint, ...]
    expected: MixturePoint


class RuntimePrediction(Fact):
    """What is predicted of a file in one version of ONNX Runtime.

    Attributes:
        version: The version.
        outcome: Whether it loads the file.
        reasons: Why it does not, or why that is not known.
        packages: Flutter packages that bring this version.
        demanded: Whether the contract wants the file to load there.
    """

    version: str
    outcome: Literal["loads", "refused", "unknown"]
    reasons: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    demanded: bool = False


class LoadPrediction(Fact):
    """Which versions of ONNX Runtime load a file, predicted from what the file says of itself.

    Attributes:
        provenance: Which file.
        oldest: The oldest version that loads it, and every newer one with it; empty where the newest does not.
        demanded: The oldest version that the contract demands, or an empty string.
        runtimes: One a known version, oldest first.
    """

    provenance: Provenance
    oldest: str
    demanded: str
    runtimes: tuple[RuntimePrediction, ...]


class TimeQuantile(Fact):
    """A quantile of a series of times.

    Attributes:
        series: Name of the variant that was timed.
        clock: Which clock: process CPU time or wall time.
        quantile: Which quantile, between 0 and 1.
        value: The quantile of the runs themselves, in ms.
        low: What the true quantile is proven to reach, in ms; ``None`` where there are too few runs.
        high: What it is proven not to exceed, in ms.
    """

    series: str
    clock: Literal["cpu", "wall"]
    quantile: float
    value: float
    low: float | None = None
    high: float | None = None


class TimeQuantiles(Fact):
    """Quantiles of what was timed in one measurement, with what its runs prove of them.

    Attributes:
        provenance: Where the times came from.
        clock: The clock that decides by the contract.
        confidence: Of each bound alone.
        quantiles: Variant by variant, clock by clock.
    """

    provenance: Provenance
    clock: Literal["cpu", "wall"]
    confidence: float
    quantiles: tuple[TimeQuantile, ...]
