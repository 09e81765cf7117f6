"""Evidence: what was measured, with where it came from. Numbers and arrays only; no opinion.

Each kind is one frozen type. Those made of numbers are pydantic models, so they cross a process border and go into the
record as JSON; per-sample arrays (:class:`Outputs`, :class:`Repeats`, :class:`Execution`) are dataclasses and are
stored as ``.npz``.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eyerace_parity.evidence.answers import Execution, Golden, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.costs import Footprint, Instructions, PeerTiming, Preflight, Soak, Timing
from eyerace_parity.evidence.diagnostics import Sensitivity, Trials, Weights
from eyerace_parity.evidence.flips import FlipLedger, KnownFlips
from eyerace_parity.evidence.quality import (
    DecisionSamples,
    LoadPrediction,
    Mixture,
    OutputNoise,
    Quality,
    Slices,
    TimeQuantiles,
)

__all__ = ["Document", "Evidence"]

_Numbers = (
    Graph
    | Files
    | Preflight
    | Footprint
    | Soak
    | Timing
    | PeerTiming
    | Instructions
    | Lineage
    | FlipLedger
    | KnownFlips
    | Trials
    | Weights
    | Sensitivity
    | Quality
    | Slices
    | OutputNoise
    | DecisionSamples
    | Mixture
    | LoadPrediction
    | TimeQuantiles
)

Evidence = Outputs | Repeats | Execution | Golden | _Numbers
"""Every kind of evidence."""

Document = Annotated[_Numbers, Field(union_mode="smart")]
"""The kinds that are made of numbers."""
