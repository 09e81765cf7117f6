"""Text helpers: escaping for Markdown and workflow commands, valid names, suggestions and lists of names."""

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
    """Escape a text for one line of Markdown. It creates no markup, no HTML and no mention of a user or issue."""
    flat = " ".join(_CONTROL.sub("", text).split())
    # Code hosts search the rendered text for mentions, so a backslash does not help. A comment inside splits them.
    return _REFERENCE.sub(r"\1<!-- -->", _MARKDOWN.sub(r"\\\1", html.escape(flat, quote=False)))


def code(text: str) -> str:
    """Format a short name as Markdown code on one line. Backticks in it are allowed."""
    flat = " ".join(_CONTROL.sub("", text).split())
    longest = max((len(run) for run in re.findall(r"`+", flat)), default=0)
    fence = "`" * (longest + 1)
    gap = " " if flat[:1] == "`" or flat[-1:] == "`" else ""
    # A vertical bar ends a table cell even inside code.
    return f"{fence}{gap}{flat}{gap}{fence}".replace("|", r"\|") if flat else ""


def workflow_property(text: str) -> str:
    """Escape a property of a GitHub workflow command. Source: ``actions/toolkit``, ``command.ts``."""
    return workflow_message(text).replace(":", "%3A").replace(",", "%2C")


def workflow_message(text: str) -> str:
    """Escape the message of a GitHub workflow command. Source: as above."""
    return _CONTROL.sub("", text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


NAME: Final = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
"""Pattern of a valid name in a contract or another file."""

NAME_LENGTH: Final = 64
"""Most characters of a valid name."""

NAME_IN_WORDS: Final = f"a name of letters, digits, '_', '-' and '.', at most {NAME_LENGTH} of them"


def did_you_mean(given: object, known: Iterable[str]) -> str:
    """Return ``; did you mean 'f1_drop'?`` if one of the valid names is similar, else an empty string.

    Args:
        given: The name in the file or option.
        known: The valid names.
    """
    names = {name.casefold(): name for name in known}
    near = difflib.get_close_matches(str(given).casefold(), names, n=1, cutoff=0.6)
    return f"; did you mean {names[near[0]]!r}?" if near else ""


def join_names(items: Iterable[str], *, most: int = 12) -> str:
    """Join names for a sentence. After ``most`` names, give only the number of the others."""
    names = list(items)
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
