"""Derivations from outputs: the inputs of each kind, and the settings that it depends on beyond them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core.digests import json_digest
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.kinds import flips, quality
from eyerace_parity.measure.measurer import Derivation

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.quality import DecisionSamples, Mixture, Quality, Slices
    from eyerace_parity.measure.measurer import Columns


# ---- inputs ----------------------------------------------------------------------------------------------------------


def _ours(need: Need[Any]) -> Need[Outputs]:
    return Need(Outputs, need.variant, need.target)


def _theirs(need: Need[Any]) -> Need[Outputs]:
    """Need for the outputs of the other variant; those of the release if the need asks for the release."""
    return Need(Outputs, need.versus, need.target, baseline=need.baseline)


def _one(need: Need[Any]) -> tuple[Need[Any], ...]:
    return _ours(need), Need(GoldenFacts)


def _pair(need: Need[Any]) -> tuple[Need[Any], ...]:
    return _ours(need), Need(GoldenFacts), _theirs(need)


# ---- what they depend on in the contract -----------------------------------------------------------------------------


def _on_statistics(contract: Contract, _need: Need[Any], _columns: Columns) -> dict[str, str]:
    stated = contract.statistics
    numbers = {
        "confidence": stated.confidence,
        "draws": stated.draws,
        "seed": stated.seed,
        "sampling": stated.sampling,
    }
    return {"scores": contract.scores_output} | {key: str(value) for key, value in numbers.items()}


def _on_floors(contract: Contract, need: Need[Quality], columns: Columns) -> dict[str, str]:
    demanded = json.dumps(dict(quality.floors_of(contract, need.variant)), sort_keys=True)
    return _on_statistics(contract, need, columns) | {"demanded": demanded}


def _on_columns(contract: Contract, _need: Need[Any], columns: Columns) -> dict[str, str]:
    # The golden set's digest does not cover further columns: they change no answer.
    return {"scores": contract.scores_output, "columns": json_digest(dict(columns))}


def _on_parts(contract: Contract, need: Need[Slices], columns: Columns) -> dict[str, str]:
    return _on_statistics(contract, need, columns) | _on_columns(contract, need, columns)


def _on_scores(contract: Contract, _need: Need[DecisionSamples], _columns: Columns) -> dict[str, str]:
    meaning = contract.hybrid.scores if contract.hybrid is not None else "logits"
    return {"scores": contract.scores_output, "scores_are": meaning}


def _on_share(contract: Contract, _need: Need[Mixture], _columns: Columns) -> dict[str, str]:
    share = contract.hybrid.offline_share if contract.hybrid is not None else ""
    return {"scores": contract.scores_output, "offline_share": str(share)}


QUALITY: Final = Derivation(_one, quality.compute_quality, _on_floors)
SLICES: Final = Derivation(_one, quality.compute_slices, _on_parts)
NOISE: Final = Derivation(lambda need: (_ours(need), _theirs(need)), quality.compute_noise)
FLIPS: Final = Derivation(_pair, flips.compute_flips, _on_columns)
SAMPLES: Final = Derivation(_pair, quality.compute_samples, _on_scores)
MIXTURE: Final = Derivation(_pair, quality.compute_mixture, _on_share)
