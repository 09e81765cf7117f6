"""Every derived kind: what it is computed from, and what of the contract it depends on beyond that."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar, cast

from eyerace_parity.core.digests import json_digest
from eyerace_parity.evidence.answers import Golden, Outputs
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Fact, Need
from eyerace_parity.evidence.costs import Timing
from eyerace_parity.evidence.flips import FlipLedger
from eyerace_parity.evidence.quality import (
    DecisionSamples,
    LoadPrediction,
    Mixture,
    OutputNoise,
    Quality,
    Slices,
    TimeQuantiles,
)
from eyerace_parity.measure.cache import SCHEMA
from eyerace_parity.measure.context import code_digest
from eyerace_parity.measure.kinds import flips, predictions, quality, time_quantiles

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Provenance
    from eyerace_parity.evidence.source import Source

F = TypeVar("F", bound=Fact)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a derived fact may read.

    Attributes:
        contract: The contract.
        source: Gives the evidence that the fact is computed from.
        columns: Gives the further columns of the table of labels, one text a sample.
    """

    contract: Contract
    source: Source
    columns: Callable[[], Mapping[str, Sequence[str]]]

    def golden(self) -> Golden:
        """The golden set's facts."""
        return self.source.obtain(Need(Golden))

    def outputs(self, need: Need[Any]) -> Outputs:
        """What the need's variant answered."""
        return self.source.obtain(Need(Outputs, need.variant, need.target))

    def versus(self, need: Need[Any]) -> Outputs:
        """What the variant answered that it is compared to."""
        return self.source.obtain(Need(Outputs, need.versus, need.target, baseline=need.baseline))


@dataclass(frozen=True, slots=True)
class Derivation(Generic[F]):
    """How one kind is computed.

    Attributes:
        needs: Its inputs; the first one's provenance is that of the fact, with settings added.
        compute: Computes it.
        code: Files of this package whose change makes earlier facts worthless.
        settings: What it depends on in the contract that its inputs' keys do not cover.
        kept: Whether the cache may answer: not where an input is a time.
    """

    needs: Callable[[Need[F]], tuple[Need[Any], ...]]
    compute: Callable[[Inputs, Need[F], Provenance], F]
    code: tuple[str, ...]
    settings: Callable[[Inputs, Need[F]], dict[str, str]]
    kept: bool = True


def provenance_of(need: Need[F], inputs: Inputs, first: Provenance) -> Provenance:
    """Where a derived fact comes from.

    Args:
        need: The fact.
        inputs: What it is computed from.
        first: Where its first input came from.

    Raises:
        MeasurementError: An input has no name, or the table of labels cannot be read.
    """
    settings = dict(first.settings)
    if need.versus and need.kind is not TimeQuantiles:
        other = Need(Outputs, need.versus, need.target, baseline=need.baseline)
        settings |= {"versus": need.versus, "versus_evidence": inputs.source.key(other)}
    settings |= DERIVATIONS[need.kind].settings(inputs, need)
    return first.model_copy(update={"settings": settings, "cached": False})


def derived_key(kind: type[Fact], source: Provenance) -> str:
    """Content key of a derived fact: the digest of all that could have changed it, our own code included."""
    stated = source.model_dump(mode="json", exclude={"cached"})
    code = code_digest(*DERIVATIONS[kind].code)
    return json_digest({"schema": SCHEMA, "kind": kind.__name__, "code": code, "source": stated})


def derive(need: Need[F], inputs: Inputs, source: Provenance) -> F:
    """Compute a derived fact.

    Raises:
        MeasurementError: An input cannot be had, or says nothing of what is asked.
    """
    return cast("F", DERIVATIONS[need.kind].compute(inputs, need, source))


def _one(need: Need[Any]) -> tuple[Need[Any], ...]:
    return Need(Outputs, need.variant, need.target), Need(Golden)


def _pair(need: Need[Any]) -> tuple[Need[Any], ...]:
    return *_one(need), Need(Outputs, need.versus, need.target, baseline=need.baseline)


def _statistics(had: Inputs, _need: Need[Any]) -> dict[str, str]:
    stated = had.contract.statistics
    told = {"confidence": stated.confidence, "draws": stated.draws, "seed": stated.seed}
    return {"scores": had.contract.scores_output} | {key: str(value) for key, value in told.items()}


def _quality(had: Inputs, need: Need[Quality]) -> dict[str, str]:
    demanded = json.dumps(dict(quality.floors_of(had.contract, need.variant)), sort_keys=True)
    return _statistics(had, need) | {"demanded": demanded}


def _columns(had: Inputs, _need: Need[Any]) -> dict[str, str]:
    # The golden set's digest does not cover further columns: they change no answer.
    return {"scores": had.contract.scores_output, "columns": json_digest(dict(had.columns()))}


def _samples(had: Inputs, _need: Need[DecisionSamples]) -> dict[str, str]:
    meaning = had.contract.hybrid.scores if had.contract.hybrid is not None else "logits"
    return {"scores": had.contract.scores_output, "scores_are": meaning}


def _mixture(had: Inputs, _need: Need[Mixture]) -> dict[str, str]:
    share = had.contract.hybrid.offline_share if had.contract.hybrid is not None else ""
    return {"scores": had.contract.scores_output, "offline_share": str(share)}


def _prediction(had: Inputs, need: Need[LoadPrediction]) -> dict[str, str]:
    providers = had.contract.session_of(need.variant).providers
    return {"providers": " ".join(providers), "demanded": str(predictions.demanded_of(had.contract, need.variant))}


def _times(had: Inputs, need: Need[TimeQuantiles]) -> dict[str, str]:
    clock, confidence = time_quantiles.clock_of(had.contract, need.variant)
    return {"clock": clock, "confidence": str(confidence)}


_STATISTICS_CODE: Final = (
    "measure/kinds/quality.py",
    "stats/bootstrap.py",
    "stats/classification.py",
    "stats/differences.py",
    "stats/measures.py",
)
_PREDICTION_CODE: Final = (
    "measure/kinds/predictions.py",
    "compatibility/flutter.py",
    "compatibility/flutter.toml",
    "compatibility/kernels.py",
    "compatibility/predict.py",
    "compatibility/runtimes.json",
    "compatibility/table.py",
)

DERIVATIONS: Final[Mapping[type[Any], Derivation[Any]]] = {
    Quality: Derivation(
        needs=_one,
        compute=lambda had, need, source: quality.compute_quality(
            had.contract, had.golden(), had.outputs(need), source
        ),
        code=_STATISTICS_CODE,
        settings=_quality,
    ),
    Slices: Derivation(
        needs=_one,
        compute=lambda had, need, source: quality.compute_slices(
            had.contract, had.golden(), had.columns(), had.outputs(need), source
        ),
        code=_STATISTICS_CODE,
        settings=lambda had, need: _statistics(had, need) | _columns(had, need),
    ),
    OutputNoise: Derivation(
        needs=lambda need: (
            Need(Outputs, need.variant, need.target),
            Need(Outputs, need.versus, need.target, baseline=need.baseline),
        ),
        compute=lambda had, need, source: quality.compute_noise(had.outputs(need), had.versus(need), source),
        code=_STATISTICS_CODE,
        settings=lambda _had, _need: {},
    ),
    FlipLedger: Derivation(
        needs=_pair,
        compute=lambda had, need, source: flips.compute_flips(
            had.contract, had.golden(), had.columns(), had.outputs(need), had.versus(need), source=source
        ),
        code=flips.CODE,
        settings=_columns,
    ),
    DecisionSamples: Derivation(
        needs=_pair,
        compute=lambda had, need, source: quality.compute_samples(
            had.contract, had.golden(), had.outputs(need), had.versus(need), source
        ),
        code=_STATISTICS_CODE,
        settings=_samples,
    ),
    Mixture: Derivation(
        needs=_pair,
        compute=lambda had, need, source: quality.compute_mixture(
            had.contract, had.golden(), had.outputs(need), had.versus(need), source
        ),
        code=_STATISTICS_CODE,
        settings=_mixture,
    ),
    LoadPrediction: Derivation(
        needs=lambda need: (Need(Graph, need.variant, need.target),),
        compute=lambda had, need, source: predictions.compute_prediction(
            had.contract, need.variant, had.source.obtain(Need(Graph, need.variant, need.target)), source
        ),
        code=_PREDICTION_CODE,
        settings=_prediction,
    ),
    TimeQuantiles: Derivation(
        needs=lambda need: (Need(Timing, need.variant, need.target, need.versus),),
        compute=lambda had, need, source: time_quantiles.compute_time_quantiles(
            had.contract,
            need.variant,
            had.source.obtain(Need(Timing, need.variant, need.target, need.versus)),
            source,
        ),
        code=("measure/kinds/time_quantiles.py", "stats/quantiles.py", "stats/sequential.py"),
        settings=_times,
        kept=False,
    ),
}
"""Every derived kind."""
