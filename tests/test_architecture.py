"""The house keeps its one direction: rooms import downward only, and the plugin costs nothing when it is unused."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "parity" / "eyerace_parity"

# Lowest first. A module may import from its own layer and from the layers above it in this list.
LAYERS: tuple[tuple[str, ...], ...] = (
    (
        "eyerace_parity.core.result",
        "eyerace_parity.core.errors",
        "eyerace_parity.core.progress",
        "eyerace_parity.core.text",
        "eyerace_parity.core.digests",
    ),
    ("eyerace_parity.extending",),
    ("eyerace_parity.contract",),
    ("eyerace_parity.evidence", "eyerace_parity.stats"),
    ("eyerace_parity.compatibility",),
    ("eyerace_parity.golden",),
    ("eyerace_parity.runners", "eyerace_parity.emulation"),
    ("eyerace_parity.recipes",),
    ("eyerace_parity.measure",),
    ("eyerace_parity.checks",),
    ("eyerace_parity.diagnose",),
    ("eyerace_parity.judging",),
    ("eyerace_parity.report",),
    ("eyerace_parity.release",),
    ("eyerace_parity.cli",),
    ("eyerace_parity.plugin", "eyerace_parity.session"),
    ("eyerace_parity.extensions",),
)

# What only some layers may know.
RESERVED = {
    "torch": ("eyerace_parity.runners", "eyerace_parity.recipes"),
    "onnxruntime": ("eyerace_parity.runners", "eyerace_parity.recipes", "eyerace_parity.cli"),
    "onnx": (
        "eyerace_parity.recipes",
        "eyerace_parity.measure",
        "eyerace_parity.extensions.selftest",
        "eyerace_parity.cli",
    ),
    "rich": ("eyerace_parity.report", "eyerace_parity.cli"),
}


def modules() -> list[tuple[str, Path]]:
    """All modules of the package, by dotted name."""
    found = []
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found.append((".".join(parts[:-1] if parts[-1] == "__init__" else parts), path))
    return found


def imports(path: Path) -> set[str]:
    """Dotted names that a file imports anywhere, at the top or inside a function."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: relative imports hide the direction"
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def inside(module: str, room: str) -> bool:
    """Whether a module lies in a room."""
    return module == room or module.startswith(f"{room}.")


def floor(module: str) -> int | None:
    """Index of a module's layer: that of the longest room name which holds it."""
    best: tuple[int, int] | None = None
    for index, rooms in enumerate(LAYERS):
        for room in rooms:
            if inside(module, room) and (best is None or len(room) > best[0]):
                best = (len(room), index)
    return None if best is None else best[1]


# The package's face is lazy: it hands names on and imports nothing.
@pytest.mark.parametrize(("module", "path"), modules()[1:], ids=lambda value: value if isinstance(value, str) else "")
def test_imports_run_downward(module: str, path: Path) -> None:
    """No room reaches up: measure, judge and show never mix."""
    own = floor(module)
    assert own is not None, f"{module} has no layer: give it one in LAYERS and in ARCHITECTURE.md"
    for name in imports(path):
        other = floor(name)
        assert other is None or other <= own, f"{module} imports {name} from a layer above its own"


@pytest.mark.parametrize(("library", "rooms"), RESERVED.items(), ids=str)
def test_a_runtime_is_known_only_where_it_runs(library: str, rooms: tuple[str, ...]) -> None:
    """Torch, ONNX and ONNX Runtime stay in the rooms that run or make models."""
    for module, path in modules():
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
