"""Finds the line of a key in a contract.

:mod:`tomllib` does not keep line numbers. So tree-sitter parses the text again: it keeps all positions and tolerates
syntax errors.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from eyerace_parity.contract.base import Keys

DEEPEST: Final = 64
"""Deepest nesting that is searched. No contract is deeper, and hostile nesting must not exhaust the stack."""


def line_of(text: str, keys: Sequence[str]) -> int | None:
    """Find the line of a key.

    Args:
        text: Text of the TOML file.
        keys: Parts of the key. The index of an array item is a part, e.g. ``("interface", "inputs", "0", "name")``.

    Returns:
        Line number, from 1. If the key is absent, that of the nearest enclosing table or array; ``None`` if there is
        none.
    """
    known = lines(text)
    wanted = tuple(keys)
    while wanted:
        if wanted in known:
            return known[wanted]
        wanted = wanted[:-1]
    return None


@lru_cache(maxsize=8)
def lines(text: str) -> Mapping[Keys, int]:
    """Return the line number, from 1, of every key, table and array item of a TOML text; for duplicates the first."""
    root = Parser(Language(tree_sitter_toml.language())).parse(text.encode("utf-8")).root_node
    reader = _LineReader()
    reader.read(root, ())
    return reader.found


class _LineReader:
    """Walks the syntax tree and stores the first line of each key."""

    def __init__(self) -> None:
        self.found: dict[Keys, int] = {}
        # Tables that occur only in the header of a nested table, until their own header is found.
        self.implied: set[Keys] = set()
        self.arrays: dict[Keys, int] = {}

    def read(self, node: Node, table: Keys) -> None:
        """Read the children of a document, a table or an error node."""
        for child in node.named_children:
            if child.type == "pair":
                self.pair(child, table)
            elif child.type == "table":
                self.read(child, self.header(child, array=False))
            elif child.type == "table_array_element":
                self.read(child, self.header(child, array=True))
            elif child.type == "ERROR":
                self.read(child, table)

    def header(self, node: Node, *, array: bool) -> Keys:
        """Store ``[table]`` or ``[[array]]``. Returns its keys, including the indices of array items."""
        parts = _key(node.named_children[0]) if node.named_children else ()
        keys: Keys = ()
        for depth, part in enumerate(parts):
            keys = (*keys, part)
            last = depth == len(parts) - 1
            self.place(keys, node, implied=not last)
            if last and array:
                self.arrays[keys] = self.arrays.get(keys, -1) + 1
            if keys in self.arrays:
                keys = (*keys, str(self.arrays[keys]))
                self.place(keys, node, implied=not last)
        return keys

    def pair(self, node: Node, table: Keys) -> None:
        """Store ``key = value`` and the keys inside the value."""
        children = node.named_children
        if not children:
            return
        keys = table
        for part in _key(children[0]):
            keys = (*keys, part)
            self.place(keys, node)
        for value in children[1:]:
            self.value(value, keys)

    def value(self, node: Node, keys: Keys) -> None:
        """Store the keys inside a value: pairs of an inline table, items of an array."""
        if len(keys) > DEEPEST:
            return
        if node.type in {"inline_table", "ERROR"}:
            self.read(node, keys)
        elif node.type == "array":
            items = [child for child in node.named_children if child.type != "comment"]
            for number, item in enumerate(items):
                self.place((*keys, str(number)), item)
                self.value(item, (*keys, str(number)))

    def place(self, keys: Keys, node: Node, *, implied: bool = False) -> None:
        """Store the first line of a key. A table's own header replaces its mention in another header."""
        if keys not in self.found or (keys in self.implied and not implied):
            self.found[keys] = node.start_point.row + 1
            self.implied.discard(keys)
            if implied:
                self.implied.add(keys)


def _key(node: Node) -> Keys:
    """Split a bare, quoted or dotted key into its parts."""
    if node.type == "dotted_key":
        return tuple(part for child in node.named_children for part in _key(child))
    text = (node.text or b"").decode("utf-8")
    if node.type != "quoted_key":
        return (text,)
    try:
        # A quoted key has the syntax of a string, including escapes.
        return (str(tomllib.loads(f"key = {text}")["key"]),)
    except tomllib.TOMLDecodeError:
        return (text.strip("\"'"),)
