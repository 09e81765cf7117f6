"""A run in Markdown: for a pull request's comment and a CI step's summary.

What is not held stands first and open, everything else is folded away. All text from files is escaped.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final

from eyerace_parity.core.numbers import shown_unit
from eyerace_parity.core.result import HOST, Status
from eyerace_parity.core.text import code, markdown
from eyerace_parity.report.view.words import RICH, comparison

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from eyerace_parity.record.rows import VerdictEntry
    from eyerace_parity.report.view.contract import ContractView, FailureGroup
    from eyerace_parity.report.view.run import RunView

SIGNS: Final = {Status.HELD: "✅", Status.BROKEN: "❌", Status.UNPROVEN: "❔", Status.ERROR: "⚠️"}
"""One sign a status; each is followed by its word, so none is needed to understand."""

MOST_BYTES: Final = 60_000
"""Longest text: a comment on a pull request takes 65,536 characters, a step's summary 1 MiB."""

_MOST_NAMED: Final = 6


def render(run: RunView, *, most: int = MOST_BYTES) -> str:
    """Write a run down in Markdown.

    Args:
        run: The run.
        most: Longest text in bytes; what does not fit is left out from the end, and that is said.
    """
    parts = [part for contract in run.contracts for part in _contract(contract)]
    if run.record.interrupted:
        parts.append(f"**The run ended early:** {markdown(run.record.interrupted)}\n")
    parts.append(_provenance(run))
    return _fitting(parts, most)


def _contract(contract: ContractView) -> Iterator[str]:
    """The verdict, then what is not held, then all clauses, folded."""
    yield f"### {SIGNS[contract.status]} {markdown(contract.headline)}\n"
    if contract.failures:
        yield "| | variant | clause | found | why, and what next |\n|---|---|---|---|---|\n" + "".join(
            _failing(failure) for failure in contract.failures
        )
    if contract.lines:
        yield from _all([line.row for line in contract.lines])
    yield from (f"{markdown(line)}\n" for line in contract.added)


def _failing(failure: FailureGroup) -> str:
    row, rows = failure.first, [line.row for line in failure.lines]
    causes = "".join(f"<br>**likely cause:** {markdown(cause)}" for cause in row.causes)
    why = markdown(row.reason) + causes + (f"<br>**next:** {markdown(row.next)}" if row.next else "")
    variants = "<br>".join(code(name) for name, _ in failure.groups)
    # Of several variants each has its own clauses, and these stand in the table of all.
    clauses = list(dict.fromkeys(_clause(one) for one in rows))
    named = clauses[:_MOST_NAMED] + ([f"and {len(clauses) - _MOST_NAMED} more"] if len(clauses) > _MOST_NAMED else [])
    found = [_found(one) for one in rows[:_MOST_NAMED]] if len(failure.groups) == 1 else []
    return (
        f"| {SIGNS[row.status]} {row.status.value} | {variants} | {'<br>'.join(named)}"
        f" | {'<br>'.join(filter(None, found))} | {why} |\n"
    )


def _all(verdicts: Sequence[VerdictEntry]) -> Iterator[str]:
    counts = Counter(row.check for row in verdicts)
    yield f"<details><summary>All {len(verdicts)} judged clauses</summary>\n"
    yield "| check | variant | clause | verdict | number against limit |\n|---|---|---|---|---|\n" + "".join(
        f"| {code(row.check)} | {code(row.variant)} | {_clause(row)} | {SIGNS[row.status]} {row.status.value}"
        f" | {_found(row)} |\n"
        for check in counts
        for row in verdicts
        if row.check == check
    )
    yield "</details>\n"


def _clause(row: VerdictEntry) -> str:
    return code(row.clause) + ("" if row.target == HOST else f" on {code(row.target)}")


def _found(row: VerdictEntry) -> str:
    return markdown(" ".join(filter(None, (comparison(row, RICH), shown_unit(row.unit)))))


def _provenance(run: RunView) -> str:
    record = run.record
    where = record.environment
    packages = ", ".join(f"{name} {version}" for name, version in where.packages.items())
    place = f"{where.system}, {where.architecture} ({where.machine}), Python {where.python}; {packages}"
    return f"<sub>eyerace-parity {markdown(record.tool)}, {markdown(record.started)}; {markdown(place)}</sub>\n"


def _fitting(parts: Sequence[str], most: int) -> str:
    """Join parts by blank lines; a table that does not fit ends at a row, and says so."""
    text = "\n".join(parts)
    if len(text.encode()) <= most:
        return text
    note = "\n\n_The rest does not fit here; the record holds it all._\n"
    cut = text.encode()[: most - len(note.encode())].decode(errors="ignore")
    whole = cut[: cut.rfind("\n") + 1]
    closing = "</details>\n" if whole.count("<details>") > whole.count("</details>") else ""
    return whole + closing + note
