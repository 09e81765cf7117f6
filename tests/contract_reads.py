"""Which values of a contract some code reads: a stand-in that notes every value that is taken from it."""

from __future__ import annotations

import inspect
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from eyerace_parity.contract.model import Contract

Keys = tuple[str, ...]


class Reads:
    """What was read.

    Attributes:
        values: Keys of the values, from the contract's root. A model or a table that was taken as a whole stands for
            all that is in it.
    """

    def __init__(self) -> None:
        self.values: set[Keys] = set()

    def trace(self, contract: Contract) -> Contract:
        """A stand-in for a contract."""
        return _Model(contract, (), self)  # type: ignore[return-value] # it says that it is one

    def cover(self, keys: Keys) -> bool:
        """Whether a value was read, by itself or within a whole."""
        return any(keys[: len(read)] == read for read in self.values)


class _Model:
    """Stands in for a model: its own methods and properties read through it."""

    def __init__(self, real: BaseModel, keys: Keys, reads: Reads) -> None:
        object.__setattr__(self, "_known", (real, keys, reads))

    @property  # type: ignore[misc] # `isinstance` asks for it
    def __class__(self) -> Any:
        return type(object.__getattribute__(self, "_known")[0])

    def __getattr__(self, name: str) -> Any:
        real, keys, reads = object.__getattribute__(self, "_known")
        kind = type(real)
        if name in kind.model_fields:
            return _wrapped(getattr(real, name), (*keys, name), reads)
        found = inspect.getattr_static(kind, name, None)
        if name.startswith("model_") or name in {"root", "file"} or found is None:
            if name.startswith("model_dump") or name == "model_copy":
                reads.values.add(keys)
            return getattr(real, name)
        if isinstance(found, property):
            assert found.fget is not None
            return found.fget(self)
        return MethodType(found, self) if isinstance(found, FunctionType) else getattr(real, name)

    def __eq__(self, other: object) -> bool:
        real, keys, reads = object.__getattribute__(self, "_known")
        reads.values.add(keys)
        return bool(real == other)

    __hash__ = None  # type: ignore[assignment] # as the model that it stands in for, where it holds a table


class _Table(dict[str, Any]):
    """Stands in for a table: whoever asks which keys it has reads these."""

    def __init__(self, real: Mapping[str, Any], keys: Keys, reads: Reads) -> None:
        super().__init__({name: _wrapped(value, (*keys, name), reads, quiet=True) for name, value in real.items()})
        self._known = (real, keys, reads)

    def __getitem__(self, name: str) -> Any:
        real, keys, reads = self._known
        return _wrapped(real[name], (*keys, name), reads)

    def get(self, name: str, default: Any = None) -> Any:
        return self[name] if name in self._known[0] else default

    def __iter__(self) -> Iterator[str]:
        real, keys, reads = self._known
        reads.values.add((*keys, "*"))
        return iter(real)

    def keys(self) -> Any:
        return dict.fromkeys(self).keys()

    def values(self) -> Any:
        return [self[name] for name in self]

    def items(self) -> Any:
        return [(name, self[name]) for name in self]


def _wrapped(value: Any, keys: Keys, reads: Reads, *, quiet: bool = False) -> Any:
    if isinstance(value, BaseModel):
        return _Model(value, keys, reads)
    if isinstance(value, dict) and all(isinstance(each, BaseModel) for each in value.values()) and value:
        return _Table(value, keys, reads)
    if isinstance(value, tuple) and value and all(isinstance(each, BaseModel) for each in value):
        if not quiet:
            reads.values.add((*keys, "*"))
        return tuple(_Model(each, (*keys, str(place)), reads) for place, each in enumerate(value))
    if not quiet:
        reads.values.add(keys)
    return value
