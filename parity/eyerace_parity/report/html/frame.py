"""What every page shares: its templates, in which all text is escaped, and its style."""

from __future__ import annotations

from importlib import resources
from typing import Final
from urllib.parse import quote

import jinja2
from markupsafe import Markup

_PLACE = "eyerace_parity.report.html"


def template(name: str) -> jinja2.Template:
    """A page's template. What is put into it is escaped, and what it asks for and is not given is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(_PLACE, "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(f"{name}.html.jinja")


def part(kind: str) -> Markup:
    """The style (``css``) or the script (``js``) of the pages, as it stands in them."""
    text = resources.files(_PLACE).joinpath("templates", f"page.{kind}").read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704 - a file of ours


def icon(outcome: str) -> str:
    """The page's icon as an address that asks nobody: a disc in the verdict's colour with its sign."""
    colour, path = _ICONS[outcome]
    drawing = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="8" r="8" fill="{colour}"/>'
        f'<path d="{path}" fill="none" stroke="#fff" stroke-width="2"/></svg>'
    )
    return f"data:image/svg+xml,{quote(drawing)}"


_ASK: Final = "M5.5 6.2a2.5 2.5 0 1 1 3.6 2.2Q8 9 8 10M8 11.5v1.5"
_ICONS: Final = {
    "held": ("#00694e", "M4 8.5l3 3 5-6.5"),
    "broken": ("#b3261e", "M5 5l6 6M11 5l-6 6"),
    "error": ("#8a2c7d", "M8 3.5v6M8 11v2"),
    "unproven": ("#7a5200", _ASK),
    "unjudged": ("#7a5200", _ASK),
}
