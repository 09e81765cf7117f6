"""From a TOML file to a contract, or to one error that says everything that is wrong with it."""

from __future__ import annotations

import json
import math
import os
import re
import tomllib
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError

from eyerace_parity.contract.base import LazyLimits, Problem, limits_table, written
from eyerace_parity.contract.extended import contract_type, limits_tables, named_extensions, without_extension
from eyerace_parity.contract.locate import DEEPEST, line_of
from eyerace_parity.core.digests import json_digest
from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from eyerace_parity.contract.base import Keys, Limits
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.contract.overrides import Override

_UNTIL: Final = "0.3"
"""The first version that refuses the old names of limits."""

MAX_BYTES: Final = 1 << 20
"""A contract is written by hand: a file larger than this is something else."""

_INIT = "`eyerace-parity init MODEL.onnx` writes a contract to start from"


def load_contract(
    path: Path,
    limits: Mapping[str, type[Limits]],
    overrides: Sequence[Override] = (),
    owners: Mapping[str, str] | None = None,
) -> Contract:
    """Read and check a contract.

    ``[limits.FAMILY]`` at the top is shared: each of its fields holds for every variant that does not state the same
    field itself. Overrides are applied first, so one on a shared limit gives way to a variant's own.

    Args:
        path: The TOML file.
        limits: Types of the limits by family of checks.
        overrides: Values set from outside, a later one wins.
        owners: Extension of another package that judges a family; a contract has it only where it names the extension.

    Returns:
        The contract, with every limit in its family's own type.

    Raises:
        ContractError: The file or an override is wrong; the message names all that is, with file, line and key.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - without following links: paths are relative to its own folder
    text = _text(path)
    document = _document(path, text)
    page = _Page(path, text, _overridden(document, overrides))
    page.refuse(list(_unspeakable(document, ())))
    named = named_extensions(document)
    page.refuse(list(without_extension(document, named, owners or {})))
    known = [family for family in limits if (owners or {}).get(family, "") in {"", *named}]
    limits = LazyLimits(known, limits.__getitem__)
    problems, renamed = _take_new_names(document, limits)
    unshared, taken_over = _share(document, limits)
    problems += unshared
    stated = {family for _, tables in limits_tables(document) for family in tables}
    kind, table = contract_type(named), limits_table(tuple((name, limits[name]) for name in limits if name in stated))
    try:
        contract = kind.model_validate_json(json.dumps(document), strict=True, context=table)
    except ValidationError as error:
        from eyerace_parity.contract.explain import explain  # noqa: PLC0415 - only for a contract that is wrong

        found = [_at_source(problem, taken_over) for problem in explain(error, kind, limits)]
        problems += [_as_written(problem, renamed) for problem in found]
    page.refuse(problems)
    contract._file = path  # noqa: SLF001 - set once, here; the model itself is frozen
    contract._digest = json_digest(document)  # noqa: SLF001
    contract._renamed, contract._notes = renamed, _renaming_notes(renamed, page.place)  # noqa: SLF001
    return contract


def _overridden(document: dict[str, Any], overrides: Sequence[Override]) -> dict[Keys, str]:
    """Set values from outside; return their origins by key."""
    if not overrides:
        return {}
    from eyerace_parity.contract.overrides import apply_overrides  # noqa: PLC0415 - most runs override nothing

    return apply_overrides(document, overrides)


def _text(path: Path) -> str:
    """Read the file as text, without a byte order mark."""
    place = display_path(path)
    try:
        if path.is_dir():
            raise ContractError(f"{place} is a folder, not a contract", next_step=f"name the file in it, or {_INIT}")
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise ContractError(
                f"{place} has {size} bytes; a contract has at most {MAX_BYTES}", next_step="name the contract's file"
            )
        content = path.read_bytes()
    except FileNotFoundError:
        beside = sorted(other.name for other in path.parent.glob("*.toml")) if path.parent.is_dir() else []
        near = did_you_mean(path.name, beside)
        raise ContractError(f"{place}: there is no such file{near}", next_step=_INIT) from None
    except OSError as error:
        raise ContractError(f"{place} cannot be read: {error.strerror or error}", next_step=_INIT) from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ContractError(
            f"{place}:{line}: byte {error.start} is not UTF-8, so this is no TOML file",
            next_step="save it as UTF-8, or name the contract's file",
        ) from None
    if not text.strip():
        raise ContractError(f"{place} is empty", next_step=_INIT)
    return text


def _document(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except RecursionError:
        raise ContractError(f"{display_path(path)}: arrays or tables are nested too deep") from None
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = re.search(r" \(at (?:line (\d+), column (\d+)|end of document)\)$", message)
        place, column = display_path(path), ""
        if found:
            message = message[: found.start()]
            place += f":{found[1] or text.count(chr(10)) + 1}"
            column = f"column {found[2]}: " if found[2] else "at the end of the file: "
        raise ContractError(
            f"{place}: {column}not TOML: {message[:1].lower()}{message[1:]}",
            next_step="texts need quotes, a key occurs only once, a table begins with [name]",
        ) from None
    except ValueError:
        # Python reads no number of more than 4,300 digits.
        raise ContractError(f"{display_path(path)}: a number in it has too many digits") from None


class _Page:
    """The contract's file as the user sees it: it knows where each key is set."""

    def __init__(self, path: Path, text: str, origins: Mapping[Keys, str]) -> None:
        self._place = display_path(path)
        self._text = text
        self._origins = origins

    def refuse(self, problems: Sequence[Problem]) -> None:
        """Raise one error of all problems, in the order of the file.

        Raises:
            ContractError: There is any.
        """
        placed = sorted((*self._said(problem.keys), problem) for problem in problems)
        sentences = dict.fromkeys(f"{said}: {_dotted(p.keys)}{p.sentence}" for _, said, p in placed)
        if sentences:
            raise ContractError("\n".join(sentences))

    def place(self, keys: Keys) -> str:
        """The place of a key, in words."""
        return self._said(keys)[1]

    def _said(self, keys: Keys) -> tuple[int, str]:
        """Line and place of a key: an override's origin, else line and file; line 1 for a missing key."""
        for set_here, origin in self._origins.items():
            if keys[: len(set_here)] == set_here:
                return 0, origin
        line = line_of(self._text, keys) or 1
        return line, f"{self._place}:{line}"


def _dotted(keys: Keys) -> str:
    """Write keys as in TOML, array items as ``[0]``, ready for a sentence to follow."""
    text = ""
    for key in keys:
        if key.isdecimal():
            text += f"[{key}]"
        else:
            bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
            text += f".{key}" if bare else f".{json.dumps(key, ensure_ascii=False)}"
    return f"{text.removeprefix('.')}: " if text else ""


def _unspeakable(value: object, keys: Keys) -> Iterator[Problem]:
    """Find values that TOML knows and a contract does not: dates, infinities, NaN, bottomless nests."""
    if len(keys) > DEEPEST:
        yield Problem(keys[:3], f"found something nested {DEEPEST} deep; no contract needs that")
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _unspeakable(inner, (*keys, key))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _unspeakable(inner, (*keys, str(number)))
    elif isinstance(value, date | datetime | time):
        yield Problem(keys, f"found the date or time {value}; allowed: numbers, texts, true, false, arrays, tables")
    elif isinstance(value, float) and not math.isfinite(value):
        yield Problem(keys, f"found {value}; allowed: finite numbers (leave the key out to demand nothing)")


def _share(document: dict[str, Any], limits: Mapping[str, type[Limits]]) -> tuple[list[Problem], set[Keys]]:
    """Merge the shared limits into every variant, field by field; the variant's own win.

    Returns:
        What is wrong with the shared limits themselves, and the keys that variants took over from them.
    """
    shared = document.pop("limits", {})
    if not isinstance(shared, dict):
        return [Problem(("limits",), f"found {written(shared)}; allowed: a table for each family of checks")], set()
    problems: list[Problem] = []
    for family in list(shared):
        if family not in limits:
            near = did_you_mean(family, limits) or ";"
            problems.append(Problem(("limits", family), f"unknown family{near} allowed: {join_names(limits)}"))
        elif not isinstance(shared[family], dict):
            problems.append(Problem(("limits", family), f"found {written(shared[family])}; allowed: a table"))
        else:
            continue
        del shared[family]
    taken_over: set[Keys] = set()
    variants = document.get("variants")
    for name, variant in variants.items() if isinstance(variants, dict) else ():
        own = variant.setdefault("limits", {}) if isinstance(variant, dict) else None
        if isinstance(own, dict):
            taken_over |= {("variants", name, "limits", *keys) for keys in _take_over(own, shared)}
    return problems, taken_over


def _take_over(own: dict[str, Any], shared: Mapping[str, dict[str, Any]]) -> Iterator[Keys]:
    """Give one variant the shared fields that it does not state; yields their keys, and those of whole families."""
    for family, fields in shared.items():
        if family not in own:
            own[family] = {}
            yield (family,)
        if isinstance(own[family], dict):
            for field in fields.keys() - own[family].keys():
                own[family][field] = fields[field]
                yield (family, field)


def _at_source(problem: Problem, taken_over: set[Keys]) -> Problem:
    """Move a problem with a shared limit from the variant that took it over to the shared table."""
    own = next((problem.keys[:depth] for depth in (5, 4) if problem.keys[:depth] in taken_over), None)
    # A family that was taken over whole has no field of its own, so its errors belong to the shared table.
    return problem if own is None else Problem(problem.keys[2:], problem.sentence)


# ---- limits that had another name ------------------------------------------------------------------------------------


def _take_new_names(
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
    stated = [((*at, family), table) for at, tables in limits_tables(document) for family, table in tables.items()]
    for keys, table in stated:
        if keys[-1] not in limits or not isinstance(table, dict):
            continue
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


def _as_written(problem: Problem, renamed: Mapping[Keys, Keys]) -> Problem:
    """Change the keys of a problem with a renamed limit to those in the file."""
    for new, old in renamed.items():
        if problem.keys[: len(new)] == new:
            return Problem((*old, *problem.keys[len(new) :]), problem.sentence)
    return problem


def _renaming_notes(renamed: Mapping[Keys, Keys], place: Callable[[Keys], str]) -> tuple[str, ...]:
    """Return one line per old name, with all its locations."""
    pairs = dict.fromkeys((old[-1], new[-1]) for new, old in renamed.items())
    return tuple(
        f"{join_names(dict.fromkeys(place(keys) for keys in renamed.values() if keys[-1] == old))}: {old} is called"
        f" {new} now; write {new}, version {_UNTIL} refuses {old}"
        for old, new in pairs
    )
