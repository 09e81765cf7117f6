"""The user's own code: ``module:callable``, from the bundle's folder first, then from ``sys.path``.

A bundle's modules are ordinary modules, so they can be pickled, inspected and debugged. While one is loaded, a finder
in front of all others offers the modules of its folder; ``sys.path`` is left alone. Afterwards the finder stays behind
all others until another bundle is loaded from, so that an import inside a function still finds its neighbour when the
function is called, and nobody else is given a bundle's module in place of their own.

Two bundles may have modules of the same name: when one becomes active, the other's of those names are taken out of
``sys.modules`` and kept aside, to come back as the very same modules. A module of Python's own library is never
shadowed, and one that others had imported from elsewhere before is put back after the bundle's own has been loaded.
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
    """Import a module and take a callable from it.

    Args:
        root: The bundle's folder.
        spec: ``module:callable``; the callable may be dotted, as ``Class.method``.

    Returns:
        The callable.

    Raises:
        ContractError: There is no such module or name, it cannot be called, or the module cannot be imported.
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
    """Digest of a callable's source: its module and the bundle's modules that it imports, directly or through others.

    Nothing is imported: the sources are read. An import that is computed at run time, a data file and a module outside
    the bundle are not part of it, except the named module itself. Line ends do not count.

    Args:
        root: The bundle's folder.
        spec: ``module:callable``.

    Returns:
        ``sha256:…``

    Raises:
        ContractError: The module is not there or is not Python.
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
    """Files whose contents :func:`source_digest` is made of; none where the module is not found.

    Raises:
        ContractError: A module is not Python.
    """
    root, name = Path(root).resolve(), spec.partition(":")[0]
    local = [root / place for place in _local_sources(root, name)]
    if local:
        return local
    origin = _foreign_origin(name)
    return [] if origin is None else [origin]


# Finding sources without importing.


def _local_files(root: Path, name: str) -> list[Path]:
    """Files that an import of a dotted name would run, its packages' ``__init__`` included; none if it is not here."""
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
    """Content of every bundle file that importing a module would run, by its place in the bundle."""
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
    """Dotted names of all modules that a source may import; of ``from a import b`` both ``a`` and ``a.b``."""
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
    """Every statement, however deep; no expression, which holds no import and is most of a tree."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for name in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, name, ())


def _foreign_source(name: str) -> dict[str, bytes]:
    """Source of a module that is installed, found without running its packages."""
    origin = _foreign_origin(name)
    return {f"{name}{origin.suffix}": origin.read_bytes()} if origin and origin.is_file() else {}


def _foreign_origin(name: str) -> Path | None:
    """Where an installed module's source lies."""
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
    """Names of the modules and packages that stand in a bundle's folder and are not of Python's own library."""
    names: set[str] = set()
    for entry in root.iterdir() if root.is_dir() else ():
        if entry.suffix == ".py" and entry.stem.isidentifier():
            names.add(entry.stem)
        elif entry.name.isidentifier() and entry.is_dir() and any(entry.glob("*.py")):
            names.add(entry.name)
    return names - sys.stdlib_module_names


# Importing.


class _Bundles:
    """Finder of the active bundle's modules, and keeper of those that bear a name that another needs."""

    def __init__(self) -> None:
        self.active: Path | None = None
        self.names: set[str] = set()
        self.aside: dict[Path, dict[str, ModuleType]] = {}

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Offer a top-level module of the active bundle; the protocol of ``sys.meta_path``."""
        if path is not None or self.active is None or name not in self.names:
            return None
        return importlib.machinery.PathFinder.find_spec(name, [str(self.active)], target)

    def load(self, root: Path, name: str, spec: str) -> ModuleType:
        """Import a module with a bundle active."""
        strangers = self.activate(root)
        self.stand(0)
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
            # Others had imported these before and would miss them; the bundle's own of that name wait aside.
            self.stand(len(sys.meta_path))
            self.aside[root] = _take_out({_top(stranger) for stranger in strangers})
            sys.modules.update(strangers)

    def stand(self, place: int) -> None:
        """Take a place among the finders: the first is asked first."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        sys.meta_path.insert(place, self)

    def activate(self, root: Path) -> dict[str, ModuleType]:
        """Make a bundle the one whose modules are offered; returns outsiders of the same names."""
        importlib.invalidate_caches()
        self.active, self.names = root, _local_names(root)
        own, strangers = self.aside.pop(root, {}), {}
        for name, module in _take_out(self.names).items():
            if _stands_in(module, root):
                own.setdefault(name, module)
            elif (home := next((other for other in self.aside if _stands_in(module, other)), None)) is not None:
                self.aside[home][name] = module
            else:
                strangers[name] = module
        sys.modules.update(own)
        return strangers


def _top(name: str) -> str:
    return name.partition(".")[0]


def _take_out(tops: set[str]) -> dict[str, ModuleType]:
    """Take all modules with these top-level names out of ``sys.modules``."""
    return {name: sys.modules.pop(name) for name in list(sys.modules) if _top(name) in tops}


def _stands_in(module: ModuleType, root: Path) -> bool:
    """Whether a module was read from a folder; a namespace package has no file, only places."""
    places = [getattr(module, "__file__", None), *getattr(module, "__path__", ())]
    return any(place is not None and Path(place).resolve().is_relative_to(root) for place in places)


_BUNDLES = _Bundles()
