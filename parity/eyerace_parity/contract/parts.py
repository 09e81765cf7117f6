"""The part of a contract that a measurement is given, and the digest of exactly that part.

A key that names what a measurement reads is only right if the measurement can read nothing else. So a measurement gets
a copy of the contract in which all other fields are absent: to read one raises ``AttributeError``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import BaseModel

from eyerace_parity.core.digests import json_digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from eyerace_parity.contract.model import Contract

_Tree = dict[str, Any]

ELSEWHERE: Final = (
    "extensions",
    "golden.batch",
    "golden.preprocess",
    "interface.single_file",
    "preprocess",
    "recorded",
    "schema_version",
    "session",
    "variants",
)
"""Fields that every measurement may read, because a provenance names what it takes from them for its variants."""

LIMITS: Final = "variants.*.limits"
"""What a measurement that reads limits states; the settings of its provenance say what it takes from them."""


def contract_part(contract: Contract, reads: tuple[str, ...]) -> Contract:
    """Copy a contract with only some of its fields.

    Args:
        contract: The contract.
        reads: Dotted keys of the fields, with ``*`` for each item of an array or a table, beside :data:`ELSEWHERE`.

    Returns:
        The copy. Fields that a model does not have are ignored: golden sets of different kinds have different ones.
    """
    stated = _tree((*reads, *ELSEWHERE))
    part: Contract = _pruned(contract, stated)
    if LIMITS not in reads:
        bare = {name: variant.model_copy(update={"limits": {}}) for name, variant in contract.variants.items()}
        part.__dict__["variants"] = bare
    return part


def part_digest(contract: Contract, reads: tuple[str, ...]) -> str:
    """Return the digest of the values of some fields of a contract, an empty text for none; see :func:`contract_part`.

    :data:`ELSEWHERE` and :data:`LIMITS` are left out.
    """
    kept = [path for path in reads if path not in {LIMITS, *ELSEWHERE}]
    return json_digest(_plain(_pruned(contract, _tree(kept)))) if kept else ""


def _tree(paths: Sequence[str]) -> _Tree:
    """Arrange dotted keys as a tree; an empty branch stands for all that is below it."""
    root: _Tree = {}
    for path in paths:
        if any(path.startswith(f"{other}.") for other in paths):
            continue  # all of it is stated already
        node = root
        for part in path.split("."):
            node = node.setdefault(part, {})
    return root


def _pruned(value: Any, tree: _Tree) -> Any:
    if not tree or value is None:
        return value
    if isinstance(value, BaseModel):
        copy = value.model_copy()
        # Not those of the class: of a part, a part can be taken again.
        kept = {name: _pruned(item, tree[name]) for name, item in value.__dict__.items() if name in tree}
        copy.__dict__.clear()
        copy.__dict__.update(kept)
        return copy
    if isinstance(value, dict):
        return {name: _pruned(item, tree["*"]) for name, item in value.items()}
    return tuple(_pruned(item, tree["*"]) for item in value)


def _plain(value: Any) -> Any:
    """Return a pruned value as JSON has it."""
    if isinstance(value, BaseModel):
        return {name: _plain(item) for name, item in value.__dict__.items()}
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value if isinstance(value, bool | int | float | str) or value is None else str(value)
