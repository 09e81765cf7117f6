"""Converts validation errors into sentences for the user.

Pydantic locates an error by its own schema: union tags, validator names. The user knows only the keys of a TOML file.
This module follows the location through the models' annotations, drops the parts of the schema, and lists what the file
may contain there.
"""

from __future__ import annotations

import types
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from eyerace_parity.contract.base import CONTRADICTION, Keys, Limits, Problem, written
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


@dataclass(frozen=True, slots=True)
class _Place:
    """Location of an error in the file and in the models.

    Attributes:
        keys: Keys in the file.
        parent: Annotation of the container of the last key.
        hint: Annotation of the value, or ``None`` if the models do not have it.
        alternatives: Whether the value may have several types, each with its own error.
        is_key: Whether the key is wrong, not its value.
    """

    keys: Keys
    parent: Any
    hint: Any
    alternatives: bool = False
    is_key: bool = False


def explain(error: ValidationError, model: type[BaseModel], limits: Mapping[str, type[Limits]]) -> list[Problem]:
    """Convert a validation error into problems, one per location.

    Args:
        error: Pydantic's error.
        model: The model that was validated.
        limits: Types of the limits by family.
    """
    found: dict[Keys, list[tuple[_Place, ErrorDetails]]] = {}
    for details in error.errors(include_url=False):
        if _only_follows(details):
            continue
        place = _place(details, model, limits)
        # Errors for the alternative types of one value form one problem. Any other error is a problem by itself.
        key = place.keys if place.alternatives else (*place.keys, f"\0{len(found)}")
        found.setdefault(key, []).append((place, details))
    return [Problem(group[0][0].keys, _sentence(group, limits)) for group in found.values()]


def _only_follows(details: ErrorDetails) -> bool:
    """Whether pydantic reports an array as too short only because some of its items are invalid."""
    value = details["input"]
    return details["type"] == "too_short" and len(value) >= details.get("ctx", {}).get("min_length", 0)


# Location: follow pydantic's path through the models.


def _place(details: ErrorDetails, model: type[BaseModel], limits: Mapping[str, type[Limits]]) -> _Place:
    keys: Keys = ()
    parent: Any = None
    hint: Any = model
    if details["type"] == CONTRADICTION:
        return _Place(tuple(str(part) for part in details["loc"]), None, None)
    for part in details["loc"]:
        if part == "[key]":
            return _Place(keys, parent, hint, is_key=True)
        bare = _bare(hint)
        if _is_tagged(hint):
            hint = _tagged(bare, str(part))
            continue
        if _is_union(bare) or _is_leaf(bare):
            return _Place(keys, parent, hint, alternatives=True)
        keys, parent, hint = (*keys, str(part)), bare, _child(bare, part, limits)
    if details["type"].startswith("union_tag_"):
        keys = (*keys, "kind")
    return _Place(keys, parent, hint)


def _child(bare: Any, part: int | str, limits: Mapping[str, type[Limits]]) -> Any:
    """Return the annotation of the value under a key of a model, table or array."""
    if isinstance(bare, type) and issubclass(bare, BaseModel):
        return _fields(bare).get(str(part))
    arguments = get_args(bare)
    if get_origin(bare) is dict:
        is_limits = _bare(arguments[1]) is Limits
        return limits.get(str(part)) if is_limits else arguments[1]
    if get_origin(bare) is tuple and len(arguments) != 2:  # noqa: PLR2004 - tuple[X, ...] has two arguments
        return arguments[int(part)] if int(part) < len(arguments) else None
    return arguments[0] if arguments else None


def _fields(model: type[BaseModel]) -> dict[str, Any]:
    """Return the annotation of every field, by its key in the file."""
    hints = get_type_hints(model, include_extras=True)
    return {field.alias or name: hints[name] for name, field in model.model_fields.items()}


def _bare(hint: Any) -> Any:
    """Remove constraints and ``None`` from an annotation."""
    while True:
        if get_origin(hint) is Annotated:
            hint = get_args(hint)[0]
        elif _is_union(hint):
            others = [argument for argument in get_args(hint) if argument is not type(None)]
            if len(others) != 1:
                return hint
            hint = others[0]
        else:
            return hint


def _is_union(hint: Any) -> bool:
    return get_origin(hint) in {Union, types.UnionType}


def _is_leaf(bare: Any) -> bool:
    is_model = isinstance(bare, type) and issubclass(bare, BaseModel)
    return not is_model and get_origin(bare) not in {dict, tuple, list}


def _metadata(hint: Any) -> list[Any]:
    """Return all metadata of a hint, also that inside ``Optional`` and nested annotations."""
    if get_origin(hint) is Annotated:
        inner, *extras = get_args(hint)
        return [*extras, *_metadata(inner)]
    if _is_union(hint):
        others = [argument for argument in get_args(hint) if argument is not type(None)]
        return _metadata(others[0]) if len(others) == 1 else []
    return []


def _is_tagged(hint: Any) -> bool:
    return any(isinstance(extra, FieldInfo) and extra.discriminator for extra in _metadata(hint))


def _tagged(union: Any, tag: str) -> Any:
    """Return the member of a union of models whose ``kind`` is the tag."""
    return next((member for member in get_args(union) if tag in get_args(_fields(member)["kind"])), None)


def _described(hint: Any) -> str:
    """Return the description in an annotation, or an empty string."""
    return next((e.description or "" for e in _metadata(hint) if isinstance(e, FieldInfo) and e.description), "")


# Sentences for the user.

_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}
_TYPES = {
    "int": "a whole number",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "tuple": "an array",
    "list": "an array",
    "dict": "a table",
    "model": "a table",
    "path": "a path",
}


def _sentence(group: Sequence[tuple[_Place, ErrorDetails]], limits: Mapping[str, type[Limits]]) -> str:
    place, details = group[0]
    found = written(details["input"])
    match details["type"]:
        case "contradiction":
            sentence = details["msg"]
        case "value_error":
            value = "" if isinstance(details["input"], dict) else f" (found {found})"
            sentence = f"{details['ctx']['error']}{value}"
        case "extra_forbidden":
            sentence = f"unknown key (found {found}){_choices(place.keys[-1], _known(place, limits))}"
        case "missing":
            sentence = f"missing{_wanted(place.hint)}"
        case "union_tag_not_found":
            sentence = f"missing{_choices('', _tags(place.hint))}"
        case "union_tag_invalid":
            tag = str(details["ctx"]["tag"])
            sentence = f"not a known value (found {written(tag)}){_choices(tag, _tags(place.hint))}"
        case "literal_error" if len(group) == 1:
            sentence = f"not a known value (found {found}){_choices(details['input'], _literals(place.hint))}"
        case _ if place.is_key:
            arguments = get_args(place.parent)
            allowed = _described(arguments[0]) if arguments else ""
            sentence = f"{place.keys[-1]!r} cannot be a name; allowed: {allowed or details['msg']}"
        case _:
            allowed = _described(place.hint) or " or ".join(dict.fromkeys(_allowed(each) for _, each in group))
            sentence = f"found {found}; allowed: {allowed}"
    return sentence


def _allowed(details: ErrorDetails) -> str:
    """Describe the allowed values."""
    kind, context = details["type"], details.get("ctx", {})
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return f"{word} {context[key]}"
    if kind in {"too_short", "too_long"}:
        word = "at least" if kind == "too_short" else "at most"
        return f"{word} {context.get('min_length', context.get('max_length'))} item(s)"
    if kind in {"string_too_short", "string_too_long"}:
        word = "at least" if kind == "string_too_short" else "at most"
        return f"a text of {word} {context.get('min_length', context.get('max_length'))} character(s)"
    if kind == "literal_error":
        return str(context["expected"])
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    expected = _TYPES.get(kind.partition("_")[0])
    return expected if expected and kind.endswith(("_type", "_parsing", "_from_float")) else details["msg"]


def _choices(found: object, known: Iterable[str]) -> str:
    names = list(known)
    if not names:
        return "; nothing may stand here"
    return f"{did_you_mean(found, names) or ';'} allowed: {join_names(names, most=40)}"


def _known(place: _Place, limits: Mapping[str, type[Limits]]) -> list[str]:
    """Return the valid keys at the place of an unknown key."""
    parent = place.parent
    if isinstance(parent, type) and issubclass(parent, BaseModel):
        return list(_fields(parent))
    return list(limits)


def _tags(hint: Any) -> list[str]:
    return [tag for member in get_args(_bare(hint)) for tag in get_args(_fields(member)["kind"])]


def _literals(hint: Any) -> list[str]:
    bare = _bare(hint)
    members = get_args(bare) if _is_union(bare) else (bare,)
    return [str(value) for member in members if get_origin(member) is Literal for value in get_args(member)]


def _wanted(hint: Any) -> str:
    described = _described(hint)
    literals = _literals(hint)
    if described or literals:
        return f"; allowed: {described or join_names(literals)}"
    return ""
