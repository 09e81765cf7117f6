"""What an extension says of itself, and what is known of one that was loaded."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import ModuleType

API_VERSION: Final = 1
"""Version of the hooks. An extension that was written for another one is refused."""

GROUP: Final = "eyerace_parity.extensions"
"""Entry point group in which other packages name their extensions."""


@dataclass(frozen=True, slots=True)
class Extension:
    """What an extension says of itself: the ``EXTENSION`` of its module.

    Attributes:
        name: Its name; that of its entry point, or of its folder in this package.
        api: The :data:`API_VERSION` that it was written for.
        summary: One line for the reader.
        needs: Names of other extensions that it cannot do without.
    """

    name: str
    api: int
    summary: str = ""
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoadedExtension:
    """An extension that takes part.

    Attributes:
        declaration: What it says of itself.
        module: Its module, which holds the hooks.
        package: The package that it came with; empty for one of ours.
        version: Version of that package.
    """

    declaration: Extension
    module: ModuleType
    package: str = ""
    version: str = ""

    @property
    def name(self) -> str:
        """Its name."""
        return self.declaration.name

    @property
    def foreign(self) -> bool:
        """Whether another package brought it."""
        return bool(self.package)

    @cached_property
    def digest(self) -> str:
        """``sha256:…`` of its files: a version alone does not change when a file is edited in place."""
        found = hashlib.sha256()
        for path in self._files():
            found.update(path.name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
        return f"sha256:{found.hexdigest()}"

    def _files(self) -> list[Path]:
        """All files of the folder that holds the module; the module alone where it lies in no package."""
        file = Path(self.module.__file__ or "")
        if "." not in self.module.__name__ and file.name != "__init__.py":
            return [file]
        return sorted(path for path in file.parent.rglob("*") if path.is_file() and "__pycache__" not in path.parts)

    def __str__(self) -> str:
        return f"{self.name} ({self.package} {self.version})" if self.foreign else self.name
