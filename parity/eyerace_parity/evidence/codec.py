"""Encodes evidence for the cache and the record: facts as JSON, arrays as ``.npz`` together with their facts.

Equal evidence gives equal bytes, because archives contain no timestamps.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import TypeAdapter

from eyerace_parity.core.errors import RecordError
from eyerace_parity.core.files import parse_json
from eyerace_parity.evidence.base import WORDS, Fact, Provenance
from eyerace_parity.evidence.npz import SUFFIX, Bound, pack, unpack

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

E = TypeVar("E")

MAX_BYTES: Final = 4 << 30
"""Most bytes of decoded evidence. No golden set has more outputs, and a small archive can claim any size (zip bomb)."""

_FACTS: Final = "facts.json"
_NAMES: Final = "names"


def encode(evidence: Any) -> bytes:
    """Encode evidence: JSON in UTF-8 for facts, ``.npz`` for a dataclass with arrays.

    Plain fields of a dataclass become JSON. Each array field becomes a group of arrays.
    """
    if isinstance(evidence, Fact):
        return evidence.model_dump_json().encode("utf-8")
    facts: dict[str, Any] = {}
    groups: dict[str, Mapping[str, Array]] = {}
    kind: Any = type(evidence)
    empty = _defaults(kind)
    for name, form in _forms(kind).items():
        value = getattr(evidence, name)
        if name in empty and value == empty[name]:
            continue  # such a field was added later; without a value the bytes must equal those of older versions
        if isinstance(form, TypeAdapter):
            facts[name] = _json(value) if isinstance(value, Provenance) else value
        elif form.mapping:
            groups[name] = value
        else:
            groups[name] = {} if value is None else {name: value}
    return _pack(facts, groups)


def decode(kind: type[E], body: bytes) -> E:
    """Decode evidence of a kind.

    Raises:
        RecordError: The bytes are not an encoding of this kind.
    """
    try:
        if issubclass(kind, Fact):
            return kind.model_validate_json(body)
        facts, groups = _unpack(body)
        return kind(**_read_fields(kind, facts, groups))
    except Exception as error:  # numpy parses headers as Python source, so damaged bytes raise even TokenError
        raise RecordError(f"these bytes are no {WORDS.get(kind, kind.__name__)}: {error}") from error


def _read_fields(kind: Any, facts: dict[str, Any], groups: dict[str, dict[str, Array]]) -> dict[str, Any]:
    empty = _defaults(kind)
    return {
        name: form.validate_python(facts[name]) if isinstance(form, TypeAdapter) else form.read(name, groups[name])
        for name, form in _forms(kind).items()
        if name not in empty or name in facts
    }


def _defaults(kind: Any) -> dict[str, Any]:
    """Return the default values of the fields that may be omitted, by name."""
    return {field.name: field.default_factory() for field in fields(kind) if field.default_factory is not MISSING}


@dataclass(frozen=True, slots=True)
class _Arrays:
    """Form of a field with arrays.

    Attributes:
        mapping: Whether the field maps names to arrays, instead of holding one array.
        dtype: Element type of a single array, or ``None`` for any.
        optional: Whether the field may be ``None``.
    """

    mapping: bool
    dtype: type[np.generic] | None = None
    optional: bool = False

    def read(self, name: str, group: dict[str, Array]) -> Any:
        """Return the value of the field.

        Raises:
            KeyError: The array is missing.
        """
        if self.mapping:
            return group
        if self.optional and not group:
            return None
        return group[name] if self.dtype is None else group[name].astype(self.dtype, copy=False)


@cache
def _forms(kind: Any) -> dict[str, _Arrays | TypeAdapter[Any]]:
    """Return the form of each field of a dataclass. It evaluates annotations, so their names must exist at run time."""
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is neither a Fact nor a dataclass")
    if any(field.name == _NAMES for field in fields(kind)):
        raise TypeError(f"{kind}: no field may be called {_NAMES!r}, under which the names of arrays are written")
    hints = get_type_hints(kind)
    return {field.name: _arrays(hints[field.name]) or TypeAdapter(hints[field.name]) for field in fields(kind)}


def _arrays(hint: Any) -> _Arrays | None:
    choices = get_args(hint) if get_origin(hint) in {Union, UnionType} else (hint,)
    found = [choice for choice in choices if get_origin(choice) is np.ndarray]
    if found:
        ((dtype,),) = (get_args(get_args(choice)[1]) for choice in found)
        exact = dtype if isinstance(dtype, type) and dtype is not np.generic else None
        return _Arrays(mapping=False, dtype=exact, optional=NoneType in choices)
    held = get_args(hint) if get_origin(hint) is Mapping else ()
    return _Arrays(mapping=True) if held and get_origin(held[1]) is np.ndarray else None


def _json(provenance: Provenance) -> dict[str, Any]:
    return provenance.model_dump(mode="json", exclude={"cached"})


def _pack(facts: Mapping[str, Any], groups: Mapping[str, Mapping[str, Array]]) -> bytes:
    """Pack facts and groups of arrays. Members are numbered, because an output's name may be no valid file name."""
    names = {group: list(arrays) for group, arrays in groups.items()}
    members: dict[str, Array | bytes] = {
        _FACTS: json.dumps({**facts, _NAMES: names}, ensure_ascii=False).encode("utf-8")
    }
    for group, arrays in groups.items():
        members |= {_member(group, number): array for number, array in enumerate(arrays.values())}
    return pack(members)


def _unpack(body: bytes) -> tuple[dict[str, Any], dict[str, dict[str, Array]]]:
    others, arrays = unpack(body, "the archive", Bound(MAX_BYTES))
    facts = parse_json(others[_FACTS])
    groups = {
        group: {name: arrays[_member(group, number)] for number, name in enumerate(names)}
        for group, names in facts.pop(_NAMES).items()
    }
    return facts, groups


def _member(group: str, number: int) -> str:
    return f"{group}-{number}{SUFFIX}"
