"""Derivations from outputs: the inputs of each kind, and the limits and columns that it depends on beyond them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.core.digests import json_digest
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.base import Need
from eyerace_parity.measure.kinds import flips, quality
from eyerace_parity.measure.measurer import Derivation, derived_provenance

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.flips import FlipLedger
    from eyerace_parity.evidence.quality import DecisionSamples, Mixture, OutputNoise, Quality, Slices
    from eyerace_parity.evidence.source import Source

    Columns = Mapping[str, Sequence[str]]


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


def _noise_inputs(need: Need[Any]) -> tuple[Need[Any], ...]:
    return _ours(need), _theirs(need)


# ---- what they depend on beside the fields that their kind reads -----------------------------------------------------


def _on_floors(contract: Contract, need: Need[Quality], _columns: Columns) -> dict[str, str]:
    return {"demanded": json.dumps(dict(quality.floors_of(contract, need.variant)), sort_keys=True)}


def _on_columns(_contract: Contract, _need: Need[Any], columns: Columns) -> dict[str, str]:
    # The golden set's digest does not cover further columns: they change no answer.
    return {"columns": json_digest(dict(columns))}


# ---- how they are computed -------------------------------------------------------------------------------------------


def _quality(contract: Contract, need: Need[Quality], source: Source, columns: Columns) -> Quality:
    stated = derived_provenance(contract, need, source, columns)
    golden, ours = source.obtain(Need(GoldenFacts)), source.obtain(_ours(need))
    return quality.compute_quality(contract, golden, ours, stated)


def _slices(contract: Contract, need: Need[Slices], source: Source, columns: Columns) -> Slices:
    stated = derived_provenance(contract, need, source, columns)
    golden, ours = source.obtain(Need(GoldenFacts)), source.obtain(_ours(need))
    return quality.compute_slices(contract, golden, columns, ours, stated)


def _noise(contract: Contract, need: Need[OutputNoise], source: Source, columns: Columns) -> OutputNoise:
    stated = derived_provenance(contract, need, source, columns)
    return quality.compute_noise(source.obtain(_ours(need)), source.obtain(_theirs(need)), stated)


def _flips(contract: Contract, need: Need[FlipLedger], source: Source, columns: Columns) -> FlipLedger:
    golden, ours, theirs = source.obtain(Need(GoldenFacts)), source.obtain(_ours(need)), source.obtain(_theirs(need))
    stated = derived_provenance(contract, need, source, columns)
    return flips.compute_flips(contract, golden, ours, theirs, source=stated)


def _samples(contract: Contract, need: Need[DecisionSamples], source: Source, columns: Columns) -> DecisionSamples:
    stated = derived_provenance(contract, need, source, columns)
    golden, ours, theirs = source.obtain(Need(GoldenFacts)), source.obtain(_ours(need)), source.obtain(_theirs(need))
    return quality.compute_samples(contract, golden, ours, theirs, stated)


def _mixture(contract: Contract, need: Need[Mixture], source: Source, columns: Columns) -> Mixture:
    stated = derived_provenance(contract, need, source, columns)
    golden, ours, theirs = source.obtain(Need(GoldenFacts)), source.obtain(_ours(need)), source.obtain(_theirs(need))
    return quality.compute_mixture(contract, golden, ours, theirs, stated)


QUALITY: Final = Derivation(_one, _quality, _on_floors)
SLICES: Final = Derivation(_one, _slices, _on_columns)
NOISE: Final = Derivation(_noise_inputs, _noise)
FLIPS: Final = Derivation(_pair, _flips, _on_columns)
SAMPLES: Final = Derivation(_pair, _samples)
MIXTURE: Final = Derivation(_pair, _mixture)
