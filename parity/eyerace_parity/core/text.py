"""Text from files on its way into markup: whatever a contract, a file name or a label says, it stays text."""

from __future__ import annotations

import html
import re
from typing import Final

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
