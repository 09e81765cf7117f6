"""Records of a matrix: one real run of the tiny bundle as one cell, and what the same run would be elsewhere."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.extensions.matrix.merge import merge
from eyerace_parity.extensions.matrix.section import cell_of
from eyerace_parity.golden.dataset import open_golden
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.measure.laboratory import Laboratory
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.record.document import Record
from eyerace_parity.record.files import document_text, write_record

if TYPE_CHECKING:
    from collections.abc import Callable

    from eyerace_parity.contract.model import Contract
    from eyerace_parity.extensions.matrix.document import MatrixCell, MergedRecord

MATRIX = """
[matrix]
versions = ["1.21", "1.22", "newest"]

[limits.runtime]
runtime_ratio = 50.0

[limits.compatibility]
min_onnxruntime = "1.16"
"""


@dataclass(frozen=True)
class Cells:
    """A bundle whose contract has a matrix, and the record of a run on this machine's runtime.

    Attributes:
        bundle: The bundle.
        record: The record, as JSON.
        runtime: Version of ONNX Runtime that it was really measured with.
        folder: Where further records are written.
    """

    bundle: Path
    record: dict[str, Any]
    runtime: str
    folder: Path

    @property
    def contract(self) -> Contract:
        """The contract as it stands."""
        return open_contract(self.bundle / "contract.toml")

    def write(self, name: str, version: str, *changes: Callable[[dict[str, Any]], None]) -> Path:
        """Write the record as if it came from another version, after some changes."""
        document = json.loads(json.dumps(self.record).replace(f"onnxruntime {self.runtime}", f"onnxruntime {version}"))
        document["environment"]["packages"]["onnxruntime"] = version
        document["contracts"][0]["digest"] = self.contract.digest
        for change in changes:
            change(document)
        path = self.folder / f"{name}.json"
        write_record(path, Record.model_validate(document))
        return path

    def merged(self, *files: Path, versions: tuple[str, ...] = ()) -> MergedRecord:
        """Merge records under the contract as it stands."""
        return merge(self.contract, files, versions)

    def all(self, *, but: str = "") -> list[Path]:
        """One sound record for each declared version, or for all but one of them."""
        return [self.write(f"ort{name}", version) for name, version in VERSIONS.items() if name != but]


VERSIONS = {"1.21": "1.21.1", "1.22": "1.22.0", "newest": "1.99.0"}
"""What the declared versions turn out to be."""


def make_cells(built: Path, folder: Path) -> Cells:
    """Judge a copy of the tiny bundle once, as one cell of its matrix."""
    bundle = shutil.copytree(built, folder / "bundle")
    with (bundle / "contract.toml").open("a", encoding="utf-8") as file:
        file.write(MATRIX)
    contract = cell_of(open_contract(bundle / "contract.toml"))
    laboratory = Laboratory(
        contract,
        open_golden,
        EvidenceCache(folder / "store"),
        jobs=1,
        progress=SilentProgress(),
        peer_python=Path(sys.executable),
    )
    ledger = ContractFindings(contract, plan(contract))
    for planned in ledger.planned:
        ledger.enter(finding(planned, judge(planned, laboratory), laboratory))
    record = compose(
        [ledger], root=folder, started="2026-01-01T00:00:00+00:00", seconds=1, why_unjudged=lambda _: "deselected"
    )
    document = json.loads(document_text(record))
    for row in document["verdicts"]:
        row["status"] = "held"  # two dozen samples prove little; what is merged here must begin sound
    document["contracts"][0]["outcome"] = "held"
    (folder / "records").mkdir()
    return Cells(bundle, document, document["environment"]["packages"]["onnxruntime"], folder / "records")


def fail(variant: str, reason: str, *clauses: str) -> Callable[[dict[str, Any]], None]:
    """Break clauses of a variant, or all that have a reason of their own; the contract's outcome follows."""

    def change(document: dict[str, Any]) -> None:
        for row in document["verdicts"]:
            if row["variant"] == variant and (row["clause"] in clauses or not clauses):
                row |= {"status": "broken", "reason": reason, "next": "mend it"}
        document["contracts"][0]["outcome"] = "broken"

    return change


def refuse(variant: str, reason: str) -> Callable[[dict[str, Any]], None]:
    """Let no session be made of a variant: every clause that loads it is broken, and its trial tells why."""

    def change(document: dict[str, Any]) -> None:
        fail(variant, reason, "from_bytes", "prediction")(document)
        for entry in document["evidence"].values():
            if entry["kind"] == "preflight" and entry["variant"] == variant:
                entry["document"] |= {"failure": reason, "inputs": [], "outputs": []}

    return change


def cell(merged: MergedRecord, runtime: str, variant: str) -> MatrixCell:
    """The cell of a variant on the host."""
    return next(found for found in merged.cells if (found.runtime, found.variant) == (runtime, variant))
