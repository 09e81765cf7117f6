"""A bundle's own code: found in its folder first, digested without being run, never mixed with another bundle's."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING

import pytest

from eyerace_parity.contract.callables import load_callable, source_digest
from eyerace_parity.core.errors import ContractError

if TYPE_CHECKING:
    from pathlib import Path

MODEL = """
import json
from parity_helper import WHO

class Net:
    @staticmethod
    def make():
        return WHO

def now():
    return WHO

def later():
    from parity_late.inner import WHO as late
    return late

number = 3
"""


@pytest.fixture(autouse=True)
def _clean_modules():
    """Leave no module of these tests behind."""
    before = set(sys.modules)
    yield
    for name in set(sys.modules) - before:
        if name.startswith("parity_"):
            del sys.modules[name]


def bundle(folder: Path, who: str) -> Path:
    """A folder of modules whose names every other bundle has too."""
    (folder / "parity_late").mkdir(parents=True)
    (folder / "parity_model.py").write_text(MODEL, encoding="utf-8")
    (folder / "parity_helper.py").write_text(f"WHO = {who!r}\n", encoding="utf-8")
    (folder / "parity_late" / "__init__.py").write_text("", encoding="utf-8")
    (folder / "parity_late" / "inner.py").write_text(f"WHO = 'late {who}'\n", encoding="utf-8")
    return folder


def test_two_bundles_with_modules_of_the_same_name_stay_apart(tmp_path):
    """Each call gets its own bundle's modules, and the same ones again when it comes back."""
    first, second = bundle(tmp_path / "a", "a"), bundle(tmp_path / "b", "b")
    of_first = load_callable(first, "parity_model:now")
    of_second = load_callable(second, "parity_model:now")
    assert (of_first(), of_second()) == ("a", "b")
    assert load_callable(first, "parity_model:now") is of_first
    assert load_callable(second, "parity_model:now") is of_second


def test_a_late_import_finds_its_neighbour(tmp_path):
    """An import inside a function runs long after the module was loaded; ``sys.path`` is not touched for it."""
    path = list(sys.path)
    first, second = bundle(tmp_path / "a", "a"), bundle(tmp_path / "b", "b")
    assert load_callable(first, "parity_model:later")() == "late a"
    assert load_callable(second, "parity_model:later")() == "late b"
    assert load_callable(first, "parity_model:later")() == "late a"
    assert sys.path == path


def test_a_module_that_others_imported_is_given_back(tmp_path, monkeypatch):
    """A bundle may shadow an installed module for itself, not for everybody."""
    elsewhere = tmp_path / "site"
    elsewhere.mkdir()
    (elsewhere / "parity_helper.py").write_text("WHO = 'installed'\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(elsewhere))
    import parity_helper  # type: ignore[import-not-found]

    now = load_callable(bundle(tmp_path / "a", "a"), "parity_model:now")
    assert now() == "a"
    assert sys.modules["parity_helper"] is parity_helper
    assert load_callable(tmp_path / "a", "parity_model:now") is now


def test_classes_can_be_pickled(tmp_path):
    """The modules are ordinary ones, under their own names."""
    net = load_callable(bundle(tmp_path, "a"), "parity_model:Net")
    assert pickle.loads(pickle.dumps(net)) is net  # noqa: S301 - just written
    assert load_callable(tmp_path, "parity_model:Net.make")() == "a"


def test_an_installed_module_will_do(tmp_path):
    """What the bundle has not, Python may have; its own library is never shadowed."""
    (tmp_path / "json.py").write_text("dumps = None", encoding="utf-8")
    assert load_callable(tmp_path, "json:dumps")([1]) == "[1]"


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("parity_modle:now", "there is no module 'parity_modle'; did you mean 'parity_model'?"),
        ("parity_late.outer:now", "there is no module 'parity_late.outer'"),
        ("parity_model:laetr", "parity_model has no 'laetr'; did you mean 'later'?"),
        ("parity_model:Net.mkae", "parity_model has no 'Net.mkae'; did you mean 'make'?"),
        ("parity_model:number", "is of type int, which cannot be called"),
        ("parity_broken:now", "importing parity_broken failed: ZeroDivisionError: division by zero"),
        ("parity_torn:now", "importing parity_torn failed: SyntaxError"),
        ("parity_needy:now", "needs the module 'parity_absent', which is not installed"),
    ],
)
def test_what_cannot_be_had_is_explained(tmp_path, spec, message):
    """One error, no traceback of the user's module."""
    bundle(tmp_path, "a")
    (tmp_path / "parity_broken.py").write_text("1 / 0", encoding="utf-8")
    (tmp_path / "parity_torn.py").write_text("def", encoding="utf-8")
    (tmp_path / "parity_needy.py").write_text("import parity_absent.inner", encoding="utf-8")
    with pytest.raises(ContractError) as caught:
        load_callable(tmp_path, spec)
    assert message in str(caught.value)
    assert caught.value.next_step


def test_the_digest_follows_what_is_imported_and_runs_nothing(tmp_path):
    """Own modules through any number of steps; a change in one that is not imported does not count."""
    bundle(tmp_path, "a")
    (tmp_path / "parity_model.py").write_text(f"raise SystemExit\n{MODEL}", encoding="utf-8")
    (tmp_path / "parity_stranger.py").write_text("", encoding="utf-8")
    digest = source_digest(tmp_path, "parity_model:now")
    seen = {digest}
    for name in ("parity_helper.py", "parity_late/inner.py", "parity_late/__init__.py", "parity_model.py"):
        with (tmp_path / name).open("a", encoding="utf-8") as file:
            file.write("\n# changed\n")
        seen.add(source_digest(tmp_path, "parity_model:now"))
    assert len(seen) == 5
    model = tmp_path / "parity_model.py"
    model.write_text(model.read_text(encoding="utf-8").replace("# changed", "# altered"), encoding="utf-8")
    seen.add(source_digest(tmp_path, "parity_model:now"))
    assert len(seen) == 6, "as long as before, and not the same"
    (tmp_path / "parity_stranger.py").write_text("changed = 1", encoding="utf-8")
    assert source_digest(tmp_path, "parity_model:Net") in seen
    assert not any(name.startswith("parity_model") for name in sys.modules)


def test_the_digest_is_the_same_in_any_folder_and_with_any_line_ends(tmp_path):
    """A clone on another system has the same sources."""
    first, second = bundle(tmp_path / "a", "x"), bundle(tmp_path / "b", "x")
    for file in second.rglob("*.py"):
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert source_digest(first, "parity_model:now") == source_digest(second, "parity_model:now")


def test_relative_imports_and_circles_are_followed(tmp_path):
    """Packages import their neighbours by dots, and each other."""
    package = tmp_path / "parity_pack" / "sub"
    package.mkdir(parents=True)
    (tmp_path / "parity_pack" / "__init__.py").write_text("from .sub import one", encoding="utf-8")
    (tmp_path / "parity_pack" / "base.py").write_text("X = 1", encoding="utf-8")
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "one.py").write_text("from ..base import X\nfrom . import two", encoding="utf-8")
    (package / "two.py").write_text("from .one import X", encoding="utf-8")
    digests = {source_digest(tmp_path, "parity_pack.sub.two:X")}
    for name in ("base.py", "sub/one.py", "sub/two.py", "__init__.py"):
        with (tmp_path / "parity_pack" / name).open("a", encoding="utf-8") as file:
            file.write("\nY = 2")
        digests.add(source_digest(tmp_path, "parity_pack.sub.two:X"))
    assert len(digests) == 5


def test_a_digest_of_an_installed_module_is_that_of_its_source(tmp_path):
    """A metric from a library is watched too."""
    assert source_digest(tmp_path, "json.decoder:JSONDecoder") != source_digest(tmp_path, "json:loads")
    with pytest.raises(ContractError, match="there is no module 'parity_nothing'"):
        source_digest(tmp_path, "parity_nothing:x")
    (tmp_path / "parity_torn.py").write_text("x = 1\ndef", encoding="utf-8")
    with pytest.raises(ContractError, match=r"parity_torn.py:2: not Python"):
        source_digest(tmp_path, "parity_torn:x")


def test_a_module_that_leaves_the_interpreter_is_told(tmp_path):
    """A script taken for a module must not end the run that imports it."""
    (tmp_path / "parity_script.py").write_text("raise SystemExit(0)", encoding="utf-8")
    with pytest.raises(ContractError, match="importing parity_script failed: SystemExit: 0"):
        load_callable(tmp_path, "parity_script:x")
