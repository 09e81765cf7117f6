"""The merged record: what several runs found of one contract, a row a runtime, and what is to be said of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, Self

from pydantic import Field, model_validator

from eyerace_parity.core.result import HOST
from eyerace_parity.record.rows import Entry

if TYPE_CHECKING:
    from collections.abc import Iterable

FORMAT: Final = "eyerace-parity matrix"
"""Marks a merged record among other JSON files."""

VERSION: Final = 1
"""Version of its form."""

Observed = Literal["held", "broken", "error", "unproven", "unjudged", "missing"]
"""What became of a variant on a runtime. ``missing``: there is no sound record of it."""

Expected = Literal["held", "fails", "anything"]
"""What the contract expects of it."""

Predicted = Literal["loads", "refused", "unknown"]
"""What is known of it from the file alone."""

ABSENCE_FORMAT: Final = "eyerace-parity absence"
"""Marks it among records."""

ABSENCE_VERSION: Final = 1
"""Version of its form."""


class MatrixRuntime(Entry):
    """One row: a runtime, or the place of one that the contract declares.

    Attributes:
        label: Its name in the table; unique.
        declared: The version of ``[matrix]`` that it stands for; empty for a record that joins undeclared.
        version: Version of ONNX Runtime; empty where nothing is known.
        record: The record's file.
        python: Version of Python.
        system: Operating system.
        architecture: Processor architecture.
        machine: Fingerprint of the processor.
        started: When the run began.
        seconds: How long it took.
        packages: Flutter packages that bundle this version.
        fault: Why there is no sound record; empty where there is one.
        next: What to do about it.
    """

    label: str
    declared: str = ""
    version: str = ""
    record: str = ""
    python: str = ""
    system: str = ""
    architecture: str = ""
    machine: str = ""
    started: str = ""
    seconds: float = 0.0
    packages: tuple[str, ...] = ()
    fault: str = ""
    next: str = ""


class CellNumber(Entry):
    """A measured number.

    Attributes:
        clause: The clause that judged it.
        value: The number, or a short text.
        unit: Its unit.
    """

    clause: str
    value: int | float | str
    unit: str = ""


class RuntimeChanges(Entry):
    """What a runtime changes of a variant. ``null`` is not known: it was not measured, or not kept where it was.

    Attributes:
        loads: Whether a session could be made from the file.
        closeness: How near its answers are to the reference's.
        equal: Whether every answer is bit for bit that of the newest runtime.
        flips: Samples that it decides otherwise than the newest runtime.
        samples: Samples that were compared.
        f1: Macro-F1.
        memory: Largest growth of resident memory of a fresh session, in bytes.
        time_ratio: Median time of an inference, of that in the runtime ``time_versus`` in the same run.
        time_versus: Version of that runtime.
    """

    loads: bool | None = None
    closeness: tuple[CellNumber, ...] = ()
    equal: bool | None = None
    flips: int | None = None
    samples: int | None = None
    f1: float | None = None
    memory: int | None = None
    time_ratio: float | None = None
    time_versus: str = ""


class MatrixCell(Entry):
    """One variant on one runtime and one target.

    Attributes:
        runtime: Label of the row.
        variant: The variant.
        target: Where it was executed.
        observed: What became of it.
        expected: What the contract expects.
        words: Of a failure that is expected, the words that must tell it.
        predicted: What is known from the file alone.
        prediction: The prediction in words.
        agrees: Whether all three agree. The whole is held only if every cell does.
        failing: Clauses that failed.
        reason: Why it does not agree, or why it failed as expected; empty where it is held.
        next: What to do about it.
        changes: What the runtime changes; of the host only.
        numbers: What was measured there; of the other targets only.
    """

    runtime: str
    variant: str
    target: str = HOST
    observed: Observed
    expected: Expected
    words: tuple[str, ...] = ()
    predicted: Predicted = "unknown"
    prediction: str = ""
    agrees: bool
    failing: tuple[str, ...] = ()
    reason: str = ""
    next: str = ""
    changes: RuntimeChanges | None = None
    numbers: tuple[CellNumber, ...] = ()

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        if self.agrees and (self.observed == "missing" or (self.expected == "held") != (self.observed == "held")):
            if self.expected == "anything" and self.observed != "missing":
                return self
            message = f"{self.variant} on {self.runtime}: {self.observed} does not agree with {self.expected}"
            raise ValueError(message)
        if not self.agrees and not self.reason:
            message = f"{self.variant} on {self.runtime}: it does not agree, and no reason says why"
            raise ValueError(message)
        return self


class MergedRecord(Entry):
    """A whole matrix.

    Attributes:
        format: Always ``eyerace-parity matrix``.
        schema_version: Version of the form; written ``schema``.
        tool: Version of the plugin that merged.
        contract: Name of the contract.
        file: Its file.
        digest: Its digest, overrides applied.
        substance: Digest of all in it that measurements depend on, as a cell of the matrix runs it.
        artefacts: Digest of each variant's file.
        versions: The versions that are declared.
        asked: Those that were asked for; the others are not judged here.
        newest: Label of the row that the others are compared with; empty where there is none.
        runtimes: The rows, oldest first.
        cells: The cells, row by row.
        outcome: ``held`` only if every cell agrees, and at least one is held as expected.
    """

    format: Literal["eyerace-parity matrix"] = "eyerace-parity matrix"
    schema_version: Literal[1] = Field(default=1, alias="schema")
    tool: str
    contract: str
    file: str
    digest: str
    substance: str
    artefacts: dict[str, str] = {}
    versions: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    newest: str = ""
    runtimes: tuple[MatrixRuntime, ...] = Field(min_length=1)
    cells: tuple[MatrixCell, ...] = Field(min_length=1)
    outcome: Literal["held", "broken"]

    @model_validator(mode="after")
    def _adds_up(self) -> Self:
        labels = [runtime.label for runtime in self.runtimes]
        places = [(cell.runtime, cell.variant, cell.target) for cell in self.cells]
        if len(set(labels)) != len(labels) or len(set(places)) != len(places):
            message = "a runtime, or a cell, stands twice"
            raise ValueError(message)
        if {cell.runtime for cell in self.cells} != set(labels):
            message = "a row has no cells, or a cell no row"
            raise ValueError(message)
        columns = {(cell.variant, cell.target) for cell in self.cells}
        if len(self.cells) != len(labels) * len(columns):
            message = "a row lacks a cell that another has"
            raise ValueError(message)
        if absent := set(self.asked) - {runtime.declared for runtime in self.runtimes}:
            message = f"declared, but without a row: {', '.join(sorted(absent))}"
            raise ValueError(message)
        if self.outcome != outcome_of(self.cells, self.runtimes):
            message = f"its cells do not spell {self.outcome!r}"
            raise ValueError(message)
        return self

    def cells_of(self, label: str) -> tuple[MatrixCell, ...]:
        """The cells of one row."""
        return tuple(cell for cell in self.cells if cell.runtime == label)


def outcome_of(cells: Iterable[MatrixCell], runtimes: Iterable[MatrixRuntime]) -> Literal["held", "broken"]:
    """Say what the cells make of the whole: held if all agree, each row has a record, and something was held at all."""
    found = list(cells)
    sound = all(not runtime.fault for runtime in runtimes) and all(cell.agrees for cell in found)
    return "held" if sound and any(cell.observed == "held" for cell in found) else "broken"


class MissingRecord(Entry):
    """Why a run could not be made.

    Attributes:
        format: Always ``eyerace-parity absence``.
        schema_version: Version of the form; written ``schema``.
        reason: Why.
        next: What to do about it.
    """

    format: Literal["eyerace-parity absence"] = "eyerace-parity absence"
    schema_version: Literal[1] = Field(default=1, alias="schema")
    reason: str = Field(min_length=1)
    next: str = ""
