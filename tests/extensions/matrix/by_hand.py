"""A merged record by hand, for whoever only reads one."""

from __future__ import annotations

from eyerace_parity.extensions.matrix.document import (
    CellNumber,
    MatrixCell,
    MatrixRuntime,
    MergedRecord,
    RuntimeChanges,
)
from tests.record.records import DIGEST


def matrix(reason: str = "no kernel for ConvInteger") -> MergedRecord:
    """Two runtimes, of which the older fails one variant."""
    runtimes = (
        MatrixRuntime(label="1.22", declared="1.22", version="1.22.1", packages=("flutter_onnxruntime ≥ 1.5.1",)),
        MatrixRuntime(label="newest", declared="newest", version="1.32.0", python="3.11.7", record="ortnewest.json"),
    )
    changes = RuntimeChanges(loads=True, equal=True, flips=0, samples=24, f1=0.9, time_ratio=1.5, time_versus="1.32.0")
    number = CellNumber(clause="sqnr_db", value=27.3, unit="dB")
    cells = (
        MatrixCell(runtime="1.22", variant="fp32", observed="held", expected="held", agrees=True, changes=changes),
        MatrixCell(
            runtime="1.22", variant="int8", observed="broken", expected="held", agrees=False,
            failing=("from_bytes",), reason=reason, next="quantise statically",
        ),
        MatrixCell(
            runtime="1.22", variant="int8", target="arm64/armv8.0", observed="broken", expected="held", agrees=False,
            failing=("executes",), reason=reason, next="quantise statically",
        ),
        MatrixCell(runtime="newest", variant="fp32", observed="held", expected="held", agrees=True, changes=changes),
        MatrixCell(runtime="newest", variant="int8", observed="held", expected="held", agrees=True, changes=changes),
        MatrixCell(
            runtime="newest", variant="int8", target="arm64/armv8.0", observed="held", expected="held", agrees=True,
            numbers=(number,),
        ),
    )  # fmt: skip
    return MergedRecord(
        tool="0.1.0", contract="eyes", file="golden/contract.toml", digest=DIGEST, substance=DIGEST,
        artefacts={"int8": DIGEST}, versions=("1.22", "newest"), asked=("1.22", "newest"), newest="newest",
        runtimes=runtimes, cells=cells, outcome="broken",
    )  # fmt: skip
