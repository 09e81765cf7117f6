"""Counts lines of code: not blank, not a comment alone, not a docstring.

    python tools/code_lines.py                  # the package, by its top folders, compared with version 0.1
    python tools/code_lines.py --largest        # also its largest files (all lines) and its longest functions
    python tools/code_lines.py --folder tests   # another folder

A docstring is a string that is a statement of its own: of a module, class or function, or after an assignment. Every
other line with code counts once, so a long statement counts as many lines as it has.
"""

from __future__ import annotations

import argparse
import ast
import io
import sys
import tokenize
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

sys.path.insert(0, str(Path(__file__).parent))

from figures import baseline, package_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class FileCount:
    """The counts of one file.

    Attributes:
        path: The file, relative to the counted folder.
        lines: All lines.
        code: Lines of code among them.
        functions: Name and number of lines, without decorators, of each function.
    """

    path: Path
    lines: int
    code: int
    functions: tuple[tuple[str, int], ...]


def docstring_lines(tree: ast.Module) -> set[int]:
    """Line numbers of strings that are a statement of their own."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }


def comment_lines(source: str) -> set[int]:
    """Line numbers of comments without code."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return {
        token.start[0]
        for token in tokens
        if token.type == tokenize.COMMENT and not token.line[: token.start[1]].strip()
    }


def code_lines(source: str) -> int:
    """Count the lines of code of one file."""
    excluded = docstring_lines(ast.parse(source)) | comment_lines(source)
    return sum(bool(line.strip()) and number not in excluded for number, line in enumerate(source.split("\n"), 1))


def functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every function with its number of lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def count(folder: Path) -> list[FileCount]:
    """Count all Python files below a folder."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        found.append(
            FileCount(
                path.relative_to(folder), len(source.splitlines()), code_lines(source),
                tuple(functions(ast.parse(source))),
            )
        )  # fmt: skip
    return found


def largest(files: Sequence[FileCount], number: int) -> Iterator[str]:
    """Yield the largest files by all lines, then the longest functions."""
    yield ""
    for file in sorted(files, key=lambda file: -file.lines)[:number]:
        yield f"{file.lines:6,}  {file.path.as_posix()}"
    yield ""
    sizes = [(lines, name, file.path) for file in files for name, lines in file.functions]
    for lines, name, path in sorted(sizes, reverse=True)[:number]:
        yield f"{lines:6,}  {path.as_posix()}: {name}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the counts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--folder", type=Path, help="what is counted (default: the package)")
    parser.add_argument("--largest", type=int, nargs="?", const=10, default=0, metavar="N", help="show N largest (10)")
    options = parser.parse_args(arguments)
    folder = options.folder or package_folder()
    files = count(folder)
    if not files:
        parser.error(f"{folder} holds no Python file")
    rooms: Counter[str] = Counter()
    for file in files:
        rooms[file.path.parts[0] if len(file.path.parts) > 1 else "."] += file.code
    for room, lines in sorted(rooms.items()):
        print(f"{lines:6,}  {room}")
    total = rooms.total()
    print(f"{total:6,}  lines of code in {len(files)} files of {folder.name}")
    if not options.folder:
        before = baseline()["code_lines"]
        print(f"{before:6,}  in version 0.1: {total / before - 1:+.1%}")
    for line in largest(files, options.largest) if options.largest else ():
        print(line)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
