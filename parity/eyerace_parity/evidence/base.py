"""Base types of evidence: facts, provenance and needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from eyerace_parity.core.result import HOST

if TYPE_CHECKING:
    from collections.abc import Mapping

Array = NDArray[np.generic]

E = TypeVar("E")


class Fact(BaseModel):
    """Base of evidence that consists of numbers and texts, without arrays."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants", defer_build=True)


class Provenance(Fact):
    """Origin of a measurement: everything that can change it.

    Attributes:
        variant: The measured variant.
        target: The target that executed it.
        artefact: Digest of the artefact (for torch also of the factory's source).
        golden: Digest of the golden set, if it was used.
        preprocess: Digest of the preprocessing profile, if it was used.
        runtime: Name and version of the runtime, e.g. ``onnxruntime 1.32.0``.
        machine: Fingerprint of the processor: architecture and instruction sets, no host name.
        settings: Other settings, in the order in which they were requested.
        cached: Whether the measurement comes from the cache.
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

    def with_settings(self, settings: Mapping[str, str]) -> Self:
        """Return this provenance with further settings."""
        return self.model_copy(update={"settings": self.settings | dict(settings)})


WORDS: Final[dict[type[Any], str]] = {}
"""Name of each registered kind in messages. :mod:`eyerace_parity.evidence.registry` fills it."""


@dataclass(frozen=True, slots=True)
class Need(Generic[E]):
    """A request for one piece of evidence.

    Attributes:
        kind: Type of the evidence.
        variant: Variant to measure; empty for the golden set's own facts.
        target: Target that executes it.
        versus: For times, the variant to interleave with; otherwise the variant to compare with.
        baseline: Whether the evidence is that of the accepted release. With ``versus``, only the other variant is the
            release's.
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
