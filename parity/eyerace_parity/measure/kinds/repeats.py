"""Runs a few golden samples twice and once as a batch, to see whether equal inputs get equal outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.errors import GoldenError, MeasurementError
from eyerace_parity.evidence.answers import Repeats
from eyerace_parity.measure.batching import batch_of, rows_of, takes_batches
from eyerace_parity.measure.measurer import Measurer
from eyerace_parity.runners.registry import open_runner

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.evidence.base import Array, Need, Provenance
    from eyerace_parity.measure.context import MeasurementContext
    from eyerace_parity.runners.base import Runner

SAMPLES: Final = 8
"""How many samples are repeated."""

SEED: Final = 8
"""Seed of their choice, the same for every variant."""


def chosen(total: int) -> tuple[int, ...]:
    """Indices of the samples that are repeated, in order; all where the set has no more."""
    picked = np.random.default_rng(SEED).choice(total, size=min(SAMPLES, total), replace=False)
    return tuple(sorted(int(index) for index in picked))


def provenance(context: MeasurementContext, need: Need[Repeats]) -> Provenance:
    """Make the provenance of the answers. The contract's own threads are used: they may differ from run to run."""
    settings = context.session_settings(need.variant) | context.decoding_settings()
    settings |= {"samples": str(SAMPLES), "seed": str(SEED)}
    return context.provenance(need.variant, target=need.target, golden=True, settings=settings)


def measure(context: MeasurementContext, need: Need[Repeats], source: Provenance) -> Repeats:
    """Run the chosen samples.

    Raises:
        GoldenError: A sample cannot be read.
        MeasurementError: The variant cannot be loaded, or a single sample cannot be run.
    """
    samples = chosen(len(context.golden()))
    with (
        open_runner(context.contract, need.variant) as runner,
        context.progress.task(f"{need.variant}: repeats", 2 * len(samples)) as task,
    ):
        rounds = []
        for _ in range(2):
            answers = []
            for index in samples:
                answers.append(_answer(context, need.variant, runner, (index,)))
                task.advance()
            rounds.append(_joined(need.variant, answers))
        batched, refused = _batched(context, need.variant, runner, samples)
    return Repeats(source, samples, rounds[0], rounds[1], batched, refused)


def _answer(context: MeasurementContext, variant: str, runner: Runner, samples: Sequence[int]) -> dict[str, Array]:
    answer = runner.infer(batch_of(context.contract, variant, context.golden(), samples))
    return rows_of(context.contract, variant, answer, len(samples))


def _joined(variant: str, answers: Sequence[dict[str, Array]]) -> dict[str, Array]:
    try:
        return {name: np.concatenate([answer[name] for answer in answers]) for name in answers[0]}
    except ValueError as error:
        raise MeasurementError(
            f"{variant}: the shape of an output depends on the sample: {error}",
            next_step="give every output a fixed shape beside the batch axis",
        ) from error


def _batched(
    context: MeasurementContext, variant: str, runner: Runner, samples: Sequence[int]
) -> tuple[dict[str, Array], str]:
    """Run all samples as one batch; what refuses it is evidence, not an error."""
    if not takes_batches(context.contract.interface):
        return {}, ""
    try:
        return _answer(context, variant, runner, samples), ""
    except GoldenError:
        raise
    except MeasurementError as error:
        if error.transient:
            raise
        return {}, error.reason


REPEATS: Final = Measurer(provenance, measure)
