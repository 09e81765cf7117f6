"""Base classes and common types of the contract models: frozen and strict, unknown keys are errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError

from eyerace_parity.core.text import NAME, NAME_IN_WORDS, NAME_LENGTH, did_you_mean, join_names


class Model(BaseModel):
    """Base of all contract models. Unknown keys are errors, so that a misspelt limit is not ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, defer_build=True)


class Limits(Model):
    """Base of the limits of one family of checks.

    A family declares its limits beside its checks, one field per clause. ``None`` means that the contract states no
    limit, so the clause is not planned.

    Attributes:
        renamed: Renamed fields: the new name by the old name.
    """

    renamed: ClassVar[dict[str, str]] = {}

    def demanded(self) -> frozenset[str]:
        """Return the names of the fields with a limit."""
        return frozenset(name for name, value in self if value is not None)


def limit(description: str) -> Any:
    """Declare a limit that demands nothing unless a contract states it.

    Args:
        description: What it means, with its unit.
    """
    return Field(default=None, description=description)


class LazyLimits(Mapping[str, type[Limits]]):
    """Types of the limits by family; a family is imported when its type is needed.

    Args:
        names: Names of the families.
        read: Returns the type of a family's limits.
    """

    def __init__(self, names: Iterable[str], read: Callable[[str], type[Limits]]) -> None:
        self._read = dict.fromkeys(names, read)

    def __getitem__(self, name: str) -> type[Limits]:
        return self._read[name](name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, name: object) -> bool:
        return name in self._read


@lru_cache(maxsize=8)
def limits_table(families: tuple[tuple[str, type[Limits]], ...]) -> type[Model]:
    """Create the model of a ``limits`` table: one optional key per family; unknown families are errors."""
    fields: dict[str, Any] = {name: (limits, Field(default_factory=limits)) for name, limits in families}
    return create_model("LimitsTable", __base__=Model, **fields)


def read_limits(value: object, table: type[Model] | None) -> object:
    """Validate the limits of one variant with the types of their families.

    Args:
        value: Limits by family, as in the file. Validated limits are returned unchanged.
        table: The model from :func:`limits_table`.

    Returns:
        Limits by family, for the families in ``value`` only.

    Raises:
        pydantic.ValidationError: A limit is invalid.
    """
    if table is None or not isinstance(value, dict) or all(isinstance(limits, Limits) for limits in value.values()):
        return value
    # Strict validation from JSON accepts an array for a tuple, but no boolean for a number. From Python objects it
    # would refuse both.
    read = table.model_validate_json(json.dumps(value), strict=True)
    return {name: getattr(read, name) for name in value}


Name = Annotated[
    str,
    StringConstraints(pattern=NAME.pattern, max_length=NAME_LENGTH),
    Field(description=NAME_IN_WORDS),
]
"""A name that is valid in a test id: no ``::``, no brackets, no spaces."""

CallablePath = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$"),
    Field(description="'module:callable'"),
]
"""``module:callable``. The module is looked up in the bundle's folder first, then on ``sys.path``."""

DType = Literal[
    "float16", "float32", "float64", "bool",
    "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
]  # fmt: skip
"""An element type, in numpy's spelling."""

Share = Annotated[float, Field(ge=0.0, le=1.0)]
"""A number between 0 and 1."""

Positive = Annotated[float, Field(gt=0.0)]
"""A number above zero."""

Dimension = Annotated[
    Annotated[int, Field(gt=0)] | Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")],
    Field(description="an extent above 0, or the name of a dynamic axis"),
]
"""A fixed extent, or the name of a dynamic axis."""

BundlePath = Path
"""A path relative to the contract's folder, with forward slashes. Absolute paths are allowed."""


Keys = tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One error in a contract.

    Attributes:
        keys: Keys in the file. The index of an array item is a key.
        sentence: What was found and what is allowed.
    """

    keys: Keys
    sentence: str


def written(value: object) -> str:
    """Format a value as in the file, shortened."""
    match value:
        case dict():
            return "a table"
        case list() | tuple():
            return f"an array of {len(value)}"
        case bool() | str():
            text = json.dumps(value, ensure_ascii=False)
            return text if len(text) <= 60 else f'{text[:56]}…"'  # noqa: PLR2004 - what fits a line
        case _:
            return str(value)


CONTRADICTION = "contradiction"
"""Pydantic type of errors from :class:`Contradictions`. Their text is shown to the user unchanged."""


class Contradictions:
    """Collects contradictions in a contract with their keys, and raises them as one error."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, keys: tuple[str, ...], sentence: str) -> None:
        """Add a contradiction.

        Args:
            keys: Keys from the contract's root.
            sentence: What is wrong.
        """
        # Pass the sentence as a value: as a template, braces in it would be placeholders.
        error = PydanticCustomError(CONTRADICTION, "{sentence}", {"sentence": sentence})
        self._found.append(InitErrorDetails(type=error, loc=keys, input=None))

    def unknown(self, keys: tuple[str, ...], found: str, known: Iterable[str], what: str) -> None:
        """Add a reference to a name that does not exist.

        Args:
            keys: Keys of the reference.
            found: The unknown name.
            known: The existing names.
            what: Kind of thing that is named, e.g. ``variant``.
        """
        names = list(known)
        allowed = f"allowed: {join_names(names)}" if names else f"there is no {what} at all"
        self.add(keys, f"there is no {what} {found!r}{did_you_mean(found, names) or ';'} {allowed}")

    def raise_if_any(self) -> None:
        """Raise all collected contradictions.

        Raises:
            ValidationError: There is a contradiction.
        """
        if self._found:
            raise ValidationError.from_exception_data("Contract", self._found)

    def __bool__(self) -> bool:
        return bool(self._found)
