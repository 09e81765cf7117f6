"""The table of targets: a row a target, a column a clause, and nothing of it in the table of the host."""

from __future__ import annotations

from typing import Any

from eyerace_parity.core.result import Relation, Status
from eyerace_parity.record.rows import Unjudged, VerdictEntry
from eyerace_parity.report.terminal import draw
from eyerace_parity.report.view.run import run_view
from tests.record.records import record, verdict

OLD, NEW, X86 = "arm64/armv8.0", "arm64/armv8.2", "x86/avx2"


def there(clause: str, target: str, **fields: Any) -> VerdictEntry:
    """A verdict on a target."""
    told: dict[str, Any] = {
        "check": "arm64",
        "value": 64,
        "limit": 64,
        "relation": Relation.EQUAL,
        "unit": "samples",
    } | fields
    return verdict(clause, target=target, **told)


def drawn(*verdicts, missing=(), width: int = 100, variants=("fp32", "int8")) -> str:
    """A record on a terminal."""
    return draw(run_view(record(verdicts, missing, variants=variants)), width=width, colour=False, encoding="utf-8")


def test_targets_have_a_table_of_their_own():
    """Each target once, each clause once, beside a host table that knows nothing of them."""
    text = drawn(
        verdict("f1"),
        *(there("executes", target) for target in (OLD, X86)),
        there("flips", OLD, value=0, limit=0, relation=Relation.AT_MOST),
        there("flips", X86, value=2, limit=0, relation=Relation.AT_MOST, status=Status.BROKEN),
    )
    lines = text.splitlines()
    head = next(number for number, line in enumerate(lines) if line.startswith("int8 on"))
    assert lines[head].split() == ["int8", "on", "executes", "flips"]
    assert lines[head + 2].split() == [OLD, "✓", "64", "✓", "0", "≤", "0"]
    assert lines[head + 3].split() == [X86, "✓", "64", "✗", "2", ">", "0"]
    assert not any(OLD in line for line in lines[:head])
    assert "✗ int8 flips [x86/avx2] broken" in text


def test_a_host_without_clauses_has_no_table():
    """A run of one target's clauses shows that target."""
    text = drawn(there("executes", OLD))
    assert "clause " not in text.splitlines()[0]
    assert text.startswith("int8 on")


def test_what_was_not_judged_has_its_sign():
    """A target that was left out stands beside those that were not only where something of it was judged."""
    missing = Unjudged(contract="eyes", variant="int8", check="arm64", clause="parity", target=OLD, why="deselected")
    text = drawn(there("executes", OLD), there("executes", NEW), there("parity", NEW), missing=[missing])
    row = next(line for line in text.splitlines() if line.startswith(OLD))
    assert row.split() == [OLD, "✓", "64", "·"]


def test_each_variant_has_its_own_table():
    """Two variants on one target."""
    text = drawn(there("executes", OLD), there("executes", OLD, variant="fp32"))
    assert "int8 on" in text
    assert "fp32 on" in text


def test_a_narrow_terminal_gets_several_tables():
    """Every clause stays readable, and no line is longer than the terminal."""
    clauses = ("executes", "parity", "flips", "f1", "sqnr_db", "instructions")
    text = drawn(*(there(clause, OLD) for clause in clauses), width=60)
    assert max(map(len, text.splitlines())) <= 60
    assert text.count("int8 on") == 3
    assert all(clause in text for clause in clauses)
