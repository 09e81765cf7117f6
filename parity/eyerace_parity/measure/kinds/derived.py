"""Derivations from outputs: the inputs of each kind, and the limits and columns that it depends on beyond them."""

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
    from eyerace_parity.evidence.quality import Quality
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


# ---- what they depend on beside the fields that their kind reads -----------------------------------------------------


def _on_floors(contract: Contract, need: Need[Quality], _columns: Columns) -> dict[str, str]:
    return {"demanded": json.dumps(dict(quality.floors_of(contract, need.variant)), sort_keys=True)}


def _on_columns(_contract: Contract, _need: Need[Any], columns: Columns) -> dict[str, str]:
    # The golden set's digest does not cover further columns: they change no answer.
    return {"columns": json_digest(dict(columns))}


QUALITY: Final = Derivation(_one, quality.compute_quality, _on_floors)
SLICES: Final = Derivation(_one, quality.compute_slices, _on_columns)
NOISE: Final = Derivation(lambda need: (_ours(need), _theirs(need)), quality.compute_noise)
FLIPS: Final = Derivation(_pair, flips.compute_flips, _on_columns)
SAMPLES: Final = Derivation(_pair, quality.compute_samples)
MIXTURE: Final = Derivation(_pair, quality.compute_mixture)
