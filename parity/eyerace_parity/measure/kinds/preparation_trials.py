"""Runs a few golden samples, prepared with each of the usual preprocessing mistakes.

If a variant gives the right answers with another preparation, the stated preprocessing is likely wrong in that way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.contract.data import ImageSet, Preprocess
from eyerace_parity.core.errors import MeasurementError, ParityError, is_transient
from eyerace_parity.evidence.answers import SCORES_NDIM, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.diagnostics import PreparationTrial, PreparationTrials
from eyerace_parity.measure import recorded
from eyerace_parity.measure.batching import rows_of
from eyerace_parity.measure.kinds import outputs
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.preprocess.apply import profile_digest
from eyerace_parity.preprocess.variations import variations
from eyerace_parity.runners.registry import open_runner
from eyerace_parity.stats.classification import decisions

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.evidence.base import Array, Provenance
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.runners.base import Runner

SAMPLES: Final = 32
"""Samples of each experiment, classes in turn."""

SEED: Final = 32

_PICTURE: Final = 3


def provenance(context: MeasurementContext, need: Need[PreparationTrials]) -> Provenance:
    """Make the provenance of the answers."""
    settings = context.session_settings(need.variant, threads=1) | context.decoding_settings()
    settings |= {"samples": str(SAMPLES), "seed": str(SEED)}
    if need.versus:
        settings |= {"versus": need.versus, "versus_artefact": context.artefact(need.versus)}
        if context.uses_recorded(need.versus):
            settings |= {"versus_recorded": context.recorded_outputs(need.versus)}
    # The contract's other preprocessing profiles are tried as well.
    settings |= {f"profile.{name}": profile_digest(profile) for name, profile in context.contract.preprocess.items()}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure(context: MeasurementContext, need: Need[PreparationTrials], source: Provenance) -> PreparationTrials:
    """Run the samples in every way.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: There is nothing to prepare, or a variant cannot be loaded or run.
    """
    stated = context.contract.preprocess_of(need.variant)
    if stated is None or not isinstance(context.contract.golden, ImageSet):
        raise MeasurementError("the golden set holds tensors, which are not prepared")
    samples = _chosen(context)
    recorded_digest = source.settings.get("versus_recorded", "")
    reference = _answers(context, need.versus, samples, recorded_digest) if need.versus else None
    size = None if reference is None else _size(reference)
    trials = []
    ways = [("", stated, None), *variations(stated, context.contract.preprocess)]
    with (
        open_runner(context.contract, need.variant, threads=1) as runner,
        context.progress.task(f"{need.variant}: usual mistakes of preprocessing", len(ways)) as task,
    ):
        for description, profile, change in ways:
            found = _run(context, need.variant, runner, profile=profile, samples=samples, change=change)
            if found is None and not description:
                raise MeasurementError(f"{need.variant} does not answer to samples as the contract prepares them")
            if found is not None:
                trials.append(_trial(description, found, reference))
            task.advance()
    return PreparationTrials(provenance=source, samples=samples, size=size, trials=tuple(trials))


def _trial(description: str, found: Array, reference: Array | None) -> PreparationTrial:
    decided = tuple(int(index) for index in decisions(found)) if found.ndim == SCORES_NDIM else ()
    difference = None
    if reference is not None and reference.shape == found.shape:
        difference = _size(found.astype(np.float64) - reference.astype(np.float64))
    return PreparationTrial(prepared=description, decisions=decided, apart=difference)


def _size(array: Array) -> float:
    return float(np.sqrt(np.mean(np.square(array.astype(np.float64)))))


def _chosen(context: MeasurementContext) -> tuple[int, ...]:
    """Draw samples, classes in turn."""
    golden = context.golden().facts()
    random = np.random.default_rng(SEED)
    order = random.permutation(len(golden.ids))
    if golden.labels is None:
        return tuple(sorted(int(index) for index in order[:SAMPLES]))
    rank: dict[int, int] = {}
    turns = []
    for index in order:
        label = int(golden.labels[index])
        rank[label] = rank.get(label, -1) + 1
        turns.append((rank[label], int(index)))
    return tuple(sorted(index for _, index in sorted(turns)[:SAMPLES]))


def _answers(context: MeasurementContext, variant: str, samples: tuple[int, ...], recorded_digest: str) -> Array:
    """Return the reference's scores for the samples: measured, or from the recorded outputs of this digest."""
    if context.uses_recorded(variant):
        source = outputs.provenance(context, Need(Outputs, variant))
        kept = recorded.read(context.contract, variant, source, digest=recorded_digest)
        return kept.arrays[context.contract.scores_output][list(samples)]
    profile = context.contract.preprocess_of(variant)
    with open_runner(context.contract, variant, threads=1) as runner:
        found = _run(context, variant, runner, profile=profile, samples=samples)
    if found is None:
        raise MeasurementError(f"{variant} does not answer to the samples")
    return found


def _run(
    context: MeasurementContext,
    variant: str,
    runner: Runner,
    *,
    profile: Preprocess | None,
    samples: tuple[int, ...],
    change: Callable[[Array], Array] | None = None,
) -> Array | None:
    """Return the scores of the samples, run one at a time; ``None`` if they cannot be prepared or run in this way."""
    contract, golden, rows = context.contract, context.golden(), []
    batched = {port.name for port in contract.interface.inputs if port.batched}
    for index in samples:
        try:
            feeds = golden.feeds(index, profile)
            if change is not None:
                feeds = {name: change(value) if value.ndim == _PICTURE else value for name, value in feeds.items()}
            fed = {name: value[np.newaxis] if name in batched else value for name, value in feeds.items()}
            rows.append(rows_of(contract, variant, runner.infer(fed), 1)[contract.scores_output])
        except ParityError as error:
            if is_transient(error):
                raise
            return None
    return np.concatenate(rows)


PREPARATION_TRIALS: Final = Measurer(provenance, measure)
