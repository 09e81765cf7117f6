"""What a contract needs of extensions, and the sentence that refuses it where one is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from eyerace_parity.contract.explain import Problem
from eyerace_parity.extending.loading import active
from eyerace_parity.extending.shipped import owner_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from eyerace_parity.contract.explain import Keys


def named_extensions(document: Mapping[str, Any]) -> tuple[str, ...]:
    """The extensions of other packages that a contract's document names; what is no name is refused later."""
    stated = document.get("extensions")
    return tuple(name for name in stated if isinstance(name, str)) if isinstance(stated, list) else ()


def without_extension(
    document: Mapping[str, Any], named: Sequence[str], owners: Mapping[str, str]
) -> Iterator[Problem]:
    """Find what a document uses of extensions that take no part, or that it does not name.

    Args:
        document: The contract as TOML gave it.
        named: The extensions that it names.
        owners: Extension of another package that judges a family, by the family.
    """
    extensions = active()
    there = {each.name for each in extensions.loaded}
    for number, name in enumerate(named):
        if name not in there:
            yield Problem(("extensions", str(number)), f"the extension {name!r} {extensions.why_absent(name)}")
    foreign = {section.key: owner.name for owner, section in extensions.additions("contract_sections") if owner.foreign}
    for key in document:
        yield from _unless_there((key,), owner_of("sections", key), foreign.get(key, ""), named)
        for inner in table if isinstance(table := document[key], dict) else ():
            yield from _unless_there((key, inner), owner_of("sections", f"{key}.{inner}"), "", named)
    for keys, limits in _limits(document):
        for family, demands in limits.items():
            yield from _unless_there((*keys, family), owner_of("families", family), owners.get(family, ""), named)
            for limit in demands if isinstance(demands, dict) else ():
                yield from _unless_there((*keys, family, limit), owner_of("limits", f"{family}.{limit}"), "", named)


def _unless_there(keys: Keys, own: str, foreign: str, named: Sequence[str]) -> Iterator[Problem]:
    """Say that something belongs to an extension that is not there, or that has to be named."""
    extensions = active()
    if own and all(each.name != own for each in extensions.loaded):
        why = f"belongs to the extension {own!r}, which {extensions.why_absent(own)}; enable it, or take this out"
        yield Problem(keys, why)
    if foreign and foreign not in named:
        yield Problem(keys, f"belongs to the extension {foreign!r}; name it: extensions = [{_quoted(foreign)}]")


def _quoted(name: str) -> str:
    return f'"{name}"'


def _limits(document: Mapping[str, Any]) -> Iterator[tuple[Keys, Mapping[str, Any]]]:
    """Every table of limits, with its keys: the shared one, and those of the variants."""
    shared, variants = document.get("limits"), document.get("variants")
    if isinstance(shared, dict):
        yield ("limits",), shared
    for name, variant in variants.items() if isinstance(variants, dict) else ():
        own = variant.get("limits") if isinstance(variant, dict) else None
        if isinstance(own, dict):
            yield ("variants", name, "limits"), own
