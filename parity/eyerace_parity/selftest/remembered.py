"""Golden samples that are prepared once for all faults: decoding and resizing took a third of the self-test."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from eyerace_parity.golden.base import Wrapped

if TYPE_CHECKING:
    from eyerace_parity.contract.data import Preprocess
    from eyerace_parity.evidence.base import Array
    from eyerace_parity.golden.base import GoldenSet

ROOM: Final = 1 << 30
"""Bytes of prepared samples that are kept; what does not fit is prepared again."""


@dataclass(slots=True)
class Memory:
    """Prepared samples of any golden sets, by set, profile and index.

    Attributes:
        room: Bytes that are left.
        samples: What is kept.
    """

    room: int = ROOM
    samples: dict[tuple[str, str, int], dict[str, Array]] = field(default_factory=dict)

    def keep(self, key: tuple[str, str, int], feeds: dict[str, Array]) -> None:
        """Keep a sample, if it fits."""
        size = sum(array.nbytes for array in feeds.values())
        if size <= self.room:
            self.room -= size
            for array in feeds.values():
                array.flags.writeable = False  # it will be handed out again
            self.samples[key] = feeds


class Remembered(Wrapped):
    """A golden set that gives what it has prepared before.

    Args:
        golden: The set.
        memory: What has been prepared, shared with other sets.
    """

    def __init__(self, golden: GoldenSet, memory: Memory) -> None:
        super().__init__(golden)
        self._memory = memory

    def feeds(self, index: int, profile: Preprocess | None) -> dict[str, Array]:
        """One prepared sample; see :meth:`GoldenSet.feeds`."""
        key = (self.digest, "" if profile is None else profile.model_dump_json(), index)
        found = self._memory.samples.get(key)
        if found is None:
            found = self._golden.feeds(index, profile)
            self._memory.keep(key, found)
        return dict(found)
