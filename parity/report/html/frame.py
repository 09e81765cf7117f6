"""What every page shares: its templates, in which all text is escaped, and its style."""

from __future__ import annotations

from importlib import resources

import jinja2
from markupsafe import Markup

_PLACE = "parity.report.html"


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
