"""Reads the accepted flips of a bundle: a committed and reviewed TOML file with one entry for each flip."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from eyerace_parity.contract.sections import FlipFile
from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.core.errors import InputChanged
from eyerace_parity.core.files import display_path
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.flips import KnownFlips
from eyerace_parity.measure.measurer import Measurer

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.base import Need
    from eyerace_parity.measure.context import MeasurementContext


_MAX_BYTES: Final = 1 << 24
"""Largest file in bytes (16 MiB): no one reviews more flips."""


def provenance(context: MeasurementContext, need: Need[KnownFlips]) -> Provenance:
    """Make the provenance: the file, its digest, and the date."""
    body = _body(context.contract)
    settings = {"file": context.contract.flips.accepted.as_posix(), "today": today()}
    return Provenance(variant="", target=need.target, artefact=bytes_digest(body) if body else "", settings=settings)


def measure(context: MeasurementContext, _need: Need[KnownFlips], source: Provenance) -> KnownFlips:
    """Read the file; an invalid file gives evidence with a failure and accepts nothing."""
    try:
        body = _body(context.contract)
        if (bytes_digest(body) if body else "") != source.artefact:
            raise InputChanged(
                f"{display_path(context.contract.path(context.contract.flips.accepted))} changed while it was read"
            )
        entries = read(context.contract, body)
    except ValueError as error:
        return KnownFlips(provenance=source, failure=str(error), today=today())
    return KnownFlips(provenance=source, today=today(), entries=entries.flip)


def read(contract: Contract, body: bytes | None = None) -> FlipFile:
    """Read what a bundle accepts.

    Args:
        contract: The contract.
        body: The file's bytes, where they were read already.

    Raises:
        ValueError: The file is not what it should be; says where and what.
    """
    place = display_path(contract.path(contract.flips.accepted))
    body = _body(contract) if body is None else body
    if len(body) > _MAX_BYTES:
        # A truncated file may be valid TOML and would accept the flips of its first part.
        raise ValueError(f"{place} is larger than {_MAX_BYTES >> 20} MiB")
    try:
        file = FlipFile.model_validate(tomllib.loads(body.decode("utf-8-sig")))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ValueError(f"{place}: {where}: {first['msg']}") from None
    except RecursionError:
        raise ValueError(f"{place}: arrays or tables are nested too deep") from None
    except ValueError as error:  # not UTF-8, not TOML, or a number with too many digits
        raise ValueError(f"{place} is not TOML: {error}") from None
    seen: set[tuple[str, ...]] = set()
    for entry in file.flip:
        key = (entry.id, entry.variant, entry.against)
        if key in seen:
            raise ValueError(f"{place}: {entry.id} is listed twice for {entry.variant} against {entry.against}")
        seen.add(key)
        if entry.variant not in contract.variants:
            message = f"{place}: {entry.id} names the variant {entry.variant!r}, which the contract does not know"
            raise ValueError(message)
    return file


def today() -> str:
    """Return the date in UTC, ISO 8601, which is the same on every machine."""
    return datetime.now(UTC).date().isoformat()


def _body(contract: Contract) -> bytes:
    """Return the file's bytes; empty without a file, because a bundle without accepted flips needs none.

    Of a file that is too large, one byte more than the limit is returned.
    """
    path = contract.path(contract.flips.accepted)
    try:
        with path.open("rb") as file:
            return file.read(_MAX_BYTES + 1)
    except FileNotFoundError:
        return b""


KNOWN_FLIPS: Final = Measurer(provenance, measure)
