"""Artefacts are built sources first, whole or not at all, and come out the same everywhere."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from filelock import FileLock

from eyerace_parity.checks.registry import open_contract
from eyerace_parity.core.digests import file_digest
from eyerace_parity.core.errors import RecipeError
from eyerace_parity.core.progress import SilentProgress
from eyerace_parity.recipes import build
from eyerace_parity.recipes.build import build_variant, missing_artefacts
from tests.bundles import make_image_bundle, make_tensor_bundle

if TYPE_CHECKING:
    from collections.abc import Callable

SILENT = SilentProgress()


def files_of(folder: Path) -> dict[str, bytes]:
    """Content of every file in a bundle's build folder, the lock apart."""
    return {path.name: path.read_bytes() for path in (folder / "build").iterdir() if not path.name.endswith(".lock")}


@pytest.mark.parametrize("make", [make_image_bundle, make_tensor_bundle])
def test_the_same_inputs_give_the_same_bytes_in_any_folder(make: Callable[..., Path], tmp_path: Path) -> None:
    """Neither the folder, nor its name, nor the order of Python's sets leaves a trace in an artefact."""
    here = make(tmp_path / "one", build=True)
    there = make(tmp_path / "zwei mit Lücken und 鳩")
    root = Path(__file__).parents[2]
    code = "import sys; from pathlib import Path; from tests.bundles import _build; _build(Path(sys.argv[1]))"
    subprocess.run(
        [sys.executable, "-c", code, str(there / "contract.toml")],
        check=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": str(root), "PYTHONUTF8": "1"},
    )
    assert files_of(here) == files_of(there)
    assert len(files_of(here)) == 2


def test_no_artefact_tells_where_it_was_made(image_bundle: Path) -> None:
    """Stack traces, temporary names and the bundle's own path are gone."""
    for name, content in files_of(image_bundle).items():
        assert str(image_bundle).encode() not in content, name
        assert b".py" not in content, name
        assert b"ort.quant" not in content, name


def test_sources_come_before_what_is_made_from_them(tmp_path: Path) -> None:
    """The missing artefacts are named in build order, whatever the order of the contract."""
    folder = make_image_bundle(tmp_path / "b")
    text = (folder / "contract.toml").read_text(encoding="utf-8")
    head, _, int8 = text.partition("[variants.int8]")
    before, _, torch = head.partition("[variants.torch]")
    (folder / "contract.toml").write_text(f"{before}[variants.int8]{int8}\n[variants.torch]{torch}", encoding="utf-8")
    contract = open_contract(folder / "contract.toml")
    assert list(contract.variants) == ["int8", "torch", "fp32"]
    assert missing_artefacts(contract) == ("fp32", "int8")


def test_a_missing_source_is_built_first(tmp_path: Path) -> None:
    """Asking for the last link builds the chain, and nothing stays missing."""
    contract = open_contract(make_image_bundle(tmp_path / "b") / "contract.toml")
    path = build_variant(contract, "int8", SILENT)
    assert path == contract.path(contract.variants["int8"].path)
    assert missing_artefacts(contract) == ()


def test_a_stale_source_is_never_rebuilt_in_silence(image_bundle: Path) -> None:
    """A file that is there stays as it is when something is built from it."""
    contract = open_contract(image_bundle / "contract.toml")
    source = contract.path(contract.variants["fp32"].path)
    factory = image_bundle / "tiny_classifier.py"
    factory.write_text(factory.read_text(encoding="utf-8") + "\n# another network\n", encoding="utf-8")
    before = source.stat().st_mtime_ns
    build_variant(contract, "int8", SILENT)
    assert source.stat().st_mtime_ns == before


def test_a_failed_build_leaves_everything_as_it_was(image_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: the old file stays, and nothing half-made lies about."""
    contract = open_contract(image_bundle / "contract.toml")
    before = files_of(image_bundle)

    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build_variant(contract, "fp32", SILENT)
    monkeypatch.undo()
    assert files_of(image_bundle) == before


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    """A file where the folder should be gives a reason, not a traceback."""
    folder = make_tensor_bundle(tmp_path / "b")
    (folder / "build").write_text("in the way", encoding="utf-8")
    contract = open_contract(folder / "contract.toml")
    with pytest.raises(RecipeError, match="cannot be built there"):
        build_variant(contract, "fp32", SILENT)


def test_a_variant_without_a_recipe_cannot_be_built(image_bundle: Path) -> None:
    """The error says which variant, and what to do."""
    contract = open_contract(image_bundle / "contract.toml")
    with pytest.raises(RecipeError, match=r"'torch' has no recipe\s+next: add \[variants\.torch\.recipe\]"):
        build_variant(contract, "torch", SILENT)
    with pytest.raises(RecipeError, match="there is no variant 'fp16'"):
        build_variant(contract, "fp16", SILENT)


def test_a_missing_checkpoint_is_a_recipe_error(tmp_path: Path) -> None:
    """What cannot be made for want of its root says so by the root's path."""
    folder = make_image_bundle(tmp_path / "b")
    (folder / "tiny.safetensors").unlink()
    contract = open_contract(folder / "contract.toml")
    with pytest.raises(RecipeError, match=r"tiny\.safetensors"):
        build_variant(contract, "int8", SILENT)
    assert files_of(folder) == {} if (folder / "build").exists() else True


class Heard(SilentProgress):
    """Notes the labels of what it is told, and lets a test wait for one."""

    def __init__(self) -> None:
        self.labels: list[str] = []
        self.waiting = Event()

    def task(self, label: str, total: int | None) -> Any:
        """Note a label."""
        self.labels.append(label)
        if label.startswith("waiting"):
            self.waiting.set()
        return super().task(label, total)


def test_two_runs_do_not_build_at_once(tmp_path: Path) -> None:
    """The second run waits, says so, and takes what the first has built."""
    folder = make_tensor_bundle(tmp_path / "b")
    done = make_tensor_bundle(tmp_path / "done", build=True)
    contract = open_contract(folder / "contract.toml")
    path = contract.path(contract.variants["fp32"].path)
    path.parent.mkdir()
    heard = Heard()
    other = FileLock(path.parent / build._LOCK)
    other.acquire()
    second = Thread(target=build_variant, args=(contract, "fp32", heard))
    second.start()
    assert heard.waiting.wait(30)
    # What the first run leaves behind: marked, so that a second build over it would show.
    model = onnx.load(done / "build" / path.name)
    onnx.helper.set_model_props(model, {"made by": "the first run"})
    onnx.save(model, path)
    marked = file_digest(path)
    other.release()
    second.join(30)
    assert not second.is_alive()
    assert file_digest(path) == marked
    assert heard.labels == ["waiting for another run that builds fp32"]


def test_progress_is_told(tmp_path: Path) -> None:
    """Everything that takes long has a name."""
    contract = open_contract(make_image_bundle(tmp_path / "b") / "contract.toml")
    heard = Heard()
    build_variant(contract, "int8", heard)
    assert heard.labels == [
        "exporting torch",
        "drawing calibration samples",
        "comparing them with the golden set",
        "observing calibration samples",
    ]


def test_building_is_quiet(tmp_path: Path) -> None:
    """Neither torch nor ONNX Runtime says a word, on stdout, on stderr, through warnings or through logging."""
    folder = make_image_bundle(tmp_path / "b")
    shutil.copy(folder / "contract.toml", folder / "percentile.toml")
    text = (folder / "percentile.toml").read_text(encoding="utf-8")
    text = text.replace("seed = 1 }", 'seed = 1, method = "percentile" }')
    (folder / "percentile.toml").write_text(text, encoding="utf-8")
    code = (
        "import sys, logging; logging.basicConfig(level=logging.INFO); from pathlib import Path;"
        "from tests.bundles import _build; _build(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", code, str(folder / "percentile.toml")],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "parity")},
    )
    ours = [line for line in done.stderr.splitlines() if "parity" in line or "onnx" in line or "torch" in line]
    assert (done.stdout, ours) == ("", [])
