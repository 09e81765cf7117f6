"""Evidence as bytes: facts as JSON, arrays as ``.npz`` with their facts beside them. The store and the record use both.

Equal evidence gives equal bytes: an archive carries no time of day.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import numpy as np

from eyerace_parity.core.errors import MeasurementError, RecordError
from eyerace_parity.core.files import parse_json
from eyerace_parity.evidence.answers import Execution, Golden, Outputs, Repeats
from eyerace_parity.evidence.base import Fact, Provenance
from eyerace_parity.evidence.npz import SUFFIX, Bound, pack, unpack

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eyerace_parity.evidence import Evidence
    from eyerace_parity.evidence.base import Array

E = TypeVar("E")

MAX_BYTES: Final = 4 << 30
"""Most that evidence may hold once unpacked: no golden set has more answers, and a small file may claim any number."""

_FACTS: Final = "facts.json"


def encode(evidence: Evidence) -> bytes:
    """Write evidence down: JSON in UTF-8 for facts, an ``.npz`` for everything that holds arrays."""
    match evidence:
        case Outputs(provenance, arrays, expected):
            return _pack({"provenance": _json(provenance), "expected": expected}, {"arrays": arrays})
        case Repeats():
            groups = {"first": evidence.first, "again": evidence.again, "batched": evidence.batched}
            told = {"samples": evidence.samples, "batch_refused": evidence.batch_refused}
            return _pack({"provenance": _json(evidence.provenance), **told}, groups)
        case Execution():
            told = {name: getattr(evidence, name) for name in ("near", "drawn", "failure", "signal", "next_step")}
            return _pack({"provenance": _json(evidence.provenance), **told}, {"arrays": evidence.arrays})
        case Golden():
            facts: dict[str, Any] = {
                "digest": evidence.digest,
                "ids": evidence.ids,
                "classes": evidence.classes,
                "clusters": evidence.clusters,
            }
            if evidence.columns:  # as version 0.1 wrote it where there are none
                facts["columns"] = dict(evidence.columns)
            return _pack(facts, {"labels": {} if evidence.labels is None else {"labels": evidence.labels}})
        case Fact():
            return evidence.model_dump_json().encode("utf-8")


def decode(kind: type[E], body: bytes) -> E:
    """Read evidence of a kind back.

    Raises:
        RecordError: The bytes are not what :func:`encode` writes for this kind.
    """
    try:
        if issubclass(kind, Fact):
            return kind.model_validate_json(body)
        return cast("E", _decode_arrays(kind, *_unpack(body)))
    except MeasurementError as error:
        raise RecordError(f"these bytes are no {kind.__name__}: {error.reason}") from error
    except Exception as error:  # hostile bytes make their readers raise anything, even TokenError
        raise RecordError(f"these bytes are no {kind.__name__}: {error}") from error


def _decode_arrays(kind: type[Any], facts: dict[str, Any], groups: dict[str, dict[str, Array]]) -> Any:
    if kind is Outputs:
        return Outputs(Provenance.model_validate(facts["provenance"]), groups["arrays"], int(facts["expected"]))
    if kind is Repeats:
        return Repeats(
            Provenance.model_validate(facts["provenance"]),
            tuple(facts["samples"]),
            groups["first"],
            groups["again"],
            groups["batched"],
            facts["batch_refused"],
        )
    if kind is Execution:
        return Execution(
            Provenance.model_validate(facts["provenance"]),
            tuple(facts["near"]),
            tuple(facts["drawn"]),
            groups["arrays"],
            facts["failure"],
            facts["signal"],
            facts["next_step"],
        )
    if kind is Golden:
        labels = groups["labels"].get("labels")
        return Golden(
            facts["digest"],
            tuple(facts["ids"]),
            tuple(facts["classes"]),
            None if labels is None else labels.astype(np.int64, copy=False),
            None if facts["clusters"] is None else tuple(facts["clusters"]),
            {name: tuple(cells) for name, cells in facts.get("columns", {}).items()},
        )
    message = f"unknown kind {kind.__name__}"
    raise TypeError(message)


def _json(provenance: Provenance) -> dict[str, Any]:
    return provenance.model_dump(mode="json", exclude={"cached"})


def _pack(facts: Mapping[str, Any], groups: Mapping[str, Mapping[str, Array]]) -> bytes:
    """Write groups of arrays with their facts. Members are numbered: an output may have any name, a file may not."""
    names = {group: list(arrays) for group, arrays in groups.items()}
    members: dict[str, Array | bytes] = {
        _FACTS: json.dumps({**facts, "names": names}, ensure_ascii=False).encode("utf-8")
    }
    for group, arrays in groups.items():
        members |= {_member(group, number): array for number, array in enumerate(arrays.values())}
    return pack(members)


def _unpack(body: bytes) -> tuple[dict[str, Any], dict[str, dict[str, Array]]]:
    others, arrays = unpack(body, "the archive", Bound(MAX_BYTES))
    facts = parse_json(others[_FACTS])
    groups = {
        group: {name: arrays[_member(group, number)] for number, name in enumerate(names)}
        for group, names in facts.pop("names").items()
    }
    return facts, groups


def _member(group: str, number: int) -> str:
    return f"{group}-{number}{SUFFIX}"
