"""Overrides of contract values from outside the file: ``variants.int8.limits.quality.f1=0.9``."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Sequence

NAMED_TABLES = ("variants", "preprocess")
"""Tables whose keys are names of the contract. An override changes existing entries and adds no names."""

_EXAMPLE = "write it as KEY=VALUE, e.g. variants.int8.limits.quality.f1=0.9"


@dataclass(frozen=True, slots=True)
class Override:
    """One value that replaces a value of the contract file, or adds one.

    Attributes:
        key: Dotted key, as in TOML; a number is an index in an array.
        value: The value, as parsed from TOML.
        origin: Where it was set, e.g. ``command line --eyerace-parity-set``.
    """

    key: str
    value: object
    origin: str

    @property
    def keys(self) -> tuple[str, ...]:
        """Parts of the key.

        Raises:
            ContractError: The key is not a dotted key.
        """
        return _parts(self.key, self.origin)


def parse_override(text: str, origin: str) -> Override:
    """Parse ``KEY=VALUE``. A value that is not valid TOML is taken as text.

    Raises:
        ContractError: The key or the value is missing.
    """
    key, equals, value = text.partition("=")
    key, value = key.strip(), value.strip()
    if not (key and equals and value):
        raise ContractError(f"{origin}: {text!r} is not a key with a value", next_step=_EXAMPLE)
    _parts(key, origin)
    return Override(key, _value(value), origin)


def apply_overrides(document: dict[str, Any], overrides: Sequence[Override]) -> dict[tuple[str, ...], str]:
    """Set values in a contract's document, in order. The last one wins.

    Args:
        document: The parsed contract file; changed in place.
        overrides: The values to set.

    Returns:
        The origin of every key that was set.

    Raises:
        ContractError: A key does not exist.
    """
    origins: dict[tuple[str, ...], str] = {}
    for override in overrides:
        keys = override.keys
        _set(document, keys, override)
        origins[keys] = override.origin
    return origins


def _parts(key: str, origin: str) -> tuple[str, ...]:
    wrong = ContractError(f"{origin}: {key!r} is not a dotted key", next_step=_EXAMPLE)
    try:
        node: Any = tomllib.loads(f"{key} = 0")
    except (ValueError, RecursionError):
        raise wrong from None
    parts: list[str] = []
    while isinstance(node, dict):
        # A line break in the key would inject a second statement.
        if len(node) != 1:
            raise wrong
        part, node = next(iter(node.items()))
        parts.append(part)
    return tuple(parts)


def _value(text: str) -> object:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["value"] if len(parsed) == 1 else text


def _set(document: dict[str, Any], keys: tuple[str, ...], override: Override) -> None:
    node: Any = document
    for depth, part in enumerate(keys):
        place = ".".join(keys[:depth]) or "the contract"
        last = depth == len(keys) - 1
        if isinstance(node, dict):
            if depth == 1 and keys[0] in NAMED_TABLES and part not in node:
                raise _nothing_there(override, place, part, list(node))
            if last:
                node[part] = override.value
            else:
                node = node.setdefault(part, {})
        elif isinstance(node, list):
            if not (part.isdecimal() and int(part) < len(node)):
                raise _nothing_there(override, place, part, [str(number) for number in range(len(node))])
            if last:
                node[int(part)] = override.value
            else:
                node = node[int(part)]
        else:
            raise ContractError(f"{override.origin}: {override.key}: {place} is a value, it has no {part!r}")


def _nothing_there(override: Override, place: str, part: str, known: list[str]) -> ContractError:
    near = did_you_mean(part, known)
    return ContractError(
        f"{override.origin}: {override.key}: {place} has no {part!r}{near}",
        next_step=f"name one of: {join_names(known)}" if known else f"{place} is empty; add to it in the file",
    )
