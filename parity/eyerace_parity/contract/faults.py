"""Contradictions between parts of a contract that are each fine alone, told all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from eyerace_parity.core.places import did_you_mean, listed

if TYPE_CHECKING:
    from collections.abc import Iterable

CONTRADICTION = "contradiction"
"""Type of the errors raised here; their text is a sentence for the user as it stands."""


class Faults:
    """Collects what is wrong, each with its place, and raises it as one error."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, keys: tuple[str, ...], sentence: str) -> None:
        """Keep a contradiction.

        Args:
            keys: Where it stands, from the contract's root.
            sentence: What is wrong with it.
        """
        # The sentence is passed as a value: it may hold braces of its own.
        error = PydanticCustomError(CONTRADICTION, "{sentence}", {"sentence": sentence})
        self._found.append(InitErrorDetails(type=error, loc=keys, input=None))

    def unknown(self, keys: tuple[str, ...], found: str, known: Iterable[str], what: str) -> None:
        """Keep a reference that leads nowhere.

        Args:
            keys: Where it stands.
            found: The name that is referred to.
            known: The names that exist.
            what: What was looked for, e.g. ``variant``.
        """
        names = list(known)
        allowed = f"allowed: {listed(names)}" if names else f"there is no {what} at all"
        self.add(keys, f"there is no {what} {found!r}{did_you_mean(found, names) or ';'} {allowed}")

    def raise_if_any(self) -> None:
        """Raise all that was kept.

        Raises:
            ValidationError: Anything was kept.
        """
        if self._found:
            raise ValidationError.from_exception_data("Contract", self._found)

    def __bool__(self) -> bool:
        return bool(self._found)
