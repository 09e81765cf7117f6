"""What all evidence is made of: where it came from, what is asked for, and the base of what is made of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyerace_parity.core.result import HOST

Array = NDArray[np.generic]

E = TypeVar("E")


class Fact(BaseModel):
    """Base of evidence that is made of numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")


class Provenance(Fact):
    """Where a measurement came from: everything that could have changed it.

    Attributes:
        variant: The variant that was measured.
        target: Where it was executed.
        artefact: Digest of the artefact (and of the factory's source for torch).
        golden: Digest of the golden set, where it was used.
        preprocess: Digest of the preprocessing profile, where it was used.
        runtime: Name and version of the runtime, e.g. ``onnxruntime 1.32.0``.
        machine: Fingerprint of the processor: architecture and instruction sets, no name.
        settings: What else was set, in the order it was asked for.
        cached: Whether the measurement was taken from the store.
    """

    variant: str
    target: str = HOST
    artefact: str = ""
    golden: str = ""
    preprocess: str = ""
    runtime: str = ""
    machine: str = ""
    settings: dict[str, str] = {}
    cached: bool = False


WORDS: Final[dict[type[Any], str]] = {}
"""What each registered kind is called in messages; :mod:`eyerace_parity.evidence.registry` fills it."""


@dataclass(frozen=True, slots=True)
class Need(Generic[E]):
    """A demand for one piece of evidence.

    Attributes:
        kind: Type of the evidence.
        variant: Variant to measure; empty for the golden set's own facts.
        target: Where to execute it.
        versus: Variant to interleave with where times are taken; else the one to compare with.
        baseline: Of the accepted release instead of the candidate; with ``versus``, the variant to interleave with is
            the release's.
    """

    kind: type[E]
    variant: str = ""
    target: str = HOST
    versus: str = ""
    baseline: bool = False

    def __str__(self) -> str:
        parts = (
            WORDS.get(self.kind, self.kind.__name__.lower()),
            self.variant,
            self.versus,
            self.target,
            "baseline" * self.baseline,
        )
        return "/".join(part for part in parts if part)
