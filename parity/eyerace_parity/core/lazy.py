"""A mapping whose values are made when they are first asked for."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import TypeVar

V = TypeVar("V")


class LazyMapping(Mapping[str, V]):
    """Makes each value once.

    Args:
        names: All keys.
        make: Makes the value of a key.

    Attributes:
        made: The values that were asked for, by key.
    """

    def __init__(self, names: Collection[str], make: Callable[[str], V]) -> None:
        self._names = names
        self._make = make
        self.made: dict[str, V] = {}

    def __getitem__(self, name: str) -> V:
        if name not in self.made:
            if name not in self._names:
                raise KeyError(name)
            self.made[name] = self._make(name)
        return self.made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
