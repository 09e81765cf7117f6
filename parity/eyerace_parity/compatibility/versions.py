"""Versions of ONNX Runtime. Only major and minor matter: patch releases support the same files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

_SPELLING: Final = re.compile(r"(\d{1,3})\.(\d{1,3})(?:\.\d+)*(?:[.+-]?[A-Za-z][\w.+-]*|\+[\w.]+)?")
"""Matches ``1.21``, ``1.21.0``, and development builds: ``1.33.0.dev20261101001``, ``1.22.0+cpu``."""


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A minor release, such as 1.21.

    Attributes:
        major: The number before the point.
        minor: The number after it.
    """

    major: int
    minor: int

    @classmethod
    def parse(cls, text: str) -> Version:
        """Parse a version; ``1.21``, ``1.21.0`` and ``1.21.2.dev3`` are all 1.21.

        Raises:
            ValueError: The text is not a version.
        """
        match = _SPELLING.fullmatch(text.strip())
        if match is None:
            message = f"{text!r} is not a version of onnxruntime; write it as 1.21 or 1.21.0"
            raise ValueError(message)
        return cls(int(match[1]), int(match[2]))

    def __str__(self) -> str:
        return f"{self.major}.{self.minor}"


@dataclass(frozen=True, slots=True)
class VersionRange:
    """A range of releases, both ends included.

    Attributes:
        first: The oldest.
        last: The newest.
    """

    first: Version
    last: Version

    @classmethod
    def parse(cls, text: str) -> VersionRange:
        """Parse ``1.16-1.23``, or ``1.24`` alone.

        Raises:
            ValueError: The text is not a range.
        """
        first, _, last = text.partition("-")
        return cls(Version.parse(first), Version.parse(last or first))

    def __contains__(self, version: object) -> bool:
        return isinstance(version, Version) and self.first <= version <= self.last

    def __str__(self) -> str:
        return str(self.first) if self.first == self.last else f"{self.first}-{self.last}"
