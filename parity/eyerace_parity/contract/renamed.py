"""Renamed limits. The old name is accepted until a stated version, with a note that gives the new name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from eyerace_parity.contract.explain import Keys, Problem, written
from eyerace_parity.core.text import join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from eyerace_parity.contract.base import Limits

_UNTIL: Final = "0.3"
"""The first version that refuses the old names."""


def take_new_names(
    document: dict[str, Any], limits: Mapping[str, type[Limits]]
) -> tuple[list[Problem], dict[Keys, Keys]]:
    """Replace the old name of each renamed limit by the new name.

    Args:
        document: The parsed contract file; changed in place.
        limits: Types of the limits by family.

    Returns:
        Contradictions between an old name and the new name beside it, and the keys in the file by the new keys.
    """
    problems: list[Problem] = []
    renamed: dict[Keys, Keys] = {}
    for keys, table in _tables(document, limits):
        for old, new in limits[keys[-1]].renamed.items():
            if old not in table:
                continue
            value = table.pop(old)
            if table.setdefault(new, value) != value:
                sentence = (
                    f"{old} is called {new} now, and here {old} is {written(value)} and {new} {written(table[new])}"
                )
                problems.append(Problem((*keys, old), f"{sentence}; keep {new} with the one that you mean"))
            renamed[*keys, new] = (*keys, old)
    return problems, renamed


def as_written(problem: Problem, renamed: Mapping[Keys, Keys]) -> Problem:
    """Change the keys of a problem with a renamed limit to those in the file."""
    for new, old in renamed.items():
        if problem.keys[: len(new)] == new:
            return Problem((*old, *problem.keys[len(new) :]), problem.sentence)
    return problem


def renaming_notes(renamed: Mapping[Keys, Keys], place: Callable[[Keys], str]) -> tuple[str, ...]:
    """Return one line per old name, with all its locations."""
    pairs = dict.fromkeys((old[-1], new[-1]) for new, old in renamed.items())
    return tuple(
        f"{join_names(dict.fromkeys(place(keys) for keys in renamed.values() if keys[-1] == old))}: {old} is called"
        f" {new} now; write {new}, version {_UNTIL} refuses {old}"
        for old, new in pairs
    )


def _tables(document: dict[str, Any], limits: Mapping[str, type[Limits]]) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """Yield every table of a family's limits with its keys: the shared ones, and those of each variant."""
    variants = document.get("variants")
    bearers: list[tuple[Keys, object]] = [((), document)]
    if isinstance(variants, dict):
        bearers += [(("variants", name), variant) for name, variant in variants.items()]
    for keys, bearer in bearers:
        stated = bearer.get("limits") if isinstance(bearer, dict) else None
        for family, table in stated.items() if isinstance(stated, dict) else ():
            if family in limits and isinstance(table, dict):
                yield (*keys, "limits", family), table
