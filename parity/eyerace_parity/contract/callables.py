"""Loads user code named ``module:callable``, from the bundle's folder first, then from ``sys.path``.

A bundle's modules are ordinary modules, so they can be pickled, inspected and debugged. ``sys.path`` is not changed.
While a module is loaded, a finder at the front of ``sys.meta_path`` provides the modules of the bundle's folder.
Afterwards it moves to the end, until another bundle is used. So an import inside a function still works when the
function is called, and a bundle's module never replaces another package's module.

Two bundles may have modules of the same name. When one becomes active, the other's modules of these names are removed
from ``sys.modules`` and stored, and the same module objects come back later. A standard library module is never
shadowed. A module that other code imported before is restored after the bundle's module of that name is loaded.
"""

from __future__ import annotations

import ast
import hashlib
import importlib
import importlib.machinery
import sys
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyerace_parity.core.errors import ContractError
from eyerace_parity.core.files import display_path
from eyerace_parity.core.text import did_you_mean, join_names

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import ModuleType

_lock = threading.RLock()


def load_callable(root: Path, spec: str) -> Callable[..., Any]:
    """Import a module and return a callable of it.

    Args:
        root: The bundle's folder.
        spec: ``module:callable``; the callable may be dotted, e.g. ``Class.method``.

    Returns:
        The callable.

    Raises:
        ContractError: The module or the name does not exist, it is not callable, or the import fails.
    """
    name, _, attribute = spec.partition(":")
    with _lock:
        module = _BUNDLES.load(Path(root).resolve(), name, spec)
    found: Any = module
    for part in attribute.split("."):
        if not hasattr(found, part):
            known = [n for n in dir(found) if not n.startswith("_")]
            raise ContractError(
                f"{spec}: {name} has no {attribute!r}{did_you_mean(part, known)}",
                next_step=f"name one of: {join_names(known)}" if known else f"define {attribute!r} in {name}",
            )
        found = getattr(found, part)
    if not callable(found):
        raise ContractError(
            f"{spec} is of type {type(found).__name__}, which cannot be called",
            next_step="name a function or a class",
        )
    return found  # type: ignore[no-any-return]


def source_digest(root: Path, spec: str) -> str:
    """Digest a callable's source: its module and all modules of the bundle that it imports, directly or indirectly.

    The sources are read and not imported. Imports computed at run time, data files, and modules outside the bundle are
    not included, except for the named module itself. Line endings do not matter.

    Args:
        root: The bundle's folder.
        spec: ``module:callable``.

    Returns:
        ``sha256:…``

    Raises:
        ContractError: The module does not exist, or is not valid Python.
    """
    root = Path(root).resolve()
    name = spec.partition(":")[0]
    sources = _local_sources(root, name) or _foreign_source(name)
    if not sources:
        raise _no_module(root, name, spec)
    digest = hashlib.sha256()
    for place in sorted(sources):
        content = sources[place].replace(b"\r\n", b"\n")
        digest.update(f"{place}\n{len(content)}\n".encode())
        digest.update(content)
    return f"sha256:{digest.hexdigest()}"


def source_files(root: Path, spec: str) -> list[Path]:
    """Return the files that :func:`source_digest` covers; none if the module is not found.

    Raises:
        ContractError: A module is not valid Python.
    """
    root, name = Path(root).resolve(), spec.partition(":")[0]
    local = [root / place for place in _local_sources(root, name)]
    if local:
        return local
    origin = _foreign_origin(name)
    return [] if origin is None else [origin]


# Finding sources without importing.


def _local_files(root: Path, name: str) -> list[Path]:
    """Return the bundle's files that the import of a dotted name runs, including each ``__init__``; none if outside."""
    parts = name.split(".")
    files: list[Path] = []
    for depth in range(1, len(parts) + 1):
        base = root.joinpath(*parts[:depth])
        if (base / "__init__.py").is_file():
            files.append(base / "__init__.py")
        elif base.with_name(f"{base.name}.py").is_file():
            files.append(base.with_name(f"{base.name}.py"))
        elif not base.is_dir():
            return []
    return files


def _local_sources(root: Path, name: str) -> dict[str, bytes]:
    """Return the content of every bundle file that the import of a module runs, by its path in the bundle."""
    sources: dict[str, bytes] = {}
    waiting = _local_files(root, name)
    while waiting:
        file = waiting.pop()
        place = file.relative_to(root).as_posix()
        if place not in sources:
            sources[place] = file.read_bytes()
            for wanted in _imports(sources[place], file, root):
                waiting += _local_files(root, wanted)
    return sources


@lru_cache(maxsize=256)
def _imports(source: bytes, file: Path, root: Path) -> tuple[str, ...]:
    """Return the dotted names that a source may import. ``from a import b`` gives ``a`` and ``a.b``."""
    try:
        tree = ast.parse(source, str(file))
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        raise ContractError(
            f"{display_path(file)}:{line}: not Python: {error}", next_step="correct the module"
        ) from None
    package = file.parent.relative_to(root).parts
    names: list[str] = []
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*above, *(node.module.split(".") if node.module else [])])
            names += [base] if base else []
            names += (f"{base}.{alias.name}".lstrip(".") for alias in node.names if alias.name != "*")
    return tuple(names)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every nested statement. Expressions are skipped: they contain no imports and are most of the tree."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, name, ())


def _foreign_source(name: str) -> dict[str, bytes]:
    """Return the source of an installed module, without importing its packages."""
    origin = _foreign_origin(name)
    return {f"{name}{origin.suffix}": origin.read_bytes()} if origin and origin.is_file() else {}


def _foreign_origin(name: str) -> Path | None:
    """Return the source path of an installed module."""
    search: Sequence[str] | None = None
    parts = name.split(".")
    spec = None
    for depth in range(1, len(parts) + 1):
        spec = importlib.machinery.PathFinder.find_spec(".".join(parts[:depth]), search)
        if spec is None:
            return None
        search = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _no_module(root: Path, name: str, spec: str) -> ContractError:
    top = _top(name)
    return ContractError(
        f"{spec}: there is no module {name!r}{did_you_mean(top, _local_names(root))}",
        next_step=f"put {top}.py into {display_path(root)}, or install the package that has it",
    )


def _local_names(root: Path) -> set[str]:
    """Return the names of modules and packages in a bundle's folder, except those of the standard library."""
    names: set[str] = set()
    for entry in root.iterdir() if root.is_dir() else ():
        if entry.suffix == ".py" and entry.stem.isidentifier():
            names.add(entry.stem)
        elif entry.name.isidentifier() and entry.is_dir() and any(entry.glob("*.py")):
            names.add(entry.name)
    return names - sys.stdlib_module_names


# Importing.


class _Bundles:
    """Finds the active bundle's modules, and stores modules of other bundles with the same names."""

    def __init__(self) -> None:
        self.active: Path | None = None
        self.names: set[str] = set()
        self.aside: dict[Path, dict[str, ModuleType]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find a top-level module of the active bundle (``sys.meta_path`` protocol)."""
        if path is not None or self.active is None or name not in self.names:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [str(self.active)], target)

    def load(self, root: Path, name: str, spec: str) -> ModuleType:
        """Import a module while its bundle is active."""
        others = self.activate(root)
        self.move_to(0)
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            missing = error.name or ""
            if name == missing or name.startswith(f"{missing}."):
                raise _no_module(root, name, spec) from None
            raise ContractError(
                f"{spec}: importing {name} needs the module {missing!r}, which is not installed",
                next_step=f"install {_top(missing)}",
            ) from error
        except (Exception, SystemExit) as error:
            raise ContractError(
                f"{spec}: importing {name} failed: {type(error).__name__}: {error}", next_step="correct the module"
            ) from error
        finally:
            # Restore modules that other code imported before, and store the bundle's modules of the same names.
            self.move_to(len(sys.meta_path))
            self.aside[root] = _take_out({_top(other) for other in others})
            sys.modules.update(others)

    def move_to(self, place: int) -> None:
        """Move this finder to an index of ``sys.meta_path``."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        sys.meta_path.insert(place, self)

    def activate(self, root: Path) -> dict[str, ModuleType]:
        """Activate a bundle. Returns modules of the same names that belong to no bundle."""
        importlib.invalidate_caches()
        self.active, self.names = root, _local_names(root)
        own, others = self.aside.pop(root, {}), {}
        for name, module in _take_out(self.names).items():
            if _stands_in(module, root):
                own.setdefault(name, module)
            elif (home := next((other for other in self.aside if _stands_in(module, other)), None)) is not None:
                self.aside[home][name] = module
            else:
                others[name] = module
        sys.modules.update(own)
        return others


def _top(name: str) -> str:
    return name.partition(".")[0]


def _take_out(tops: set[str]) -> dict[str, ModuleType]:
    """Remove all modules with these top-level names from ``sys.modules`` and return them."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _top(name) in tops}


def _stands_in(module: ModuleType, root: Path) -> bool:
    """Whether a module was loaded from a folder. A namespace package has no file, only search paths."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(place is not None and Path(place).resolve().is_relative_to(root) for place in places)


_BUNDLES = _Bundles()
