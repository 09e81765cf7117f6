"""Every key of a contract is found on the line where it stands."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eyerace_parity.contract.locate import line_of, lines

OUT_OF_ORDER = """\
# a remark
name = "x"
[variants.int8.limits.quality]
f1 = 0.9

[golden]
kind = "images" # trailing
files = [
    "a",  # one
    "b",
]
[variants.int8]
path = "p"
'quoted "key"' = 1
"esc\\u0061pe".inner = 2
session = { config = { a = "1", b.c = "2" },
            spinning = true }
[[interface.inputs]]
name = "first"
[[interface.inputs]]
name = "second"
[interface.inputs.extra]
deep = 1
[[interface.inputs]]
shape = ["n", [1,
  2]]
[interface]
opset = 17
text = '''
[not.a.table]
key = 1
'''
last = 1
"""

PLACES = [
    (("name",), 2),
    (("variants",), 3),
    (("variants", "int8", "limits", "quality"), 3),
    (("variants", "int8", "limits", "quality", "f1"), 4),
    (("golden",), 6),
    (("golden", "kind"), 7),
    (("golden", "files"), 8),
    (("golden", "files", "0"), 9),
    (("golden", "files", "1"), 10),
    (("variants", "int8"), 12),
    (("variants", "int8", "path"), 13),
    (("variants", "int8", 'quoted "key"'), 14),
    (("variants", "int8", "escape", "inner"), 15),
    (("variants", "int8", "session", "config", "b", "c"), 16),
    (("variants", "int8", "session", "spinning"), 17),
    (("interface", "inputs"), 18),
    (("interface", "inputs", "0", "name"), 19),
    (("interface", "inputs", "1"), 20),
    (("interface", "inputs", "1", "name"), 21),
    (("interface", "inputs", "1", "extra", "deep"), 23),
    (("interface", "inputs", "2", "shape", "1", "1"), 26),
    (("interface",), 27),
    (("interface", "opset"), 28),
    (("interface", "text"), 29),
    (("interface", "last"), 33),
]


@pytest.mark.parametrize("ends", ["\n", "\r\n"], ids=["unix", "windows"])
@pytest.mark.parametrize(
    ("keys", "line"), PLACES, ids=lambda value: ".".join(value) if isinstance(value, tuple) else ""
)
def test_a_key_is_found_on_its_line(keys, line, ends):
    """Dotted, quoted and inline keys, arrays of tables, tables out of order, either kind of line end."""
    assert line_of(OUT_OF_ORDER.replace("\n", ends), keys) == line


def test_an_absent_key_is_looked_for_in_what_encloses_it():
    """A message about a missing key points at its table."""
    assert line_of(OUT_OF_ORDER, ("variants", "int8", "limits", "quality", "f2")) == 3
    assert line_of(OUT_OF_ORDER, ("variants", "int8", "reference")) == 12
    assert line_of(OUT_OF_ORDER, ("interface", "inputs", "7", "name")) == 18
    assert line_of(OUT_OF_ORDER, ("nowhere", "at", "all")) is None


def test_a_text_is_no_table():
    """What looks like TOML inside a string is none."""
    assert ("not", "a", "table") not in lines(OUT_OF_ORDER)


def test_a_torn_file_still_gives_lines():
    """The lines before and after the tear are worth having."""
    assert line_of("a = 1\nb = [\n[c]\nd = 2\n", ("a",)) == 1


def test_a_bomb_of_brackets_does_not_exhaust_the_stack():
    """Depth is cut off, not recursed into."""
    assert line_of("a = 1\nb = " + "[" * 900 + "]" * 900, ("b", "0", "0")) == 2


@dataclass
class Page:
    """A TOML text in the making, with the line of each key that was written."""

    text: list[str] = field(default_factory=list)
    found: dict[tuple[str, ...], int] = field(default_factory=dict)

    def write(self, line: str, *keys: tuple[str, ...]) -> None:
        """Add a line that holds these keys."""
        self.text.append(line)
        for key in keys:
            self.found.setdefault(key, len(self.text))


KEYS = st.text("abc-_é\"'\\. \t#=[]{}", min_size=1, max_size=4) | st.from_regex(r"[A-Za-z0-9_-]{1,5}", fullmatch=True)
LEAVES = st.integers(-99, 99) | st.booleans() | st.text("ab#=[]'\"{}\n", max_size=5)


def quoted(text: str) -> str:
    """Write a text as a basic string; TOML's escapes."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}
    return '"' + "".join(escapes.get(letter, letter) for letter in text) + '"'


def value(page: Page, content: Any, keys: tuple[str, ...]) -> None:
    """Write a value that goes on where the last line ended; arrays and inline tables over several lines."""
    if isinstance(content, list):
        page.text[-1] += "["
        for number, item in enumerate(content):
            page.write("  ", (*keys, str(number)))
            value(page, item, (*keys, str(number)))
            page.text[-1] += ", # item"
        page.write("]")
    elif isinstance(content, str):
        page.text[-1] += quoted(content)
    else:
        page.text[-1] += str(content).lower()


def table(page: Page, content: dict[str, Any], keys: tuple[str, ...]) -> None:
    """Write a table: values first, then the tables in it under headers of their own."""
    for key, inner in content.items():
        if not isinstance(inner, dict):
            page.write(f"{quoted(key)} = ", (*keys, key))
            value(page, inner, (*keys, key))
    for key, inner in content.items():
        if isinstance(inner, dict):
            header = " . ".join(quoted(part) for part in (*keys, key))
            page.write(f"[ {header} ] # header", (*keys, key))
            table(page, inner, (*keys, key))


TABLES = st.recursive(
    st.dictionaries(KEYS, LEAVES | st.lists(LEAVES, max_size=3) | st.lists(st.lists(LEAVES, max_size=2)), max_size=3),
    lambda inner: st.dictionaries(KEYS, inner | LEAVES, max_size=3),
    max_leaves=8,
)


@given(TABLES, st.lists(TABLES, max_size=3), st.sampled_from(["\n", "\r\n"]))
def test_every_key_that_was_written_is_found(content, array, ends):
    """A law: whatever the document, each of its keys is on the line that it was written to."""
    content = {key: inner for key, inner in content.items() if key != "array"}
    page = Page()
    table(page, content, ())
    for number, item in enumerate(array):
        page.write("[[array]]", ("array",), ("array", str(number)))
        for key, leaf in item.items():
            if not isinstance(leaf, dict):
                page.write(f"{quoted(key)} = ", ("array", str(number), key))
                value(page, leaf, ("array", str(number), key))
    text = ends.join(page.text)
    tomllib.loads(text)
    assert dict(lines(text)) == page.found
