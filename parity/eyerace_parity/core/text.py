"""Text: lists and near misses in words, the form of names, and what becomes of foreign text in markup."""

from __future__ import annotations

import difflib
import html
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKDOWN: Final = re.compile(r"([\\`*_\[\]|~])")
_REFERENCE: Final = re.compile(r"([@#])(?=\w)")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def markdown(text: str) -> str:
    """Write a text so that Markdown, the HTML in it and a code host's mentions leave it as it is, on one line."""
    flat = " ".join(_CONTROL.sub("", text).split())
    # A code host looks for mentions in the text that Markdown has made: only a break inside keeps it from finding them.
    return _REFERENCE.sub(r"\1<!-- -->", _MARKDOWN.sub(r"\\\1", html.escape(flat, quote=False)))


def code(text: str) -> str:
    """Write a short name as code, on one line, whatever backticks it holds."""
    flat = " ".join(_CONTROL.sub("", text).split())
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if flat[:1] == "`" or flat[-1:] == "`" else ""
    # A bar ends a table's cell even inside code.
    return f"{fence}{gap}{flat}{gap}{fence}".replace("|", r"\|") if flat else ""


def workflow_property(text: str) -> str:
    """Write a property of a GitHub workflow command; source: the escaping rules of ``actions/toolkit``'s commands."""
    return workflow_message(text).replace(":", "%3A").replace(",", "%2C")


def workflow_message(text: str) -> str:
    """Write the message of a GitHub workflow command."""
    return _CONTROL.sub("", text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
"""What a name looks like that a file can give."""

NAME_LENGTH: Final = 64
"""Characters that it may have."""

NAME_IN_WORDS: Final = f"a name of letters, digits, '_', '-' and '.', at most {NAME_LENGTH} of them"


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return ``; did you mean 'f1_drop'?`` if one of the known names is near, else an empty string.

    Args:
        given: What was written.
        known: What could have been written.
    """
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(given).casefold(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def join_names(items: Iterable[str], *, most: int = 12) -> str:
    """Join names for a sentence, cut after ``most`` of them, with the number of those left out."""
    names = list(items)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
