"""The laboratory: measured once, kept by content, never when it is a time; failures are remembered too."""

from __future__ import annotations

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eyerace_parity.core.errors import ArtefactError, BaselineMissing, GoldenError, MeasurementError
from eyerace_parity.evidence.answers import GoldenFacts, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Footprint, Preflight, Timing
from eyerace_parity.measure.cache import EvidenceCache, get
from eyerace_parity.measure.context import content_key
from eyerace_parity.measure.kinds import files, footprint, outputs
from eyerace_parity.measure.providers import MeasuredHere
from tests.laboratories import change, laboratory

CONTENT = [Need(kind, "fp32") for kind in (Outputs, Repeats, Graph, Files, Preflight)]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of everything that is really measured, in order."""
    seen: list[str] = []
    original = MeasuredHere._measure

    def measure(self, need, source):
        seen.append(str(need))
        return original(self, need, source)

    monkeypatch.setattr(MeasuredHere, "_measure", measure)
    return seen


@pytest.mark.parametrize("need", CONTENT, ids=str)
def test_an_unchanged_rerun_measures_nothing(image_bundle: Path, need: Need[Any], counted: list[str]) -> None:
    """What depends on content alone is measured once and taken from the store by the next run."""
    first = laboratory(image_bundle)
    fresh = first.obtain(need)
    assert not fresh.provenance.cached
    assert counted
    counted.clear()
    second = laboratory(image_bundle)
    kept = second.obtain(need)
    assert kept.provenance.cached
    assert second.key(need) == first.key(need)
    assert not counted
    if isinstance(kept, Outputs):
        np.testing.assert_array_equal(kept.arrays["scores"], fresh.arrays["scores"])


@pytest.mark.parametrize("kind", [Timing, Footprint])
def test_times_are_measured_in_every_run(image_bundle: Path, kind, counted: list[str]) -> None:
    """Within a run once, in the next run again: a time of yesterday is no evidence."""
    for _ in range(2):
        place = laboratory(image_bundle)
        assert place.obtain(Need(kind, "fp32")) is place.obtain(Need(kind, "fp32"))
    assert counted.count(str(Need(kind, "fp32"))) == 2


def edit_factory(bundle: Path) -> None:
    path = bundle / "tiny_classifier.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n# edited\n", encoding="utf-8")


def relabel(bundle: Path) -> None:
    path = bundle / "labels.csv"
    path.write_text(path.read_text(encoding="utf-8").replace("red-0.jpg,red", "red-0.jpg,blue"), encoding="utf-8")


@pytest.mark.parametrize(
    ("variant", "alter"),
    [
        ("fp32", lambda bundle: (bundle / "build/tiny.int8.onnx").replace(bundle / "build/tiny.fp32.onnx")),
        ("fp32", lambda bundle: change(bundle, "mean = [0.5, 0.5, 0.5]", "mean = [0.4, 0.5, 0.5]")),
        ("fp32", lambda bundle: change(bundle, "[golden]\n", '[session]\noptimisation = "basic"\n[golden]\n')),
        ("fp32", relabel),
        ("torch", edit_factory),
        ("torch", lambda bundle: change(bundle, 'name = "scores"', 'name = "marks"')),
    ],
    ids=["artefact", "preprocess", "session", "golden", "factory", "names that torch's answers are given"],
)
def test_whatever_changes_the_numbers_changes_the_key(image_bundle: Path, variant: str, alter) -> None:
    """Another artefact, profile, setting, set or source is other evidence; a limit is not."""
    need = Need(Outputs, variant)
    before = laboratory(image_bundle).key(need)
    change(image_bundle, "f1 = 0.9", "f1 = 0.8")
    assert laboratory(image_bundle).key(need) == before
    alter(image_bundle)
    assert laboratory(image_bundle).key(need) != before


def test_a_change_of_our_own_code_is_a_change(image_bundle: Path, monkeypatch) -> None:
    """What other code has measured is not evidence of this one."""
    place = laboratory(image_bundle)
    source = place.obtain(Need(Files, "fp32")).provenance
    before = content_key(Files, source)
    assert get(EvidenceCache(image_bundle.parent / "store"), Files, before) is not None
    monkeypatch.setattr("eyerace_parity.measure.context.code_digest", lambda *places: f"edited {places}")
    assert content_key(Files, source) != before


def test_a_torn_entry_is_measured_again(image_bundle: Path, counted: list[str]) -> None:
    """A store that was cut off half-way costs a measurement, never a verdict."""
    need = Need(Outputs, "fp32")
    expected = laboratory(image_bundle).obtain(need).arrays["scores"]
    for path in (image_bundle.parent / "store").glob("*/*.evidence"):
        path.write_bytes(path.read_bytes()[:-7])
    counted.clear()
    np.testing.assert_array_equal(laboratory(image_bundle).obtain(need).arrays["scores"], expected)
    assert str(need) in counted
    counted.clear()
    laboratory(image_bundle).obtain(need)
    assert not counted


def test_a_failure_is_tried_once(image_bundle: Path, counted: list[str]) -> None:
    """A variant that does not load is tried once, and every need of it says why; it is tried again in the next run."""
    (image_bundle / "build/tiny.fp32.onnx").write_bytes(b"no model")
    place = laboratory(image_bundle)
    for _ in range(3):
        with pytest.raises(ArtefactError, match="refuses the file"):
            place.obtain(Need(Outputs, "fp32"))
    with pytest.raises(ArtefactError):
        place.obtain(Need(Repeats, "fp32"))
    assert counted == ["outputs/fp32/host", "preflight/fp32/host", "repeats/fp32/host"]


def test_a_broken_golden_set_is_opened_once(image_bundle: Path) -> None:
    """Every clause that needs it gets the same error; evidence that does not need it is still to be had."""
    (image_bundle / "labels.csv").unlink()
    place = laboratory(image_bundle)
    for kind in (GoldenFacts, Outputs, Preflight):
        with pytest.raises(GoldenError):
            place.obtain(Need(kind, "" if kind is GoldenFacts else "fp32"))
    with pytest.raises(GoldenError):
        place.key(Need(GoldenFacts))
    assert place.obtain(Need(Files, "fp32")).bytes > 0


def test_what_would_crash_is_not_evaluated_here(image_bundle: Path, monkeypatch) -> None:
    """A file that kills the process which tries it is never loaded into this one."""
    monkeypatch.setattr(
        footprint,
        "_try",
        lambda *_: footprint.ProcessRun(failure="the process died of SIGSEGV while running model", signal=11),
    )
    monkeypatch.setattr(outputs, "open_runner", lambda *_, **__: pytest.fail("it was loaded into this process"))
    with pytest.raises(MeasurementError, match="SIGSEGV"):
        laboratory(image_bundle).obtain(Need(Outputs, "fp32"))


def test_no_process_is_started_for_a_cached_answer(image_bundle: Path, monkeypatch) -> None:
    """An unchanged re-run starts no worker."""
    laboratory(image_bundle).obtain(Need(Outputs, "fp32"))
    monkeypatch.setattr(footprint, "RuntimeWorker", lambda *_, **__: pytest.fail("a process was started"))
    place = laboratory(image_bundle)
    place.obtain(Need(Outputs, "fp32"))
    place.obtain(Need(Preflight, "fp32"))


def test_other_targets_are_refused(image_bundle: Path) -> None:
    """Evidence of a target that nothing here can reach is an error, not the host's."""
    with pytest.raises(MeasurementError, match=r"arm64/armv8\.0"):
        laboratory(image_bundle).obtain(Need(Outputs, "fp32", "arm64/armv8.0"))


class Shelf:
    """An accepted release of which everything is as the candidate's, under names of its own."""

    def __init__(self, bundle: Path) -> None:
        self.candidate = laboratory(bundle)

    def obtain(self, need: Need[Any]) -> Any:
        """Give it."""
        return self.candidate.obtain(replace(need, baseline=False))

    def key(self, need: Need[Any]) -> str:
        """Name it."""
        return f"release {self.candidate.key(replace(need, baseline=False))}"


@pytest.mark.parametrize("kind", [Outputs, Files])
def test_what_the_release_answered_is_told_apart_from_what_the_candidate_does(image_bundle: Path, kind) -> None:
    """Both stand in one record, so they have different keys; arrays are kept for judging again."""
    own = laboratory(image_bundle, baseline=Shelf(image_bundle))
    theirs = Need(kind, "fp32", baseline=True)
    own.obtain(theirs)
    assert own.key(theirs).startswith("release ")
    assert own.key(Need(kind, "fp32")) != own.key(theirs)
    kept = get(EvidenceCache(image_bundle.parent / "store"), kind, own.key(theirs))
    assert (kept is not None) == (kind is Outputs)


def test_without_a_release_there_is_none_to_compare_with(image_bundle: Path) -> None:
    """Asked for its evidence or for its name, the laboratory says how to give one."""
    need = Need(Files, "fp32", baseline=True)
    with pytest.raises(BaselineMissing) as told:
        laboratory(image_bundle).obtain(need)
    assert "release save" in told.value.next_step
    assert "--eyerace-parity-baseline" in told.value.next_step
    with pytest.raises(BaselineMissing):
        laboratory(image_bundle).key(need)


def test_golden_facts_are_kept_for_judging_again(image_bundle: Path) -> None:
    """Labels stand in the store under their key, so a record can be judged without the images."""
    place = laboratory(image_bundle)
    facts = place.obtain(Need(GoldenFacts))
    kept = get(EvidenceCache(image_bundle.parent / "store"), GoldenFacts, place.key(Need(GoldenFacts)))
    assert kept is not None
    np.testing.assert_array_equal(kept.labels, facts.labels)
    assert kept.ids == facts.ids


def test_lineage_is_never_taken_from_the_store(image_bundle: Path, counted: list[str]) -> None:
    """What an artefact would be made from now can only be known now."""
    for _ in range(2):
        laboratory(image_bundle).obtain(Need(Lineage, "fp32"))
    assert len(counted) == 2


def test_threads_share_one_measurement(image_bundle: Path, counted: list[str]) -> None:
    """Several threads that want the same evidence get the same object."""
    place = laboratory(image_bundle)
    found: list[Outputs] = []
    threads = [threading.Thread(target=lambda: found.append(place.obtain(Need(Outputs, "fp32")))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(one) for one in found}) == 1
    assert counted.count(str(Need(Outputs, "fp32"))) == 1


def test_a_full_disk_is_told(image_bundle: Path, monkeypatch) -> None:
    """What the system refuses is an error of measurement with its reason."""

    def refuse(*_given: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files, "_measure", refuse)
    with pytest.raises(MeasurementError, match="No space left on device"):
        laboratory(image_bundle).obtain(Need(Files, "fp32"))


CACHED = """
import sys
from pathlib import Path
from typing import Any
from tests.laboratories import laboratory
from eyerace_parity.evidence.answers import GoldenFacts, Outputs, Repeats
from eyerace_parity.evidence.artefacts import Files, Graph, Lineage
from eyerace_parity.evidence.base import Need
from eyerace_parity.evidence.costs import Preflight
bundle = Path(sys.argv[1])
place = laboratory(bundle)
for kind in (Outputs, Repeats, Files, Lineage):
    for variant in ("torch", "fp32", "int8"):
        place.obtain(Need(kind, variant))
for variant in ("fp32", "int8"):
    for kind in (Graph, Preflight):
        assert place.obtain(Need(kind, variant)).provenance.cached == (len(sys.argv) > 2)
place.obtain(Need(GoldenFacts))
place.close()
print(sorted({"torch", "onnx", "onnxruntime", "filelock", "scipy", "rich"} & set(sys.modules)))
"""


def test_a_cached_run_imports_no_runtime(image_bundle: Path) -> None:
    """An unchanged re-run loads neither torch nor onnx nor onnxruntime: its cost is reading digests."""
    root = Path(__file__).parent.parent.parent
    said = []
    for more in ([], ["cached"]):
        done = subprocess.run(
            [sys.executable, "-c", CACHED, str(image_bundle), *more],
            capture_output=True,
            text=True,
            check=True,
            cwd=root,
        )
        said.append(done.stdout.strip())
    assert said[1] == "[]"
    assert "torch" in said[0]
