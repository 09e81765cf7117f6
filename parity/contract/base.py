"""The ground of every model in a contract: frozen, strict, and deaf to keys it does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


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


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", max_length=64)]
"""A name that can stand in a test id: no ``::``, no brackets, no blanks."""

Callable = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_][\w.]*$")]
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

Dimension = Annotated[int, Field(gt=0)] | Annotated[str, StringConstraints(pattern=r"^[A-Za-z_]\w*$")]
"""A fixed extent, or the name of a dynamic axis."""

BundlePath = Path
"""A path relative to the contract's folder, with forward slashes; absolute paths stand as they are."""
