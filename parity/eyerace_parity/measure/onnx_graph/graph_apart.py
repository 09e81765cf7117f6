"""An ONNX file's facts, read where a crash is an answer: protobuf, checker and shape inference are native code."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from eyerace_parity.core.errors import RecordError, WorkerDied
from eyerace_parity.evidence.artefacts import Graph
from eyerace_parity.evidence.base import Provenance
from eyerace_parity.evidence.codec import decode
from eyerace_parity.isolation.apart import answer_stream, read_apart
from eyerace_parity.measure.onnx_graph.reader import read_file, read_graph
from eyerace_parity.runners.artefacts import artefact

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract


def graph_of(contract: Contract, variant: str) -> Graph:
    """Read the facts of a variant's file in another process.

    A file that kills its reader gives a :class:`Graph` whose ``failure`` says so.

    Raises:
        ArtefactError: The file is missing or cannot be read.
        MeasurementError: The reader could not be started, failed, took too long, or was ended from outside: that
            says nothing of the file.
    """
    stated = contract.variants[variant]
    if stated.kind != "onnx":
        return read_graph(contract, variant)
    path = artefact(contract, variant)
    provenance = Provenance(variant=variant)
    try:
        answer = read_apart(__name__, (str(path), str(contract.root)), name=stated.path.as_posix())
        return decode(Graph, answer).model_copy(update={"provenance": provenance})
    except WorkerDied as error:
        if error.transient:
            raise
        return Graph(provenance=provenance, failure=error.reason)
    except RecordError as error:
        return Graph(provenance=provenance, failure=error.reason)


def main() -> None:
    """Read one file and write down what it says."""
    stream = answer_stream()
    path, bundle = map(Path, sys.argv[1:])
    with stream:
        stream.write(read_file(path, bundle).model_dump_json().encode("utf-8"))


if __name__ == "__main__":
    main()
