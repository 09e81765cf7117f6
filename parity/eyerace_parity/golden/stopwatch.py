"""Times of some work of this process's own thread, and of turning golden photographs into tensors."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet


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
