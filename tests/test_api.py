"""The public API: what the page shows is run, and every name that is promised is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import eyerace_parity
from eyerace_parity.core import errors
from tests.bundles import make_image_bundle

if TYPE_CHECKING:
    from eyerace_parity.record.document import Record

PAGE = (Path(__file__).parent.parent / "docs" / "api.md").read_text(encoding="utf-8")


def test_the_pages_example_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The very code of the page, over a bundle whose artefacts are still to be built."""
    bundle = make_image_bundle(tmp_path / "golden")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EYERACE_PARITY_CACHE", str(tmp_path / "cache"))
    block = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert block is not None
    scope: dict[str, object] = {}
    exec(compile(block[1], "docs/api.md", "exec"), scope)  # noqa: S102 - the page's own code
    record: Record = scope["record"]  # type: ignore[assignment]
    assert len(record.verdicts) == record.contracts[0].planned
    assert not record.unjudged
    assert {override.key for override in record.contracts[0].overrides} == {"variants.int8.limits.size.file_size"}
    assert capsys.readouterr().out.rstrip().endswith(record.contracts[0].outcome)
    assert (bundle / "build").is_dir()


def test_what_breaks_is_a_row_and_no_exception(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A torn artefact costs its clauses their verdicts, as in a run of the gate."""
    bundle = make_image_bundle(tmp_path / "bundle", build=True)
    monkeypatch.chdir(tmp_path)
    broken = next((bundle / "build").glob("*int8*.onnx"))
    broken.write_bytes(broken.read_bytes()[:100])
    record = eyerace_parity.judge(bundle / "contract.toml", cache=tmp_path / "cache")
    assert {row.status.value for row in record.verdicts if row.variant == "int8"} & {"broken", "error"}
    assert record.contracts[0].outcome in {"broken", "error"}


def test_an_unknown_option_is_refused(tmp_path: Path) -> None:
    """With a near miss, before the contract is even read."""
    with pytest.raises(eyerace_parity.ContractError, match="did you mean 'cache'"):
        eyerace_parity.judge(tmp_path / "nowhere.toml", cash=tmp_path)


def test_every_name_is_there_and_on_the_page() -> None:
    """Nothing is promised that is not exported, and nothing exported that is not told."""
    for name in eyerace_parity.__all__:
        assert getattr(eyerace_parity, name) is not None
        assert name in PAGE or name in {"__version__", "load_contract"}, name
    tree = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, errors.ParityError)
    }
    assert tree <= set(eyerace_parity.__all__)
    with pytest.raises(AttributeError):
        eyerace_parity.nothing  # noqa: B018
