"""Evidence into the store and out of it again."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from eyerace_parity.core.errors import RecordError
from eyerace_parity.evidence.answers import Golden
from eyerace_parity.evidence.base import Fact
from eyerace_parity.evidence.codec import decode, encode

if TYPE_CHECKING:
    from eyerace_parity.evidence import Evidence
    from eyerace_parity.measure.cache import Store

E = TypeVar("E")

_FAILED: Final = ("failure", "batch_refused", "checker")
"""Fields in which evidence says that something failed."""


def keep(store: Store, key: str, evidence: Evidence) -> None:
    """Put evidence into the store, if it is true of more than this run.

    What failed while a limit on this process was in force may have failed of the limit, however native code worded it.
    """
    if any(getattr(evidence, name, "") for name in _FAILED) and _limited():
        return
    store.write(type(evidence).__name__.lower(), key, encode(evidence))


def _limited() -> bool:
    """Whether this process, and so all that it starts, has less memory, disk or time than the machine gives."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return False
    kinds = (resource.RLIMIT_AS, resource.RLIMIT_DATA, resource.RLIMIT_FSIZE, resource.RLIMIT_CPU)
    return any(resource.getrlimit(kind)[0] != resource.RLIM_INFINITY for kind in kinds)


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
