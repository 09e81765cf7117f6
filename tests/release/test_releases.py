"""Releases: kept whole, small and alike for like findings; refused when torn; compared in words."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from eyerace_parity.checks.plan import plan
from eyerace_parity.checks.registry import open_contract
from eyerace_parity.cli import main
from eyerace_parity.core.digests import bytes_digest
from eyerace_parity.core.errors import BaselineMissing, ContractError, RecordError
from eyerace_parity.core.result import Status
from eyerace_parity.evidence.answers import GoldenFacts, Outputs
from eyerace_parity.evidence.artefacts import Files
from eyerace_parity.evidence.base import Need, Provenance
from eyerace_parity.judging import judge
from eyerace_parity.measure.cache import EvidenceCache
from eyerace_parity.record.compose import ContractFindings, compose, finding
from eyerace_parity.release import files, history
from eyerace_parity.release.model import Acceptance, Release
from eyerace_parity.release.save import acceptance, keep_artefacts, make
from eyerace_parity.release.source import MissingBaseline, ReleaseBaseline
from tests.laboratories import change, laboratory

if TYPE_CHECKING:
    from eyerace_parity.contract.model import Contract
    from eyerace_parity.evidence.costs import Timing
    from eyerace_parity.record.document import Record

DIGEST = "sha256:" + "a" * 64


@pytest.fixture(scope="module")
def _measured(_built_bundles: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle beside a store that has all of its evidence, never handed out itself."""
    root = tmp_path_factory.mktemp("measured")
    run(Path(shutil.copytree(_built_bundles["images"], root / "bundle")))
    return root


@pytest.fixture
def image_bundle(_measured: Path, tmp_path: Path) -> Path:
    """A copy of the tiny labelled bundle that has been measured before."""
    shutil.copytree(_measured / "store", tmp_path / "store")
    return Path(shutil.copytree(_measured / "bundle", tmp_path / "bundle"))


def run(bundle: Path, **more: Any) -> tuple[Record, Contract, EvidenceCache]:
    """Judge the whole contract of a bundle, as the gate does, without pytest."""
    own = laboratory(bundle, **more)
    ledger = ContractFindings(own.contract, plan(own.contract))
    for planned in ledger.planned:
        ledger.enter(finding(planned, judge(planned, own), own))
    record = compose([ledger], root=bundle, started="2026-11-24T00:00:00+00:00", seconds=1.0, why_unjudged=str)
    return record, own.contract, EvidenceCache(bundle.parent / "store")


def save(bundle: Path, name: str = "1.0") -> files.Stored:
    """Save a run of a bundle as a release."""
    record, contract, store = run(bundle)
    folder = files.folder_of(contract, name)
    before = files.read(folder).release if (folder / files.RELEASE).is_file() else None
    made = make(record, contract, store, name, before)
    files.write(made, acceptance(made, contract, record, store))
    return files.read(folder)


# ---- what is kept ----------------------------------------------------------------------------------------------------


def test_a_release_holds_digests_verdicts_numbers_and_answers(image_bundle: Path) -> None:
    """All that a later candidate is compared to, and nothing of the set itself."""
    stored = save(image_bundle)
    release = stored.release
    assert set(release.variants) == {"torch", "fp32", "int8"}
    assert all(variant.artefact.startswith("sha256:") for variant in release.variants.values())
    assert stored.ids == tuple(laboratory(image_bundle).obtain(Need(GoldenFacts)).ids)
    assert {row.clause for row in release.verdicts} >= {"f1", "f1_drop", "file_size", "max_abs"}
    assert {piece.entry.kind for piece in release.evidence} == {"files", "graph", "outputs", "preflight"}
    for variant in release.variants:
        kept = release.answers_of(variant, stored.answers)["scores"]
        fresh = laboratory(image_bundle).obtain(Need(Outputs, variant)).arrays["scores"]
        np.testing.assert_array_equal(kept, fresh)
    folder = files.folder_of(laboratory(image_bundle).contract, "1.0")
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) < 40_000


def test_no_time_of_day_and_no_name_is_committed(image_bundle: Path) -> None:
    """Saved from a later run with all measured anew, not a byte differs; times of inference are left out."""
    change(
        image_bundle,
        "[variants.int8.limits.size]\n",
        "[variants.int8.limits.latency]\np95_ms = 1000.0\n[variants.int8.limits.size]\n",
    )
    first = save(image_bundle)
    content = {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()}
    record, contract, store = run(image_bundle, store=image_bundle.parent / "another")
    later = make(record, contract, EvidenceCache(image_bundle.parent / "another"), "1.0", first.release)
    files.write(later, acceptance(later, contract, record, EvidenceCache(image_bundle.parent / "another")))
    assert {path: path.read_bytes() for path in first.folder.rglob("*") if path.is_file()} == content
    (row,) = [row for row in first.release.verdicts if row.clause == "p95"]
    assert (row.value, row.limit) == (None, 1000.0)
    assert store.trouble == ""


def test_another_finding_follows_the_one_before(image_bundle: Path) -> None:
    """The history is a chain of files that never change, so branches do not meet in one."""
    first = save(image_bundle)
    names = {path.name for path in (first.folder / files.HISTORY).iterdir()}
    change(image_bundle, 'file_size = "1 MB"', 'file_size = "2 MB"')
    second = save(image_bundle)
    assert second.release.follows == first.release.digest
    assert names < {path.name for path in (first.folder / files.HISTORY).iterdir()}
    assert [line.digest for line in files.history(first.folder)] == [first.release.digest, second.release.digest]
    assert files.history(first.folder)[0].f1["fp32"] == 1.0


def test_a_history_with_two_branches_is_still_read(tmp_path: Path) -> None:
    """Two acceptances after the same one, as a merge leaves them; a circle made by hand ends too."""
    folder = tmp_path / "history"
    folder.mkdir()

    def line(digest: str, follows: str = "") -> None:
        entry = Acceptance(name="x", digest=digest, follows=follows, contract_digest=DIGEST)
        (folder / f"{digest}.json").write_text(files.text_of(entry), encoding="utf-8")

    line("a", "c0")
    line("b", "a")
    line("c", "a")
    assert [each.digest for each in files.history(tmp_path)] == ["a", "b", "c"]
    line("a", "c")
    assert {each.digest for each in files.history(tmp_path)} == {"a", "b", "c"}


def test_numpy_reads_the_answers(image_bundle: Path) -> None:
    """No tool of ours is needed to look at them."""
    stored = save(image_bundle)
    with np.load(stored.folder / files.ANSWERS) as archive:
        assert archive["int8@host/scores"].shape == (24, 3)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda folder: (folder / "release.json").write_text("{"), "is torn"),
        (lambda folder: (folder / "release.json").write_text("[]"), "is no release"),
        (lambda folder: (folder / "release.json").write_text('{"format": "other"}'), "is no release"),
        (lambda folder: edit(folder, schema=2), "reads up to 1"),
        (lambda folder: edit(folder, golden=5), "golden"),
        (lambda folder: (folder / "answers.npz").unlink(), "cannot be read"),
        (lambda folder: (folder / "answers.npz").write_bytes(b"no"), "holds no answers"),
        (lambda folder: (folder / "answers.npz").write_bytes(files.pack(["a"], {})), "is not the one"),
    ],
)
def test_a_torn_release_is_refused(image_bundle: Path, spoil: Any, told: str) -> None:
    """Each with what is wrong and how to come by a whole one."""
    folder = save(image_bundle).folder
    spoil(folder)
    with pytest.raises(RecordError, match=told) as error:
        files.read(folder)
    assert error.value.next_step


def edit(folder: Path, **fields: Any) -> None:
    """Change fields of a release on disk."""
    path = folder / "release.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | fields), encoding="utf-8")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "-x", "x" * 65, "dot."])
def test_a_name_that_is_no_folder_everywhere_is_refused(name: str) -> None:
    """Before anything is measured."""
    with pytest.raises(ContractError, match="is no name of a release"):
        files.check_name(name, "NAME")


def test_only_a_whole_run_is_released(image_bundle: Path) -> None:
    """Interrupted, in part, with errors, of another contract, or of one that has changed since: none is kept."""
    record, contract, store = run(image_bundle)
    entry = record.contracts[0]
    row, *rest = record.verdicts
    missing = record.model_copy(update={"unjudged": (_unjudged(row),), "verdicts": tuple(rest)})
    failed = record.model_copy(update={"verdicts": (row.model_copy(update={"status": Status.ERROR}), *rest)})
    other = record.model_copy(update={"contracts": (entry.model_copy(update={"name": "other"}),)})
    changed = record.model_copy(update={"contracts": (entry.model_copy(update={"substance": DIGEST}),)})
    broken = record.model_copy(update={"interrupted": "-x"})
    for what, told in (
        (failed, "what could not be measured cannot be released"),
        (missing, "left 1 clauses without a verdict"),
        (other, "knows no contract"),
        (changed, "in more than limits"),
        (broken, "did not come to its end"),
    ):
        with pytest.raises(RecordError, match=told):
            make(what, contract, store, "1.0", None)


def _unjudged(row: Any) -> Any:
    from eyerace_parity.record.rows import Unjudged

    return Unjudged.of(row.identity, "deselected")


def test_a_run_whose_arrays_are_gone_is_not_released(image_bundle: Path) -> None:
    """Without each sample's answers no candidate could be compared with it."""
    record, contract, store = run(image_bundle)
    store.tidy(0)
    with pytest.raises(RecordError, match="no longer has"):
        make(record, contract, store, "1.0", None)


# ---- as evidence -----------------------------------------------------------------------------------------------------


def source(stored: files.Stored, contract: Contract) -> ReleaseBaseline:
    """The release as a source that can measure no times."""

    def refuse(_contract: Contract, _need: Need[Timing]) -> Timing:
        raise AssertionError

    return ReleaseBaseline(stored, contract, refuse)


def test_what_the_release_does_not_hold_is_missing_and_no_error(image_bundle: Path) -> None:
    """A clause that asks for it is unproven: nobody is at fault."""
    stored = save(image_bundle)
    own = source(stored, laboratory(image_bundle).contract)
    assert own.obtain(Need(Files, "int8", baseline=True)).bytes > 0
    with pytest.raises(BaselineMissing, match="holds no files of torch"):
        own.obtain(Need(Files, "torch", baseline=True))
    with pytest.raises(BaselineMissing, match="holds no answers of int8 on arm64"):
        own.obtain(Need(Outputs, "int8", "arm64/cortex-a53", baseline=True))
    with pytest.raises(BaselineMissing, match=r"no release '2\.0' to compare with yet"):
        MissingBaseline("2.0").key(Need(Files, "int8", baseline=True))


def test_each_need_has_a_name_of_its_own_in_the_record(image_bundle: Path) -> None:
    """And another release gives other names."""
    stored = save(image_bundle)
    own = source(stored, laboratory(image_bundle).contract)
    renamed = stored.release.model_copy(update={"name": "2.0"})
    other = source(files.Stored(stored.folder, renamed, stored.ids, stored.answers), laboratory(image_bundle).contract)
    needs = [Need(kind, name, baseline=True) for kind in (Files, Outputs) for name in ("fp32", "int8")]
    assert len({each.key(need) for need in needs for each in (own, other)}) == 2 * len(needs)


def test_artefacts_are_kept_beside_the_release_when_asked_for(image_bundle: Path) -> None:
    """Byte for byte, ignored by version control; one that has changed since it was judged is not kept."""
    stored = save(image_bundle)
    contract = laboratory(image_bundle).contract
    copied = keep_artefacts(stored, contract)
    kept = stored.folder / files.ARTEFACTS / "int8" / "tiny.int8.onnx"
    assert bytes_digest(kept.read_bytes()) == stored.release.variants["int8"].artefact
    assert copied == sum(path.stat().st_size for path in (stored.folder / files.ARTEFACTS).rglob("*.onnx"))
    assert f"*/{files.ARTEFACTS}/" in (stored.folder.parent / ".gitignore").read_text(encoding="utf-8")
    (image_bundle / "build" / "tiny.int8.onnx").write_bytes(b"another")
    with pytest.raises(RecordError, match="has changed since it was judged"):
        keep_artefacts(stored, contract)


# ---- in words --------------------------------------------------------------------------------------------------------


def test_changes_are_told_by_variant(image_bundle: Path) -> None:
    """Artefact, size, F1, answers and flips of what changed; verdicts that turned; nothing invented elsewhere."""
    stored = save(image_bundle)
    golden = laboratory(image_bundle).obtain(Need(GoldenFacts))
    lines = history.changes(stored, stored, golden)
    assert lines[2] == "int8: the same artefact; F1 1 → 1; answers apart by at most 0; 0 flips"
    member = "int8@host/scores"
    turned = {**stored.answers, member: np.negative(stored.answers[member].astype(np.float32))}
    verdicts = tuple(row.model_copy(update={"status": Status.BROKEN}) for row in stored.release.verdicts[-1:])
    release = stored.release.model_copy(update={"verdicts": (*stored.release.verdicts[:-1], *verdicts)})
    lines = history.changes(stored, files.Stored(stored.folder, release, stored.ids, turned), golden)
    assert "24 flips, 24 of them right→wrong (blue-0.jpg, " in lines[2]
    assert lines[-1] == f"int8 {verdicts[0].clause}: held → broken"


def test_what_cannot_be_compared_is_not(image_bundle: Path) -> None:
    """Over another golden set no answers are compared, and variants that came or went are named."""
    stored = save(image_bundle)
    release = stored.release
    variants = {"tiny": release.variants["int8"], "int8": release.variants["int8"]}
    other = release.model_copy(update={"golden": DIGEST, "variants": variants, "classes": ("a",)})
    lines = history.changes(stored, files.Stored(stored.folder, other, stored.ids, stored.answers), None)
    assert lines[0].startswith("another golden set")
    assert lines[1] == "other classes: red, green, blue → a"
    assert "torch: gone" in lines
    assert "tiny: new" in lines
    assert "int8: the same artefact" in lines


# ---- the command -----------------------------------------------------------------------------------------------------


def command(bundle: Path, *arguments: str) -> int:
    """Run ``eyerace-parity release``."""
    return main(["release", *arguments, "--contract", str(bundle / "contract.toml")])


def test_the_command_saves_lists_and_shows(image_bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """From a record on disk; a second save under the same name must be meant."""
    from eyerace_parity.record.files import write_record

    record, _, store = run(image_bundle)
    path = image_bundle / "record.json"
    write_record(path, record)
    saving = ("save", "1.0", "--record", str(path), "--cache", str(store.folder))
    assert command(image_bundle, "list") == 0
    assert "no release in" in capsys.readouterr().out
    assert command(image_bundle, *saving, "--artefacts") == 0
    out = capsys.readouterr().out
    assert "kB to commit, sha256:" in out
    assert "not to be committed" in out
    assert command(image_bundle, *saving) == 0, "the same again is the same"
    edited = record.model_copy(
        update={"verdicts": tuple(row.model_copy(update={"limit": 7}) for row in record.verdicts)}
    )
    write_record(path, edited)
    assert command(image_bundle, *saving) == 4
    assert "--replace" in capsys.readouterr().err
    assert command(image_bundle, *saving, "--replace") == 0
    capsys.readouterr()
    assert command(image_bundle, "list") == 0
    assert "accepted 2×, 24 samples" in capsys.readouterr().out  # noqa: RUF001
    assert command(image_bundle, "show", "1.0", "--against", "1.0") == 0
    out = capsys.readouterr().out
    assert "int8: build/tiny.int8.onnx, sha256:" in out
    assert "changed since 1.0:" in out
    assert command(image_bundle, "show", "1.1") == 4
    assert "did you mean '1.0'" in capsys.readouterr().err


def test_a_release_is_found_by_name_folder_and_file(image_bundle: Path, tmp_path: Path) -> None:
    """In the bundle, or anywhere else that the user says."""
    folder = save(image_bundle).folder
    contract = open_contract(image_bundle / "contract.toml")
    assert files.find(contract, "1.0") == folder
    assert files.find(contract, "bundle/releases/1.0", tmp_path) == folder
    assert files.find(contract, str(folder / files.RELEASE), tmp_path) == folder
    assert files.find(contract, "2.0", tmp_path) is None
    assert files.names(contract) == ("1.0",)


def test_the_name_and_what_it_follows_are_no_finding() -> None:
    """Two releases of the same findings have the same substance, whatever they are called."""
    port = {"name": "x", "shape": ["batch", 3]}
    told: dict[str, Any] = {
        "contract": "c",
        "contract_digest": DIGEST,
        "inputs": [port],
        "outputs": [port],
        "variants": {},
    }
    one = Release.model_validate({"name": "1", **told})
    two = Release.model_validate({"name": "2", "follows": DIGEST, **told})
    assert one.substance == two.substance
    assert one.digest != two.digest
    assert Provenance(variant="").golden == ""


def test_half_a_character_in_a_name_is_refused() -> None:
    """JSON can write it, and no digest can be made of it."""
    body = io.BytesIO()
    with zipfile.ZipFile(body, "w") as archive:
        archive.writestr("ids.json", '["a.jpg", "\\ud800"]')
    with pytest.raises(RecordError, match="no answers of a release"):
        files.unpack(body.getvalue(), "answers.npz")
