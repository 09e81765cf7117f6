"""The ground of every model in a contract: frozen, strict, and deaf to keys it does not know."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, create_model
from pydantic_core import InitErrorDetails, PydanticCustomError

from eyerace_parity.core.text import NAME, NAME_IN_WORDS, NAME_LENGTH, did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Iterable


class Model(BaseModel):
    """Base of all contract models. Unknown keys are errors: a misspelt limit must not vanish."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limits(Model):
    """Base of the limits of one family of checks.

    A family declares its limits beside its checks, one field a clause. ``None`` means that the contract does not demand
    it; such a clause is not planned.

    Attributes:
        renamed: Fields that had another name before, today's name by the old one.
    """

    renamed: ClassVar[dict[str, str]] = {}

    def demanded(self) -> frozenset[str]:
        """Names of the fields that hold a demand."""
        return frozenset(name for name, value in self if value is not None)


@lru_cache(maxsize=8)
def limits_table(families: tuple[tuple[str, type[Limits]], ...]) -> type[Model]:
    """Make the model of a ``limits`` table: one optional key a family, unknown families are errors."""
    fields: dict[str, Any] = {name: (limits, Field(default_factory=limits)) for name, limits in families}
    return create_model("LimitsTable", __base__=Model, **fields)


def read_limits(value: object, table: type[Model] | None) -> object:
    """Read the limits of one variant with the types of their families.

    Args:
        value: By family, as the file gave it; limits that have been read stay as they are.
        table: What :func:`limits_table` made.

    Returns:
        The limits by family, only of families that ``value`` names.

    Raises:
        pydantic.ValidationError: A limit is not what its family takes.
    """
    if table is None or not isinstance(value, dict) or all(isinstance(limits, Limits) for limits in value.values()):
        return value
    # Through JSON, so that an array may become a tuple while a truth value never becomes a number.
    read = table.model_validate_json(json.dumps(value), strict=True)
    return {name: getattr(read, name) for name in value}


Name = Annotated[
    str,
    StringConstraints(pattern=NAME.pattern, max_length=NAME_LENGTH),
    Field(description=NAME_IN_WORDS),
]
"""A name that can stand in a test id: no ``::``, no brackets, no blanks."""

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
"""A path relative to the contract's folder, with forward slashes; absolute paths stand as they are."""


CONTRADICTION = "contradiction"
"""Type of the errors raised here; their text is a sentence for the user as it stands."""


class Contradictions:
    """Collects what is wrong, each with its place, and raises it as one error."""

    def __init__(self) -> None:
        self._found: list[InitErrorDetails] = []

    def add(self, keys: tuple[str, ...], sentence: str) -> None:
        """Keep a contradiction.

        Args:
            keys: Where it stands, from the contract's root.
            sentence: What is wrong with it.
        """
        # The sentence is passed as a value: it may hold braces of its own.
        error = PydanticCustomError(CONTRADICTION, "{sentence}", {"sentence": sentence})
        self._found.append(InitErrorDetails(type=error, loc=keys, input=None))

    def unknown(self, keys: tuple[str, ...], found: str, known: Iterable[str], what: str) -> None:
        """Keep a reference that leads nowhere.

        Args:
            keys: Where it stands.
            found: The name that is referred to.
            known: The names that exist.
            what: What was looked for, e.g. ``variant``.
        """
        names = list(known)
        allowed = f"allowed: {join_names(names)}" if names else f"there is no {what} at all"
        self.add(keys, f"there is no {what} {found!r}{did_you_mean(found, names) or ';'} {allowed}")

    def raise_if_any(self) -> None:
        """Raise all that was kept.

        Raises:
            ValidationError: Anything was kept.
        """
        if self._found:
            raise ValidationError.from_exception_data("Contract", self._found)

    def __bool__(self) -> bool:
        return bool(self._found)
