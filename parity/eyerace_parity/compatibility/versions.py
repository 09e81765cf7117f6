"""Versions of ONNX Runtime, as far as they decide what a runtime takes: patches do not."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SPELLING: Final = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.\d+)*(?:[.+-]?[A-Za-z][\w.+-]*|\+[\w.]+)?")
"""``1.21``, ``1.21.0``, and what development builds add: ``1.33.0.dev20261101001``, ``1.22.0+cpu``."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A minor release, such as 1.21.

    Attributes:
        major: The part before the point.
        minor: The part after it.
    """

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read a version; ``1.21``, ``1.21.0`` and ``1.21.2.dev3`` are all 1.21.

        Raises:
            ValueError: The text is no version.
        """
        found = _SPELLING.fullmatch(text.strip())
        if found is None:
            message = f"{text!r} is no version of onnxruntime; write it as 1.21 or 1.21.0"
            raise ValueError(message)
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """Releases from one to another, both included.

    Attributes:
        first: The oldest.
        last: The newest.
    """

    first: Version
    last: Version

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Read ``1.16-1.23``, or ``1.24`` alone.

        Raises:
            ValueError: The text is no span.
        """
        first, _, last = text.partition("-")
        return cls(Version.parse(first), Version.parse(last or first))

    def __contains__(self, version: object) -> bool:
        return isinstance(version, Version) and self.first <= version <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
