"""Evidence as bytes: facts as JSON, arrays as ``.npz`` with their facts beside them. The store and the record use both.

Equal evidence gives equal bytes: an archive carries no time of day.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Any, Final, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from pydantic import TypeAdapter

from eyerace_parity.core.errors import RecordError
from eyerace_parity.evidence.base import WORDS, Fact, Provenance

if TYPE_CHECKING:
    from eyerace_parity.evidence.base import Array

E = TypeVar("E")

MAX_BYTES: Final = 4 << 30
"""Most that evidence may hold once unpacked: no golden set has more answers, and a small file may claim any number."""

_FACTS: Final = "facts.json"
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def encode(evidence: Any) -> bytes:
    """Write evidence down: JSON in UTF-8 for facts, an ``.npz`` for a dataclass that holds arrays.

    The plain fields of a dataclass become JSON, each of its array fields a group of arrays.
    """
    if isinstance(evidence, Fact):
        return evidence.model_dump_json().encode("utf-8")
    facts: dict[str, Any] = {}
    groups: dict[str, Mapping[str, Array]] = {}
    kind: Any = type(evidence)
    for name, form in _forms(kind).items():
        value = getattr(evidence, name)
        if isinstance(form, TypeAdapter):
            facts[name] = _json(value) if isinstance(value, Provenance) else value
        elif form.mapping:
            groups[name] = value
        else:
            groups[name] = {} if value is None else {name: value}
    return _pack(facts, groups)


def decode(kind: type[E], body: bytes) -> E:
    """Read evidence of a kind back.

    Raises:
        RecordError: The bytes are not what :func:`encode` writes for this kind.
    """
    try:
        if issubclass(kind, Fact):
            return kind.model_validate_json(body)
        facts, groups = _unpack(body)
        return kind(**_read_fields(kind, facts, groups))
    except Exception as error:  # hostile bytes make their readers raise anything, even TokenError
        raise RecordError(f"these bytes are no {WORDS.get(kind, kind.__name__)}: {error}") from error


def _read_fields(kind: Any, facts: dict[str, Any], groups: dict[str, dict[str, Array]]) -> dict[str, Any]:
    return {
        name: form.validate_python(facts[name]) if isinstance(form, TypeAdapter) else form.read(name, groups[name])
        for name, form in _forms(kind).items()
    }


@dataclass(frozen=True, slots=True)
class _Arrays:
    """A field that holds arrays.

    Attributes:
        mapping: Whether it holds arrays by name, and not one.
        dtype: Element type that a single array has, or ``None`` for any.
        optional: Whether there may be no array.
    """

    mapping: bool
    dtype: type[np.generic] | None = None
    optional: bool = False

    def read(self, name: str, group: dict[str, Array]) -> Any:
        """The value of the field.

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
    """How each field of a dataclass is written, from its annotation; what that names must exist at run time."""
    if not is_dataclass(kind):
        message = f"{kind.__name__} is neither a Fact nor a dataclass"
        raise TypeError(message)
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
    """Write groups of arrays with their facts. Members are numbered: an output may have any name, a file may not."""
    buffer = io.BytesIO()
    names = {group: list(arrays) for group, arrays in groups.items()}
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        text = json.dumps({**facts, "names": names}, ensure_ascii=False)
        archive.writestr(zipfile.ZipInfo(_FACTS, _EPOCH), text.encode("utf-8"))
        for group, arrays in groups.items():
            for number, array in enumerate(arrays.values()):
                with archive.open(zipfile.ZipInfo(f"{group}-{number}.npy", _EPOCH), "w", force_zip64=True) as member:
                    np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
    return buffer.getvalue()


def _unpack(body: bytes) -> tuple[dict[str, Any], dict[str, dict[str, Array]]]:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            message = f"they hold more than {MAX_BYTES} bytes"
            raise ValueError(message)
        facts = json.loads(archive.read(_FACTS))
        groups: dict[str, dict[str, Array]] = {}
        for group, names in facts.pop("names").items():
            groups[group] = {}
            for number, name in enumerate(names):
                with archive.open(f"{group}-{number}.npy") as member:
                    groups[group][name] = np.lib.format.read_array(member, allow_pickle=False)
    return facts, groups
