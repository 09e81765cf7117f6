"""Evidence into the store and out of it again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar, cast

from parity.errors import RecordError
from parity.evidence.codec import decode, encode
from parity.evidence.model import Fact, Golden

if TYPE_CHECKING:
    from parity.evidence.model import Evidence
    from parity.evidence.store import Store

E = TypeVar("E")


def keep(store: Store, key: str, evidence: Evidence) -> None:
    """Put evidence into the store."""
    store.write(type(evidence).__name__.lower(), key, encode(evidence))


def recall(store: Store, kind: type[E], key: str) -> E | None:
    """Take evidence out of the store, marked as such; ``None`` if there is none that is whole."""
    body = store.read(kind.__name__.lower(), key)
    if body is None:
        return None
    try:
        evidence: Any = decode(kind, body)
    except RecordError:
        return None
    if isinstance(evidence, Golden):
        return cast("E", evidence)
    source = evidence.provenance.model_copy(update={"cached": True})
    if isinstance(evidence, Fact):
        return cast("E", evidence.model_copy(update={"provenance": source}))
    return cast("E", dataclasses.replace(evidence, provenance=source))
