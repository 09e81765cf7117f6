"""Measures what each ONNX Runtime supports, and writes the table for the predictions.

    python tools/measure_runtimes.py ENVIRONMENT/bin/python …

Each Python has numpy and another onnxruntime; the one that runs this file has onnx. For every runtime, tiny models are
loaded to find the newest IR version and the newest version of every domain that it accepts, and the runtime lists its
operator schemas and the kernels of its CPU provider. Then operators in thousands of forms are loaded. Results that
kernels alone do not predict (operators replaced by others, nodes removed by optimisation) are written into the table;
contradictions are also printed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))

import probe_models
from runtime_table import Observed, add_observations, compose

from eyerace_parity.compatibility.table import DATA, read_table
from eyerace_parity.compatibility.versions import Version
from eyerace_parity.measure.onnx_graph.signatures import signatures

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

PROBE: Final = Path(__file__).with_name("runtime_probe.py")
PACKAGED: Final = Path(__file__).parent.parent / "parity" / "eyerace_parity" / "compatibility" / DATA

NEWEST_IR: Final = 20
NEWEST_OPSET: Final = 40
"""Largest versions that are tried; both are far above the existing ones."""

FURTHER_DOMAINS: Final = ("ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview", "ai.onnx.preview.training",
                          "com.microsoft.experimental", "com.microsoft.dml", "org.pytorch.aten",
                          "example.unknown")  # fmt: skip
"""Domains that are tried in addition to those of a runtime's own operators."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure every runtime and write the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pythons", nargs="+", type=Path, help="Pythons with numpy and an onnxruntime each")
    parser.add_argument("--into", type=Path, default=PACKAGED, help="file for the table")
    parser.add_argument("--probes", type=Path, help="folder to keep the models in")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.probes or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        facts = {}
        for python in options.pythons:
            runtime = json.loads(_output(python, "facts"))
            version = Version.parse(runtime["version"])
            print(f"onnxruntime {runtime['version']}: limits", flush=True)
            facts[version] = {
                **runtime,
                **_limits(python, folder, runtime["schemas"]),
                "python": python,
            }
        document = compose(dict(sorted(facts.items())), datetime.now(UTC).date().isoformat())
        observed = _observe(folder, facts)
    for line in add_observations(document, read_table(document), observed):
        print(line)
    options.into.write_text(format_table(document), encoding="utf-8")
    return 0


def load_all(python: Path, paths: Sequence[Path]) -> dict[str, str]:
    """Load models in one runtime; returns the error of each by file name, empty if it loads."""
    refusals: dict[str, str] = {}
    remaining = list(paths)
    while remaining:
        text = _output(python, "load", "".join(f"{path}\n" for path in remaining))
        answered = [json.loads(line) for line in text.splitlines() if line.startswith("[")]
        refusals.update(answered)
        remaining = remaining[len(answered) :]
        # The probe prints a line a model at once, so the first model without a line is the one that killed it.
        if remaining:  # the next model killed the process
            refusals[remaining.pop(0).name] = "the process died"
    return refusals


def format_table(document: Mapping[str, Any]) -> str:
    """Write the table with one line an entry, so that a diff is readable."""
    blocks = []
    for key, value in document.items():
        if key in {"runtimes", "type_sets", "operators"}:
            lines = [f"  {json.dumps(name)}: {json.dumps(entry)}" for name, entry in value.items()]
            blocks.append(f" {json.dumps(key)}: {{\n" + ",\n".join(lines) + "\n }")
        else:
            blocks.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def _output(python: Path, mode: str, text: str = "") -> str:
    done = subprocess.run([python, PROBE, mode], input=text, capture_output=True, text=True, check=False)
    if mode == "facts" and done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        sys.exit(f"{python} cannot list its operators; it needs numpy and an onnxruntime of 1.16 or newer: {reason}")
    return done.stdout


def _limits(python: Path, folder: Path, schemas: Mapping[str, Any]) -> dict[str, Any]:
    """Find the newest versions that a runtime loads; a domain that it accepts at any version is left out."""
    domains = sorted({name.partition("::")[0] for name in schemas} | set(FURTHER_DOMAINS) - {"ai.onnx"})
    models = {f"ir {n}": probe_models.identity(ir_version=n) for n in range(3, NEWEST_IR + 1)}
    models |= {f"ai.onnx {n}": probe_models.identity(opset=n) for n in range(7, NEWEST_OPSET + 1)}
    for domain in domains:
        if domain != "ai.onnx":
            models |= {
                f"{domain} {n}": probe_models.identity(domain=domain, version=n) for n in range(1, NEWEST_OPSET + 1)
            }
    place = folder / "limits"
    place.mkdir(exist_ok=True)
    for name, model in models.items():
        (place / name).write_bytes(model.SerializeToString())
    refusals = load_all(python, [place / name for name in models])
    newest: dict[str, int] = {}
    for name, refusal in refusals.items():
        subject, _, number = name.rpartition(" ")
        if not refusal:
            newest[subject] = max(newest.get(subject, 0), int(number))
    return {"ir_version": newest.pop("ir"), "domains": {d: n for d, n in newest.items() if n < NEWEST_OPSET}}


def _observe(folder: Path, facts: Mapping[Version, Mapping[str, Any]]) -> list[Observed]:
    """Load every operator's forms in every runtime."""
    paths, nodes = [], []
    for number, model in enumerate(probe_models.operators()):
        path = folder / f"{number:05}.onnx"
        path.write_bytes(model.SerializeToString())
        paths.append(path)
        imports = {entry.domain or "ai.onnx": entry.version for entry in model.opset_import}
        nodes.append((model.ir_version, imports, signatures(model)))
    refusals = {}
    for version, runtime in sorted(facts.items()):
        print(f"onnxruntime {runtime['version']}: {len(paths)} models", flush=True)
        refusals[version] = load_all(runtime["python"], paths)
    return [
        Observed(*seen, {version: answer[path.name] for version, answer in refusals.items()})
        for path, seen in zip(paths, nodes, strict=True)
    ]


if __name__ == "__main__":
    sys.exit(main())
