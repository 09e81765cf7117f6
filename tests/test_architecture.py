"""The house keeps its one direction: rooms import downward only, and the plugin costs nothing when it is unused."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "parity" / "eyerace_parity"
NAME = "eyerace_parity"

_ROW = re.compile(r"^\| \w+ \| `([\w.]+)` \|", re.MULTILINE)


def rooms_of_the_table() -> tuple[str, ...]:
    """The rooms that ARCHITECTURE.md shows, lowest first."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    return tuple(reversed(_ROW.findall(text)))


ROOMS = rooms_of_the_table()

# Imports that still run upward, by module and what it imports. No line may be added.
KNOWN: dict[str, set[str]] = {}

# What only some rooms may know.
RESERVED = {
    "torch": ("runners", "recipes"),
    "onnxruntime": ("runners", "recipes", "isolation.worker", "cli"),
    "onnx": ("recipes", "measure", "extensions.selftest", "cli"),
    "rich": ("report", "cli", "extensions.matrix"),
}


def modules() -> dict[str, Path]:
    """All modules of the package, by dotted name without the package's."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere: at the top, inside a function, or for types only."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def imported_modules(module: str) -> set[str]:
    """Modules of the package that a module imports, by dotted name without the package's."""
    found = set()
    for name in imports(MODULES[module]):
        if name.startswith(f"{NAME}."):
            inner = name.removeprefix(f"{NAME}.")
            found.add(inner if inner in MODULES else inner.rpartition(".")[0])
    return found - {"", module}  # the package's face is lazy: it hands names on and imports nothing


def inside(module: str, room: str) -> bool:
    """Whether a module lies in a room."""
    return module == room or module.startswith(f"{room}.")


def rank(module: str) -> int:
    """How high a module's room stands: that of the longest name which holds it."""
    held = [(len(room), index) for index, room in enumerate(ROOMS) if inside(module, room)]
    assert held, f"{module} has no room: give it a row in ARCHITECTURE.md"
    return max(held)[1]


@pytest.mark.parametrize("module", [module for module in MODULES if module not in {"", "__main__"}])
def test_imports_run_downward(module: str) -> None:
    """No room reaches up: measure, judge and show never mix."""
    upward = {name for name in imported_modules(module) if rank(name) > rank(module)}
    assert upward == KNOWN.get(module, set()), f"{module} imports {upward} from rooms above its own"


def circles() -> list[list[str]]:
    """Groups of modules that import each other, by Tarjan's algorithm."""
    graph = {module: sorted(imported_modules(module)) for module in MODULES if module}
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(module: str) -> None:
        index[module] = low[module] = len(index)
        stack.append(module)
        for other in graph[module]:
            if other not in index:
                visit(other)
                low[module] = min(low[module], low[other])
            elif other in stack:
                low[module] = min(low[module], index[other])
        if low[module] == index[module]:
            group = stack[stack.index(module) :]
            del stack[stack.index(module) :]
            if len(group) > 1:
                found.append(sorted(group))

    for module in graph:
        if module not in index:
            visit(module)
    return found


def test_no_modules_import_each_other() -> None:
    """A circle has no reading order."""
    assert [group for group in circles() if not all(inside(module, "report") for module in group)] == []


@pytest.mark.parametrize(("library", "rooms"), RESERVED.items(), ids=str)
def test_a_runtime_is_known_only_where_it_runs(library: str, rooms: tuple[str, ...]) -> None:
    """Torch, ONNX and ONNX Runtime stay in the rooms that run or make models."""
    for module, path in MODULES.items():
        if any(name == library or name.startswith(f"{library}.") for name in imports(path)):
            assert any(inside(module, room) for room in rooms), f"{module} must not know {library}"


def test_the_unused_plugin_imports_nothing_heavy() -> None:
    """``pytest --version`` with the plugin installed loads no library of ours."""
    code = (
        "import sys, eyerace_parity, eyerace_parity.plugin\n"
        "heavy = {'numpy', 'onnx', 'onnxruntime', 'torch', 'pydantic', 'rich', 'scipy', 'PIL', 'tree_sitter'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


COMPUTES = ("stats", "checks", "measure", "golden")
"""Rooms that compute: what a report shows of them stands in the record."""


def test_reports_show_and_compute_nothing() -> None:
    """A report draws its view of the record; only the photographs of a page come from the golden set."""
    shows = [module for module in MODULES if inside(module, "report")]
    assert len(shows) > len(COMPUTES)
    for module in shows:
        allowed = ("golden",) if module == "report.html.material" else ()
        found = {name for name in imported_modules(module) for room in COMPUTES if inside(name, room)}
        assert not {name for name in found if name.partition(".")[0] not in allowed}, f"{module} imports {found}"


def test_a_file_is_one_room_and_a_function_one_thought() -> None:
    """No file is longer than 400 lines but the worker, which must be one file; no function than 60."""
    long = {}
    for module, path in MODULES.items():
        text = path.read_text(encoding="utf-8")
        if (lines := text.count("\n")) > 400 and module != "isolation.worker":
            long[module] = lines
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
                length = node.end_lineno - node.lineno + 1
                if length > 60:
                    long[f"{module}.{node.name}"] = length
    assert long == {}


def test_tests_of_the_core_import_no_extension() -> None:
    """They must run where an extension's folder is gone; a test that needs one checks for it, and imports it inside."""
    tests = [path for path in (ROOT / "tests").rglob("*.py") if "extensions" not in path.parts]
    assert tests
    for path in tests:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        named = {node.module for node in tree.body if isinstance(node, ast.ImportFrom) and node.module}
        found = {name for name in named if name.startswith(("eyerace_parity.extensions.", "tests.extensions."))}
        assert not found, f"{path.name} imports {found}"
