"""How long it takes to turn golden photographs into tensors, reading and decoding included."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from parity.contract.data import Preprocess
    from parity.evidence.model import Array
    from parity.golden.base import GoldenSet


def times(golden: GoldenSet, begin: int, end: int, profile: Preprocess | None) -> Array:
    """Prepare samples one after the other, the first again after the last.

    Args:
        golden: The set.
        begin: Number of the first, from 0.
        end: Number after the last.
        profile: How to prepare them.

    Returns:
        Wall time and CPU time of this thread, int64 [2, samples] in ns.

    Raises:
        GoldenError: One cannot be prepared.
    """
    taken = np.zeros((2, end - begin), np.int64)
    for place in range(end - begin):
        wall, cpu = time.perf_counter_ns(), time.thread_time_ns()
        golden.feeds((begin + place) % len(golden), profile)
        taken[1, place] = time.thread_time_ns() - cpu
        taken[0, place] = time.perf_counter_ns() - wall
    return taken
