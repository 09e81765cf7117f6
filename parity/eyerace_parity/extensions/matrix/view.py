"""Cells and sheets of a matrix, as plain data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MatrixMark:
    """What became of a variant on a runtime, as a cell of the grid.

    Attributes:
        sign: Its sign.
        word: The same as a word.
        status: How it is coloured: ``held``, ``broken``, or empty where the contract expects nothing.
    """

    sign: str
    word: str
    status: str


@dataclass(frozen=True, slots=True)
class MatrixSheet:
    """A table of numbers.

    Attributes:
        title: What it tells.
        heads: Its columns, after the runtime.
        lines: The runtime, and a text a column.
    """

    title: str
    heads: tuple[str, ...]
    lines: tuple[tuple[str, tuple[str, ...]], ...]
