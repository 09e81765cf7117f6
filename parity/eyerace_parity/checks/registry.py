"""The one place where families of checks are registered, in the order of the report's rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin

from pydantic import ByteSize, create_model

from eyerace_parity.checks.limits import RatioLimit
from eyerace_parity.contract.base import LazyLimits
from eyerace_parity.contract.load import load_contract
from eyerace_parity.core.errors import ContractError
from eyerace_parity.evidence.registry import add_kinds
from eyerace_parity.extending.loading import active

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence
    from pathlib import Path

    from pydantic.fields import FieldInfo

    from eyerace_parity.checks.base import Family
    from eyerace_parity.contract.base import Limits
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.overrides import Override
    from eyerace_parity.extending.declaration import LoadedExtension

_MODULES: Final = {
    "interface": True,
    "compatibility": True,
    "freshness": True,
    "integrity": True,
    "stability": True,
    "closeness": False,
    "quality": False,
    "flips": False,
    "hybrid": False,
    "latency": False,
    "size": False,
    "memory": False,
    "arm64": True,
    "release": False,
}
"""Families of the core, in the order of the report's rows.

The value says whether the family demands something of a contract that states no limit of it. A family that does not is
imported only for a contract that states one.
"""

_FILES: Final = {"arm64": "targets"}
"""File and name of a family in this room, where they differ from what contracts call it."""

ADDED: Final[list[Family[Any]]] = []
"""Families that :func:`register` has added; they follow all others."""


def register(family: Family[Any]) -> None:
    """Add a family: its keys, help, plan, items and rows follow.

    Raises:
        ValueError: There is one of its name.
    """
    if family.name in _MODULES or any(family.name == known.name for known in ADDED):
        raise ValueError(f"there is a family called {family.name} already")
    ADDED.append(family)


@cache
def _family(name: str) -> Family[Any]:
    """Import a family of this room."""
    file = _FILES.get(name, name)
    family: Family[Any] = getattr(import_module(f"eyerace_parity.checks.{file}"), file)
    return family


def families(named: Sequence[str] = (), stated: Container[str] | None = None) -> tuple[Family[Any], ...]:
    """All families, in the order of the report's rows: our own, and those of extensions behind the one they follow.

    Args:
        named: Extensions of other packages whose families belong to them: those that a contract names.
        stated: Families of which a contract states a limit. Of the others, those that demand nothing by themselves are
            left out. By default all families are returned.
    """
    found = [_family(name) for name, demands in _MODULES.items() if demands or stated is None or name in stated]
    found += ADDED
    for added in active().added("check_families", named):
        places = [family.name for family in found]
        if added.joins and added.name in places:
            place = places.index(added.name)
            found[place] = _joined(found[place], added)
        else:
            found.insert(places.index(added.after) + 1 if added.after in places else len(found), added)
    return tuple(found)


def _joined(family: Family[Any], added: Family[Any]) -> Family[Any]:
    """A family with the limits and the clauses of one that joins it, behind its own."""
    limits = _joined_limits(family.limits, added.limits)  # type: ignore[arg-type] # a type is hashable
    return replace(family, limits=limits, clauses=[*family.clauses, *added.clauses])


@cache
def _joined_limits(limits: type[Limits], added: type[Limits]) -> type[Limits]:
    """One type of both; always the same object, because limits are looked up by their type."""
    return create_model(limits.__name__, __base__=(limits, added), __doc__=limits.__doc__)


def limits_by_family(named: Sequence[str] = ()) -> Mapping[str, type[Limits]]:
    """Types of the limits by family, for reading a contract.

    Raises:
        ContractError: Two families have the same name.
    """
    added = {family.name: family for family in ADDED}
    joining: dict[str, Family[Any]] = {}
    for owner, family in active().additions("check_families"):
        if family not in active().added("check_families", named):
            continue
        if family.joins and family.name in _MODULES:
            joining[family.name] = family
            continue
        if family.name in _MODULES or family.name in added:
            raise _unusable(owner, f"there is a family of checks {family.name!r} already")
        added[family.name] = family

    def limits_of(name: str) -> type[Limits]:
        family = added.get(name) or _family(name)
        return _joined(family, joining[name]).limits if name in joining else family.limits

    return LazyLimits((*_MODULES, *added), limits_of)


def _unusable(owner: LoadedExtension, why: str) -> ContractError:
    return ContractError(
        f"the extension {owner.name!r} cannot be used: {why}",
        next_step=f"leave it out with --eyerace-parity-disable {owner.name}",
    )


def open_contract(path: Path, overrides: Sequence[Override] = ()) -> Contract:
    """Read a contract with the limits of all families.

    Raises:
        ContractError: The file or an override is wrong.
    """
    add_kinds()
    foreign: dict[str, str] = {}
    for owner, family in active().additions("check_families"):
        if owner.foreign and family.joins:
            # A contract that does not name the extension would then have limits that nobody judges.
            why = f"only an extension of eyerace-parity itself may join the family {family.name!r}"
            raise _unusable(owner, why)
        if owner.foreign:
            foreign[family.name] = owner.name
    return load_contract(path, limits_by_family(tuple(foreign.values())), overrides, foreign)


@dataclass(frozen=True, slots=True)
class ClauseDescription:
    """A clause as help texts and documentation show it.

    Attributes:
        check: Its family.
        clause: Its name.
        key: Where a contract states its limit, below a variant or at the top; empty where the rest of the contract
            implies the clause.
        type: What the limit may be, in words; empty without one.
        default: The limit in force where the contract states none; empty where it is then not planned.
        summary: What holds when the clause holds.
        description: What the limit means, with its unit.
    """

    check: str
    clause: str
    key: str
    type: str
    default: str
    summary: str
    description: str


def describe_clauses() -> tuple[ClauseDescription, ...]:
    """Describe every clause, in the order of the report's rows."""
    described = []
    for family in families():
        for clause in family.clauses:
            field = family.limits.model_fields[clause.limit] if clause.limit else None
            described.append(
                ClauseDescription(
                    check=family.name,
                    clause=clause.name,
                    key=f"limits.{family.name}.{clause.limit}" if clause.limit else "",
                    type=_type_in_words(field) if field else "",
                    default="" if field is None or field.default is None else f"{field.default:g}",
                    summary=clause.summary,
                    description=(field.description or "") if field else "",
                )
            )
    return tuple(described)


def _type_in_words(field: FieldInfo) -> str:
    """Put the annotation of a limit into words, with its bounds."""
    found = [words for hint in (get_args(field.annotation) or (field.annotation,)) if (words := _hint_in_words(hint))]
    return " or ".join(dict.fromkeys(found))


def _hint_in_words(hint: object) -> str:
    if hint is type(None):
        return ""
    if hint is RatioLimit:
        return "{ versus, at_most }"
    bare, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if get_origin(bare) is dict:
        return f"a table of {_hint_in_words(get_args(bare)[1])}"
    bounds = [b for mark in marks for b in getattr(mark, "metadata", (mark,))]
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    stated = [f"{sign} {getattr(b, key):g}" for key, sign in signs.items() for b in bounds if hasattr(b, key)]
    noun = "size" if bare is ByteSize else "text" if bare is str else "number"
    return f"{noun} {' and '.join(stated)}" if stated else noun
