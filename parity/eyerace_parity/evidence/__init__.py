"""Evidence: what was measured, with where it came from. Numbers and arrays only; no opinion.

Each kind is one frozen type. Those made of numbers are pydantic models, so they cross a process border and go into the
record as JSON; per-sample arrays (:class:`Outputs`, :class:`Repeats`, :class:`Execution`) are dataclasses and are
stored as ``.npz``.

Others import all of it from here; which file of this package holds a kind is its own affair.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from eyerace_parity.evidence.answers import Execution, Golden, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph, Layer, Lineage, PortFact, Signature
from eyerace_parity.evidence.base import Array, Fact, Need, Provenance
from eyerace_parity.evidence.costs import (
    Disturbance,
    Footprint,
    Instructions,
    PeerTiming,
    Preflight,
    Series,
    Soak,
    Timing,
)
from eyerace_parity.evidence.diagnostics import LayerGain, LayerPair, Sensitivity, Span, Trial, Trials, Weights
from eyerace_parity.evidence.flips import Flip, FlipLedger, KnownFlips

__all__ = [
    "Array",
    "Disturbance",
    "Document",
    "Evidence",
    "Execution",
    "Fact",
    "Files",
    "Flip",
    "FlipLedger",
    "Footprint",
    "Golden",
    "Graph",
    "Instructions",
    "KnownFlips",
    "Layer",
    "LayerGain",
    "LayerPair",
    "Lineage",
    "Need",
    "Outputs",
    "PeerTiming",
    "PortFact",
    "Preflight",
    "Provenance",
    "Repeats",
    "Sensitivity",
    "Series",
    "Signature",
    "Soak",
    "Span",
    "Timing",
    "Trial",
    "Trials",
    "Weights",
]

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
)

Evidence = Outputs | Repeats | Execution | Golden | _Numbers
"""Every kind of evidence."""

Document = Annotated[_Numbers, Field(union_mode="smart")]
"""The kinds that are made of numbers."""
