"""The ground of every model in a contract: frozen, strict, and deaf to keys it does not know."""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model


class Model(BaseModel):
    """Base of all contract models. Unknown keys are errors: a misspelt limit must not vanish."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Limits(Model):
    """Base of the limits of one family of checks.

    A family declares its limits beside its checks, one field a clause. ``None`` means that the contract does not demand
    it; such a clause is not planned.
    """

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


NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
"""What a name looks like that a file can give."""

Name = Annotated[
    str,
    StringConstraints(pattern=NAME.pattern, max_length=64),
    Field(description="a name of letters, digits, '_', '-' and '.', at most 64 of them"),
]
"""A name that can stand in a test id: no ``::``, no brackets, no blanks."""

Callable = Annotated[
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
