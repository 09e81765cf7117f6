"""What version 0.1 wrote is read by this one: a record, its cache, recorded outputs, and the committed release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

from eyerace_parity.cli import Exit, main
from eyerace_parity.evidence import registry
from eyerace_parity.evidence.answers import Outputs
from eyerace_parity.evidence.codec import decode, encode
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.record.files import read_record
from eyerace_parity.record.schema import SCHEMA_FILE
from eyerace_parity.release import files as releases

ROOT = Path(__file__).parent.parent
OLD = ROOT / "tests" / "fixtures" / "0.1"
RECORD = OLD / "record.json"
CONTRACT = OLD / "contract.toml"
CLAUSES = 51
RELEASE = "2f47bbdfe8ad0df5"
KINDS = {"files", "golden", "graph", "outputs", "preflight", "repeats"}


def entries() -> list[Path]:
    """Every entry of the old cache."""
    return sorted((OLD / "cache").rglob("*.evidence"))


def decided(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of verdicts without their sentences, which a version may word anew, and without the contract's line."""
    return [{key: value for key, value in row.items() if key not in {"line", "reason", "details"}} for row in rows]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A copy of the old cache: an entry that is read is touched."""
    return Path(shutil.copytree(OLD / "cache", tmp_path / "cache"))


def test_the_record_is_what_the_schema_says() -> None:
    """A reader of the published schema takes it, and so does the gate, with every verdict."""
    content = json.loads(RECORD.read_text(encoding="utf-8"))
    jsonschema.validate(content, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    record = read_record(RECORD)
    assert len(record.verdicts) == CLAUSES
    assert {entry.kind for entry in record.evidence.values()} >= KINDS


def test_the_record_can_be_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """``eyerace-parity report`` prints its verdict and ends as its run did."""
    assert main(["report", str(RECORD)]) == Exit.DONE
    assert f"tiny-colours: HELD; all {CLAUSES} clauses judged" in " ".join(capsys.readouterr().out.split())


def test_the_record_is_judged_again_with_its_cache(cache: Path, tmp_path: Path) -> None:
    """Under the same limits every verdict is the same; under a tighter one its clause breaks."""
    judge = ["judge", str(RECORD), "--contract", str(CONTRACT), "--cache", str(cache)]
    output = tmp_path / "again.json"
    assert main([*judge, "--output", str(output)]) == Exit.DONE
    before, after = (json.loads(place.read_text(encoding="utf-8"))["verdicts"] for place in (RECORD, output))
    assert decided(after) == decided(before)
    assert main([*judge, "--set", "variants.int8.limits.closeness.sqnr_db=90"]) == Exit.NOT_HELD


def test_the_cache_has_an_entry_of_many_kinds() -> None:
    """What :func:`test_an_entry_of_the_cache_is_read` reads is not nothing."""
    assert {path.parent.name for path in entries()} == KINDS


@pytest.mark.parametrize("path", entries(), ids=lambda path: f"{path.parent.name}-{path.stem[:8]}")
def test_an_entry_of_the_cache_is_read(cache: Path, path: Path) -> None:
    """It is found by its key, its bytes become evidence, and arrays become the same bytes again."""
    declared = registry.KINDS.named(path.parent.name)
    kind = declared.type
    head = json.loads(path.read_bytes().partition(b"\n")[0])
    body = EvidenceCache(cache).read(head["kind"], head["key"])
    assert body is not None
    found: Any = decode(kind, body)
    if declared.is_fact:
        assert decode(kind, encode(found)) == found
    else:
        assert encode(found) == body


@pytest.mark.parametrize(
    "place", [OLD / "recorded" / "torch.npz", ROOT / "golden" / "recorded" / "torch.npz"], ids=["tiny", "golden"]
)
def test_recorded_outputs_are_written_as_they_were(place: Path) -> None:
    """A bundle's recorded outputs are committed: reading and writing them must change no byte."""
    body = place.read_bytes()
    outputs = decode(Outputs, body)
    assert encode(outputs) == body
    (scores,) = outputs.arrays.values()
    assert (scores.dtype, len(scores)) == (np.dtype(np.float32), outputs.expected)


@pytest.mark.needs_extension("emulation")
def test_the_committed_release_is_valid() -> None:
    """Its digest is still the one that its history names: what a dump of it holds has not changed."""
    folder = ROOT / "golden" / "releases" / "1.0"
    stored = releases.read(folder)
    (acceptance,) = releases.history(folder)
    assert acceptance.digest == stored.release.digest
    assert acceptance.digest.removeprefix("sha256:").startswith(RELEASE)
    assert [path.stem for path in (folder / releases.HISTORY).iterdir()] == [RELEASE]
    assert len(stored.ids) == len(stored.release.answers_of("int8", stored.answers)["scores"])
