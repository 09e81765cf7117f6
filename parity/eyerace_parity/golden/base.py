"""Interface of all golden sets, and helpers to check and time them."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.errors import GoldenError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array

MOST_PROBLEMS: Final = 10
"""Most problems of one kind that a message lists. The others are only counted."""


class GoldenSet(ABC):
    """A checked, immutable set of samples. Opening it verifies everything that needs no decoding.

    Attributes:
        digest: Digest of the whole set.
        ids: Name of each sample, in order.
    """

    digest: str
    ids: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def facts(self) -> GoldenFacts:
        """Return the facts of the set that need no model."""

    @abstractmethod
    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare the inputs of one sample. Thread-safe; photographs are not kept in memory.

        The bytes are hashed before decoding, so that the inputs belong to :attr:`digest`.

        Args:
            index: Index of the sample, from 0.
            profile: Preprocessing profile of the variant; ignored for tensors.

        Returns:
            Inputs by name, without the sample axis.

        Raises:
            GoldenError: The sample cannot be decoded, or does not match the interface.
            InputChanged: The file has changed since the set was opened.
        """

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare the inputs of one sample without hashing, for timing. Call :meth:`check` afterwards."""
        return self.feeds(index, profile)

    def check(self, index: int) -> None:  # noqa: B027 - a set that reads nothing unchecked has nothing to check
        """Check that a sample's file has not changed since the set was opened.

        Raises:
            GoldenError: The file cannot be read.
            InputChanged: The file has changed.
        """

    def times(self, begin: int, end: int, profile: Preprocess | None) -> Array:
        """Time the preparation of samples; see :func:`preparation`.

        If another process prepares the samples, it also measures the times.
        """
        return preparation(self, begin, end, profile)

    @abstractmethod
    def identity(self, index: int) -> str:
        """Return the digest of one sample before decoding.

        Raises:
            GoldenError: The sample cannot be read.
        """

    def photograph(self, index: int) -> Path | None:  # noqa: ARG002 - tensors have no photograph
        """Return the path of a sample's photograph; ``None`` for tensors."""
        return None


class GoldenSetProxy(GoldenSet):
    """Delegates to another golden set. Subclasses override single methods.

    Args:
        golden: The wrapped set.
    """

    def __init__(self, golden: GoldenSet) -> None:
        self._golden = golden
        self.digest = golden.digest
        self.ids = golden.ids

    def facts(self) -> GoldenFacts:
        """Return the facts of the set that need no model."""
        return self._golden.facts()

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare the inputs of one sample; see :meth:`GoldenSet.feeds`."""
        return self._golden.feeds(index, profile)

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Prepare the inputs of one sample without hashing; see :meth:`GoldenSet.unchecked`."""
        return self._golden.unchecked(index, profile)

    def check(self, index: int) -> None:
        """Check that a sample's file has not changed; see :meth:`GoldenSet.check`."""
        self._golden.check(index)

    def identity(self, index: int) -> str:
        """Return the digest of one sample before decoding."""
        return self._golden.identity(index)

    def photograph(self, index: int) -> Path | None:
        """Return the path of a sample's photograph."""
        return self._golden.photograph(index)


def refuse(problems: Sequence[str], next_step: str) -> None:
    """Raise one error that lists all problems of one kind, if there are any.

    Raises:
        GoldenError: There is a problem.
    """
    if problems:
        rest = len(problems) - MOST_PROBLEMS
        more = [f"… and {rest} more"] if rest > 0 else []
        raise GoldenError("\n".join([*problems[:MOST_PROBLEMS], *more]), next_step=next_step)


def check_digest(found: str, stated: str | None, what: str) -> None:
    """Compare a set's digest with the contract's.

    Args:
        found: Actual digest of the set.
        stated: Digest in the contract, or ``None``.
        what: What must have changed if they differ, for the message.

    Raises:
        GoldenError: They differ.
    """
    if stated is not None and found != stated:
        raise GoldenError(
            f"the golden set is not the one of the contract: its digest is {found}, golden.digest says {stated}; "
            f"{what} changed",
            next_step="restore the set, or, if the change is meant, state the new digest and review every limit",
        )


def timed(work: Callable[[int], object], begin: int, end: int) -> Array:
    """Time repeated calls of a function.

    Args:
        work: The function; it gets the number of the call.
        begin: Number of the first call, from 0.
        end: Number after the last call.

    Returns:
        Wall time and this thread's CPU time of each call, int64 [2, calls], in ns.
    """
    taken = np.zeros((2, end - begin), np.int64)
    for turn in range(begin, end):
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        work(turn)
        taken[1, turn - begin] = time.thread_time_ns() - cpu
        taken[0, turn - begin] = time.perf_counter_ns() - wall
    return taken


def preparation(golden: GoldenSet, begin: int, end: int, profile: Preprocess | None) -> Array:
    """Time the preparation of golden samples, including reading and decoding. After the last sample the first follows.

    Returns:
        As :func:`timed`.

    Raises:
        GoldenError: A sample cannot be prepared.
        InputChanged: A file has changed since the set was opened.
    """
    taken = timed(lambda turn: golden.unchecked(turn % len(golden), profile), begin, end)
    # Hash afterwards: an app does not hash its photographs, so hashing must not count.
    for sample in {turn % len(golden) for turn in range(begin, end)}:
        golden.check(sample)
    return taken
