"""What every golden set is, whatever it is made of."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

import numpy as np

from eyerace_parity.core.errors import GoldenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.evidence.answers import GoldenFacts
    from eyerace_parity.evidence.base import Array

MOST_PROBLEMS: Final = 10
"""Problems told of one kind before the rest is only counted."""


class GoldenSet(ABC):
    """A checked, frozen set of samples. Opening one has verified all that can be verified without decoding.

    Attributes:
        digest: Digest of the whole set.
        ids: One name a sample, in order.
        columns: Further columns of the table of labels, one text a sample; empty for tensors.
    """

    digest: str
    ids: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def facts(self) -> GoldenFacts:
        """What is known of the set without a model."""

    @abstractmethod
    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Make one sample's inputs. May be called from several threads at once; keeps no sample in memory.

        The bytes that are decoded are hashed first: they are those of :attr:`digest`.

        Args:
            index: Place of the sample, from 0.
            profile: Preprocessing profile of the variant; a set of tensors has none.

        Returns:
            Every input by name, without the axis that counts samples.

        Raises:
            GoldenError: The sample cannot be decoded or is not what the interface takes.
            InputChanged: Its file is not the one that was there when the set was opened.
        """

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """Make one sample's inputs as an app does, whose time is taken; :meth:`check` belongs after it."""
        return self.feeds(index, profile)

    def check(self, index: int) -> None:  # noqa: B027 - a set that reads nothing unchecked has nothing to check
        """Make sure that a sample's file is still the one that was there when the set was opened.

        Raises:
            GoldenError: It cannot be read.
            InputChanged: It is another.
        """

    def times(self, begin: int, end: int, profile: Preprocess | None) -> Array:
        """Time the preparation of samples; see :func:`preparation`.

        Where another process prepares them, it takes the times, too.
        """
        return preparation(self, begin, end, profile)

    @abstractmethod
    def identity(self, index: int) -> str:
        """Digest of one sample as it lies there, before it is decoded.

        Raises:
            GoldenError: It cannot be read.
        """

    def photograph(self, index: int) -> Path | None:  # noqa: ARG002 - what is no photograph has none
        """Where the photograph of a sample lies; ``None`` for a set of tensors."""
        return None


class GoldenSetProxy(GoldenSet):
    """A golden set that is another one in all that a subclass does not change.

    Args:
        golden: The other.
    """

    def __init__(self, golden: GoldenSet) -> None:
        self._golden = golden
        self.digest = golden.digest
        self.ids = golden.ids
        self.columns = golden.columns

    def facts(self) -> GoldenFacts:
        """What is known of the set without a model."""
        return self._golden.facts()

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        return self._golden.feeds(index, profile)

    def unchecked(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """The same as an app does it; see :meth:`GoldenSet.unchecked`."""
        return self._golden.unchecked(index, profile)

    def check(self, index: int) -> None:
        """Make sure that a sample's file is still the same; see :meth:`GoldenSet.check`."""
        self._golden.check(index)

    def identity(self, index: int) -> str:
        """Digest of one sample as it lies there."""
        return self._golden.identity(index)

    def photograph(self, index: int) -> Path | None:
        """Where the photograph of a sample lies."""
        return self._golden.photograph(index)


def refuse(problems: Sequence[str], next_step: str) -> None:
    """Raise one error of all problems of a kind, if there is any.

    Raises:
        GoldenError: There is any problem.
    """
    if problems:
        rest = len(problems) - MOST_PROBLEMS
        more = [f"… and {rest} more"] if rest > 0 else []
        raise GoldenError("\n".join([*problems[:MOST_PROBLEMS], *more]), next_step=next_step)


def check_digest(found: str, stated: str | None, what: str) -> None:
    """Compare a set's digest to the contract's.

    Args:
        found: Digest of the set as it is.
        stated: Digest that the contract demands, if any.
        what: What must have changed if they differ.

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
    """Do some work again and again.

    Args:
        work: What is done; it is given the number of the turn.
        begin: Number of the first turn, from 0.
        end: Number after the last.

    Returns:
        Wall time and CPU time of this thread, int64 [2, turns] in ns.
    """
    taken = np.zeros((2, end - begin), np.int64)
    for turn in range(begin, end):
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        work(turn)
        taken[1, turn - begin] = time.thread_time_ns() - cpu
        taken[0, turn - begin] = time.perf_counter_ns() - wall
    return taken


def preparation(golden: GoldenSet, begin: int, end: int, profile: Preprocess | None) -> Array:
    """Prepare golden samples one after the other, reading and decoding included, the first again after the last.

    Returns:
        As :func:`timed`.

    Raises:
        GoldenError: One cannot be prepared.
        InputChanged: One is no longer the file that was there when the set was opened.
    """
    taken = timed(lambda turn: golden.unchecked(turn % len(golden), profile), begin, end)
    # Hashed afterwards: an app that prepares a photograph does not hash it.
    for sample in {turn % len(golden) for turn in range(begin, end)}:
        golden.check(sample)
    return taken
