"""Compares the verdicts of a run of the EyeRace contract with those of version 0.1.

    python tools/compare_verdicts.py build/parity/record.json
    python tools/compare_verdicts.py build/parity/record.json --write    # after an intended change of values

Status, relation, limit and unit of every verdict must be equal, and no verdict may be missing or new. Values must be
equal too, with exceptions: for times and memory only the status is compared, counted instructions may differ by 1 %,
other numbers by rounding. Ends with 1 if something differs, and prints it. Imports only the standard library, because
CI runs it outside every environment.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

EXPECTED: Final = Path(__file__).parent.parent / "tests" / "fixtures" / "0.1" / "verdicts.json"
"""The verdicts of version 0.1, with the machine and the packages of that run."""

IDENTITY: Final = ("contract", "variant", "check", "clause", "target")
COMPARED: Final = ("status", "relation", "limit", "unit")
UNSTEADY: Final = ("latency", "memory")
"""Checks whose values differ from run to run."""

_RELATIVE: Final = 1e-4
_ABSOLUTE: Final = 1e-5  # max_abs of the fp32 export is 3e-6, the effect of the order of additions
_INSTRUCTIONS: Final = 1e-2

Verdict = dict[str, Any]


def verdicts_of(record: Mapping[str, Any]) -> list[Verdict]:
    """The compared fields of a record's verdicts, in its order; a value of ``None`` is not compared."""
    return [
        {key: verdict[key] for key in (*IDENTITY, *COMPARED)}
        | {"value": None if verdict["check"] in UNSTEADY else verdict["value"]}
        for verdict in record["verdicts"]
    ]


def differences(expected: Sequence[Verdict], found: Sequence[Verdict]) -> Iterator[str]:
    """Yield every difference as a line."""
    before, now = ({identity(verdict): verdict for verdict in side} for side in (expected, found))
    if len(now) != len(found):
        yield f"{len(found) - len(now)} verdicts are duplicates"
    yield from (f"- {name}: missing" for name in before if name not in now)
    yield from (f"+ {name}: new" for name in now if name not in before)
    for name in (name for name in before if name in now):
        for key in COMPARED:
            if before[name][key] != now[name][key]:
                yield f"! {name}: {key} was {before[name][key]!r}, is {now[name][key]!r}"
        if not equal_values(before[name], now[name]):
            yield f"! {name}: value was {before[name]['value']!r}, is {now[name]['value']!r}"


def identity(verdict: Verdict) -> str:
    """Name of a verdict, as on the terminal."""
    return " ".join(verdict[key] for key in IDENTITY)


def equal_values(expected: Verdict, found: Verdict) -> bool:
    """Whether two values are equal within their tolerance."""
    before, now = expected["value"], found["value"]
    if not all(isinstance(value, int | float) for value in (before, now)):
        return bool(before == now)
    relative = _INSTRUCTIONS if expected["unit"] == "instructions" else _RELATIVE
    return math.isclose(before, now, rel_tol=relative, abs_tol=_ABSOLUTE)


def main(arguments: Sequence[str] | None = None) -> int:
    """Compare, and print the differences."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("record", type=Path, help="record of a run of golden/contract.toml, whole")
    parser.add_argument("--expected", type=Path, default=EXPECTED, help="verdicts to compare with")
    parser.add_argument("--write", action="store_true", help="make the record's verdicts the expected ones")
    options = parser.parse_args(arguments)
    record = json.loads(options.record.read_text(encoding="utf-8"))
    found = {"environment": record["environment"], "verdicts": verdicts_of(record)}
    if options.write:
        body = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        options.expected.write_text(body, encoding="utf-8", newline="\n")
        return 0
    expected = json.loads(options.expected.read_text(encoding="utf-8"))
    lines = list(differences(expected["verdicts"], found["verdicts"]))
    print("\n".join(lines) if lines else f"{len(found['verdicts'])} verdicts as in {options.expected}")
    if lines and expected["environment"] != found["environment"]:
        print(f"taken with {expected['environment']},\n       now {found['environment']}", file=sys.stderr)
    return 1 if lines else 0


if __name__ == "__main__":
    raise SystemExit(main())
